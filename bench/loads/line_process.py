"""A load process that reads lines of JSON from stdin and writes lines of JSON to stdout: both of its ends."""

import asyncio
import gc
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NoReturn

import msgspec
import uvloop

from bench.loads.order import write_out
from bench.loads.processes import STOP_DEADLINE_S, ProcessFailed, python_module

LINE_BYTES_MAX = 64 * 1024 * 1024


class LineProcess:
    """The process and its lines."""

    def __init__(self, process: asyncio.subprocess.Process, about: str) -> None:
        self._process = process
        self._about = about

    async def send(self, message: msgspec.Struct) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(message) + b"\n")
        await self._process.stdin.drain()

    async def receive(self, deadline_s: float) -> bytes:
        """Its next line. Raises ProcessFailed."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(deadline_s):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise ProcessFailed(f"{self._about} wrote nothing for {deadline_s:g} s") from None
        if not line:
            raise ProcessFailed(f"the process of {self._about} ended")
        return line


@asynccontextmanager
async def line_process(module: str, about: str) -> AsyncIterator[LineProcess]:
    """A process that runs this module; it ends with the block."""
    process = await asyncio.create_subprocess_exec(
        *python_module(module),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_BYTES_MAX,
    )
    try:
        yield LineProcess(process, about)
    finally:
        if process.returncode is None:
            process.kill()
        async with asyncio.timeout(STOP_DEADLINE_S):
            await process.wait()


def answer_lines(answers: Callable[[AsyncIterator[bytes]], AsyncIterator[msgspec.Struct]]) -> NoReturn:
    """The main function of such a process: writes what `answers` makes of the lines of stdin, until it ends."""
    # A collection would be measured as latency of the server.
    gc.disable()
    uvloop.run(_write(answers))
    # The end of the process closes the sockets.
    os._exit(0)


async def _write(answers: Callable[[AsyncIterator[bytes]], AsyncIterator[msgspec.Struct]]) -> None:
    async for message in answers(_lines()):
        write_out(msgspec.json.encode(message) + b"\n")


async def _lines() -> AsyncIterator[bytes]:
    reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield line
