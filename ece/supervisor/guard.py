"""Keeping one process alive: start, wait until it serves, start it again when it dies, give up in the end."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from ece.failure import Failure
from ece.supervisor.backoff import Backoff
from ece.supervisor.disk_space import DiskSpace
from ece.supervisor.log_files import last_lines, size_of
from ece.supervisor.processes import Child, Command
from ece.supervisor.terminal import Terminal

POLL_S = 0.03
# Before a process has ever served, the reason is hardly one that time mends.
DEATHS_BEFORE_FIRST_READY_MAX = 3


@dataclass(frozen=True)
class Service:
    """What the supervisor has to know of one kind of process."""

    name: str  # of its log and in run.json
    title: str  # for people
    command: Callable[[], Awaitable[Command]]
    serves: Callable[[Child], Awaitable[bool]]
    log: Path
    ready_within_s: float
    stop_within_s: float


class Guard:
    """Runs one service for as long as `run` is not cancelled. Stopping the process is a matter of its own."""

    def __init__(self, service: Service, terminal: Terminal, on_change: Callable[[], None], space: DiskSpace) -> None:
        self.service = service
        self.child: Child | None = None
        self.ready = asyncio.Event()
        self._terminal = terminal
        self._on_change = on_change
        self._space = space
        self._served_once = False
        self._log_began = 0

    @property
    def pid(self) -> int | None:
        return self.child.pid if self.child is not None and self.child.alive else None

    @property
    def last_pid(self) -> int | None:
        """The process of now or, after its death, of before: it gave its session the number."""
        return self.child.pid if self.child is not None else None

    async def run(self) -> None:
        """Never returns. Raises Failure when the process can't be kept alive, other than for want of disk space."""
        backoff = Backoff()
        short_of_space = False
        while True:
            began = time.monotonic()
            reason = await self._one_life()
            short_of_space = short_of_space and not self.ready.is_set()
            self.ready.clear()
            self._on_change()
            lines = last_lines(self.service.log, since=self._log_began)
            if self._space.low:
                if not short_of_space:
                    self._terminal.warning(
                        f"{self.service.title} {reason}, and the disk is full: "
                        f"starting it again every {backoff.longest_s:g} s until it serves",
                        lines,
                    )
                short_of_space = True
                await asyncio.sleep(backoff.longest_s)
                continue
            backoff = backoff.after_death(time.monotonic() - began)
            if backoff.exhausted or (not self._served_once and backoff.deaths >= DEATHS_BEFORE_FIRST_READY_MAX):
                raise Failure(self._farewell(reason, backoff.deaths, lines))
            self._terminal.warning(
                f"{self.service.title} {reason}; starting it again in {backoff.pause_s:.1f} s", lines
            )
            await asyncio.sleep(backoff.pause_s)

    async def stop(self) -> None:
        """Stop the process, with force when its time is up."""
        if self.child is None:
            return
        if not await self.child.stop(self.service.stop_within_s):
            self._terminal.warning(
                f"{self.service.title} did not stop within {self.service.stop_within_s:g} s and was killed"
            )

    def kill(self) -> None:
        if self.child is not None:
            self.child.kill_session()

    async def _one_life(self) -> str:
        """From start to death. Returns how it ended, as words after the service's name."""
        began = time.monotonic()
        command = await self.service.command()
        self._log_began = size_of(command.log)
        try:
            child = self.child = await Child.start(command)
        except OSError as error:
            return f"could not be started ({error})"
        self._on_change()
        death = asyncio.create_task(child.wait())
        try:
            if await self._becomes_ready(child, death):
                if self._served_once:
                    self._terminal.note(f"{self.service.title} serves again ({time.monotonic() - began:.1f} s)")
                self._served_once = True
                self.ready.set()
                return how_it_ended(await death)
            if not death.done():
                await child.stop(self.service.stop_within_s)
                return f"was not ready within {self.service.ready_within_s:g} s"
            return how_it_ended(death.result())
        finally:
            death.cancel()
            if not child.alive:
                child.kill_session()  # what it has left in its session

    async def _becomes_ready(self, child: Child, death: asyncio.Task[int]) -> bool:
        deadline = time.monotonic() + self.service.ready_within_s
        while time.monotonic() < deadline and not death.done():
            if await self.service.serves(child):
                return True
            await asyncio.wait({death}, timeout=POLL_S)
        return False

    def _farewell(self, reason: str, deaths: int, lines: list[str]) -> str:
        last = "".join(f"\n      {line}" for line in lines)
        return (
            f"{self.service.title} {reason}, {deaths} times in a row. Giving up. "
            f"Its log is {self.service.log}; the last lines:{last or ' (none)'}"
        )


def how_it_ended(code: int) -> str:
    """An exit code in words that follow the name of a process."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
