"""Processes that a bench starts, and ends again whatever happens."""

import asyncio
import ctypes
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from bench.definition import BenchFailed

STOP_DEADLINE_S = 10.0
# Characters of a failed process's last words that are shown.
STDERR_CHARACTERS_MAX = 800
ROOT = Path(__file__).resolve().parent.parent.parent
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
NOTHING_SET: Mapping[str, str] = {}


class ProcessFailed(BenchFailed):
    """A process that the bench needs ended with an error. The message has the end of its stderr."""


def python_module(module: str) -> list[str]:
    """The command that runs one of our modules."""
    return [sys.executable, "-m", module]


def free_port() -> int:
    """A port of this machine that nothing listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@asynccontextmanager
async def running(
    command: Sequence[str], *, cwd: Path = ROOT, env: Mapping[str, str] = NOTHING_SET, log: Path | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process in its own group, its stdout as a pipe unless it goes to `log`; the whole group ends with the block.

    If the bench itself is killed, the kernel kills the process.
    """
    output = None if log is None else log.open("wb")
    try:
        process = await asyncio.create_subprocess_exec(
            *_with(env),
            *command,
            cwd=cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE if output is None else output,
            stderr=output,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
    finally:
        if output is not None:
            output.close()
    try:
        yield process
    finally:
        await _stop(process)


async def line_of(process: asyncio.subprocess.Process, deadline_s: float) -> str:
    """The next line of its stdout, empty where it has ended. Raises ProcessFailed."""
    assert process.stdout is not None
    try:
        async with asyncio.timeout(deadline_s):
            return (await process.stdout.readline()).decode()
    except TimeoutError:
        raise ProcessFailed(f"a server was not ready within {deadline_s:g} s") from None


async def output_of(
    command: Sequence[str],
    *,
    given: bytes = b"",
    deadline_s: float,
    cwd: Path = ROOT,
    env: Mapping[str, str] = NOTHING_SET,
) -> bytes:
    """Run to the end with `given` on stdin; its stdout. Raises ProcessFailed with the end of its stderr."""
    process = await asyncio.create_subprocess_exec(
        *_with(env),
        *command,
        cwd=cwd,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(deadline_s):
            out, err = await process.communicate(given)
    except TimeoutError:
        raise ProcessFailed(f"{command[0]} … {command[-1]} did not end within {deadline_s:g} s") from None
    finally:
        await _stop(process)
    if process.returncode != 0:
        stderr = err.decode(errors="replace").strip()[-STDERR_CHARACTERS_MAX:]
        raise ProcessFailed(f"{' '.join(command)} ended with {process.returncode}: {stderr}")
    return out


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _with(env: Mapping[str, str]) -> list[str]:
    """A prefix that sets variables on top of what this process inherited, which it doesn't read itself."""
    return ["env", *(f"{name}={value}" for name, value in env.items())] if env else []


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            return
        try:
            async with asyncio.timeout(STOP_DEADLINE_S):
                await process.wait()
                return
        except TimeoutError:
            continue
