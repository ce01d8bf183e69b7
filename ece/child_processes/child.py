"""A child process: it ends with its supervisor, and it is stopped with everything in its session."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from ece.child_processes.log_files import open_log

LINE_BYTES_MAX = 1024 * 1024
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True)
class SystemUser:
    """The user of a process, if not the supervisor's own."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Command:
    """A process to start. `death_signal` is what it gets if the supervisor is killed."""

    arguments: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    log: Path
    cwd: Path | None = None
    user: SystemUser | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals | None = signal.SIGKILL
    on_line: Callable[[str], None] | None = None
    input: bytes | None = None
    keep_input_open: bool = False


class Child:
    """A running process in a session of its own, so that the terminal's Ctrl-C doesn't reach it."""

    def __init__(self, process: asyncio.subprocess.Process, command: Command) -> None:
        self._process = process
        self._command = command
        self._copying: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, command: Command) -> "Child":
        """Start it. Raises OSError if the program can't be run."""
        takes_input = command.keep_input_open or command.input is not None
        with open_log(command.log) as log:
            process = await asyncio.create_subprocess_exec(
                *command.arguments,
                stdin=asyncio.subprocess.PIPE if takes_input else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if command.on_line else log,
                stderr=log,
                env=dict(command.environment),
                cwd=command.cwd,
                start_new_session=True,
                limit=LINE_BYTES_MAX,
                preexec_fn=_die_with_parent(command.death_signal, os.getpid()),
                **_as_user(command.user),
            )
        child = cls(process, command)
        if command.input is not None:
            child.write(command.input)
        if command.on_line is not None:
            child._copying = asyncio.create_task(child._copy_output(command.on_line))
        return child

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def wait(self) -> int:
        """The exit code, or minus the number of the signal."""
        code = await self._process.wait()
        if self._copying is not None:
            # A grandchild may hold the pipe open for longer: the child's own last lines arrive at once.
            await asyncio.wait({self._copying}, timeout=0.5)
            self._copying.cancel()
        return code

    def write(self, text: bytes) -> None:
        """Write this to its standard input, and close that."""
        if self._process.stdin is not None:
            self._process.stdin.write(text)
            self._process.stdin.close()

    async def within(self, seconds: float) -> int:
        """As `wait`, but no longer than this. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            return await self.wait()

    async def stop(self, within_s: float) -> bool:
        """Ask it to stop; kill it when the time is up. True if it stopped by itself."""
        gentle = True
        if self.alive:
            self.send(self._command.stop_signal)
            try:
                async with asyncio.timeout(within_s):
                    await self.wait()
            except TimeoutError:
                gentle = False
        self.kill_session()
        await self.wait()
        return gentle

    def send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    def kill_session(self) -> None:
        """Kill the process and all that still lives in its session."""
        for pid in psutil.pids():
            with suppress(ProcessLookupError, PermissionError):
                if os.getsid(pid) == self.pid:
                    os.kill(pid, signal.SIGKILL)

    async def _copy_output(self, on_line: Callable[[str], None]) -> None:
        stream = self._process.stdout
        if stream is None:
            return
        with self._command.log.open("ab", buffering=0) as log:
            while line := await _line_of(stream):
                with suppress(OSError):  # a full disk: the line is still handled
                    log.write(line)
                on_line(line.decode("utf-8", "replace").rstrip())


async def _line_of(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readline()
    except ValueError:  # longer than the limit: the rest of it follows as further lines
        return b"(line too long)\n"


def _die_with_parent(number: signal.Signals | None, parent: int) -> Callable[[], None] | None:
    """Runs in the child, after it has become the other user (which would clear the death signal)."""
    libc = _LIBC
    if libc is None or number is None:
        return None

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # it died in between: nobody would ever send the signal
            os._exit(1)

    return prepare


def _as_user(user: SystemUser | None) -> dict[str, Any]:
    return {} if user is None else {"user": user.uid, "group": user.gid, "extra_groups": []}


def adopt_orphans() -> None:
    """Grandchildren whose parent dies become this process's children, and are still found as such."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap_orphans(own: set[int]) -> None:
    """Reap adopted processes that have ended; `own` are those that someone else waits for."""
    for child in psutil.Process().children():
        if child.pid in own:
            continue
        with suppress(psutil.Error, ChildProcessError):
            if child.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(child.pid, os.WNOHANG)
