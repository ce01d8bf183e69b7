"""One host in a process of its own, without Ray: the real HostProcess, controlled over standard input.

A line is a JSON map with `do`; each is answered with one line. The first argument has the configuration.
"""

import asyncio
import json
import sys
import time
from typing import Any

import msgspec

import actors.runtime.host_process
import tests.kinds  # noqa: F401  hosts of tests know the kinds of tests
from actors.clock import Clock
from actors.hosting.ownership.ownership import Assignment
from actors.runtime.host_process import HostConfig, HostProcess
from ece.logs import configure_logs
from persistence.placement.directory import Owned


class Wall:
    """What the wall clock of this process shows: it can be wrong, and be set."""

    ahead_ns = 0

    @classmethod
    def now_ns(cls) -> int:
        return time.time_ns() + cls.ahead_ns


class Puppet:
    """A host that is controlled by the test."""

    def __init__(self, configuration: dict[str, Any]) -> None:
        Wall.ahead_ns = configuration.pop("ahead_s") * 1_000_000_000
        secret = configuration.pop("cluster_secret").encode()
        self._process = HostProcess(HostConfig(cluster_secret=secret, **configuration))

    async def serve(self) -> None:
        """Until standard input ends."""
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        await self._process.start()
        say({"port": self._process.port})
        while line := await reader.readline():
            order = json.loads(line)
            say(await getattr(self, order.pop("do"))(**order) or {})

    async def take(self, slots: list[int], released_at: int | None = None) -> None:
        """Keep these slots."""
        await self._process.acquire(Assignment(slots=tuple(slots), released_at=released_at))

    async def release(self, slots: list[int]) -> dict[str, Any]:
        """Hand off these slots."""
        return {"released_at": await self._process.hand_off(slots, ())}

    async def ignore_directory(self) -> None:
        """Assume from now on that every slot is still owned: heartbeats report no other owner."""
        directory, host = self._process._directory, self._process.host
        assert directory is not None
        assert host is not None
        believed, beat = host.ownership.slots, directory.heartbeat

        async def heartbeat(*arguments: Any, **named: Any) -> Owned:
            kept = await beat(*arguments, **named)
            return msgspec.structs.replace(kept, slots=kept.slots | believed)

        directory.heartbeat = heartbeat  # type: ignore[method-assign]

    async def follow_directory(self) -> None:
        """Believe the directory again."""
        assert self._process._directory is not None
        del self._process._directory.heartbeat

    async def set_wall(self, ahead_s: int) -> None:
        """Somebody sets the wall clock."""
        Wall.ahead_ns = ahead_s * 1_000_000_000

    async def health(self) -> dict[str, Any]:
        """How many slots it believes to keep, and what its clock shows."""
        assert self._process.host is not None
        return {"slots": len(self._process.host.ownership.slots), "now_ms": self._process.clock.now_ms()}


def say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    # To stderr: standard output is for answers.
    configure_logs("warning", "json")
    # The clock takes its source once, when it is made.
    actors.runtime.host_process.Clock = lambda: Clock(wall=Wall.now_ns)  # type: ignore[assignment,misc]
    asyncio.run(Puppet(json.loads(sys.argv[1])).serve())
