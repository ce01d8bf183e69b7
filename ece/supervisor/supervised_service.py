"""One process under supervision: start, wait until it serves, restart when it dies, give up after too many deaths."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ece.child_processes.child import Child, Command
from ece.child_processes.log_files import last_lines, size_of
from ece.failure import Failure
from ece.supervisor.backoff import Backoff
from ece.supervisor.disk_space import DiskSpace
from ece.supervisor.terminal import Terminal

POLL_S = 0.03
# A process that has never served is probably configured wrongly: more restarts do not help.
DEATHS_BEFORE_FIRST_READY_MAX = 3
SPARE_EVERY_S = 5.0
# What a spare process waits for on its standard input before it serves. If the supervisor dies, it reads the end.
SERVE = b"serve\n"


@dataclass(frozen=True)
class ServiceSpec:
    """How to start one kind of process, and how to tell that it serves."""

    name: str  # of its log and in run.json
    title: str  # for people
    command: Callable[[], Awaitable[Command]]
    serves: Callable[[Child], Awaitable[bool]]
    log: Path
    ready_within_s: float
    stop_within_s: float
    # How to start a process that loads its program, and then waits for SERVE.
    spare: Callable[[], Command] | None = None


class SupervisedService:
    """Restarts one process while `run` is not cancelled. A cancelled `run` leaves the process to `stop`."""

    def __init__(self, spec: ServiceSpec, terminal: Terminal, on_change: Callable[[], None], space: DiskSpace) -> None:
        self.spec = spec
        self.child: Child | None = None
        self._spare: Child | None = None
        self.ready = asyncio.Event()
        self._terminal = terminal
        self._on_change = on_change
        self._space = space
        self._has_served = False
        self._log_began = 0

    @property
    def pid(self) -> int | None:
        return self.child.pid if self.child is not None and self.child.alive else None

    @property
    def last_pid(self) -> int | None:
        """The process or, after its death, the last one: the number of its session."""
        return self.child.pid if self.child is not None else None

    @property
    def pids(self) -> set[int]:
        """Its process and the spare one, while they live."""
        return {child.pid for child in (self.child, self._spare) if child is not None and child.alive}

    async def keep_spare(self) -> None:
        """Have a spare process, which replaces the process when it dies. Returns only where there is to be none."""
        while self.spec.spare is not None:
            await self.ready.wait()
            if self._spare is None or not self._spare.alive:
                with suppress(OSError):  # as when there is no memory for it: tried again
                    self._spare = await Child.start(self.spec.spare())
            await asyncio.sleep(SPARE_EVERY_S)

    async def run(self) -> None:
        """Never returns. Raises Failure when the process dies too often, except while the disk is full."""
        backoff = Backoff()
        disk_full = False
        while True:
            began = time.monotonic()
            reason = await self._run_once()
            disk_full = disk_full and not self.ready.is_set()
            self.ready.clear()
            self._on_change()
            lines = last_lines(self.spec.log, since=self._log_began)
            if self._space.low:
                if not disk_full:
                    self._terminal.warning(
                        f"{self.spec.title} {reason}, and the disk is full: "
                        f"starting it again every {backoff.longest_s:g} s until it serves",
                        lines,
                    )
                disk_full = True
                await asyncio.sleep(backoff.longest_s)
                continue
            backoff = backoff.after_death(time.monotonic() - began)
            if backoff.exhausted or (not self._has_served and backoff.deaths >= DEATHS_BEFORE_FIRST_READY_MAX):
                raise Failure(self._giving_up(reason, backoff.deaths, lines))
            self._terminal.warning(f"{self.spec.title} {reason}; starting it again in {backoff.pause_s:.1f} s", lines)
            await asyncio.sleep(backoff.pause_s)

    async def stop(self) -> None:
        """Stop the process, with force when its time is up."""
        if self._spare is not None:
            await self._spare.stop(self.spec.stop_within_s)
        if self.child is None:
            return
        if not await self.child.stop(self.spec.stop_within_s):
            self._terminal.warning(
                f"{self.spec.title} did not stop within {self.spec.stop_within_s:g} s and was killed"
            )

    def kill(self) -> None:
        for child in (self._spare, self.child):
            if child is not None:
                child.kill_session()

    async def _run_once(self) -> str:
        """From start to death. Returns how it ended, in words that follow the title of the service."""
        began = time.monotonic()
        command = await self.spec.command()
        self._log_began = size_of(command.log)
        try:
            child = self.child = self._take_spare() or await Child.start(command)
        except OSError as error:
            return f"could not be started ({error})"
        self._on_change()
        death = asyncio.create_task(child.wait())
        try:
            if await self._becomes_ready(child, death):
                if self._has_served:
                    self._terminal.note(f"{self.spec.title} serves again ({time.monotonic() - began:.1f} s)")
                self._has_served = True
                self.ready.set()
                return how_it_ended(await death)
            if not death.done():
                await child.stop(self.spec.stop_within_s)
                return f"was not ready within {self.spec.ready_within_s:g} s"
            return how_it_ended(death.result())
        finally:
            death.cancel()
            if not child.alive:
                child.kill_session()  # what it has left in its session

    def _take_spare(self) -> Child | None:
        spare, self._spare = self._spare, None
        if spare is None or not spare.alive:
            return None
        spare.write(SERVE)
        return spare

    async def _becomes_ready(self, child: Child, death: asyncio.Task[int]) -> bool:
        deadline = time.monotonic() + self.spec.ready_within_s
        while time.monotonic() < deadline and not death.done():
            if await self.spec.serves(child):
                return True
            await asyncio.wait({death}, timeout=POLL_S)
        return False

    def _giving_up(self, reason: str, deaths: int, lines: list[str]) -> str:
        last = "".join(f"\n      {line}" for line in lines)
        return (
            f"{self.spec.title} {reason}, {deaths} times in a row. Giving up. "
            f"Its log is {self.spec.log}; the last lines:{last or ' (none)'}"
        )


def how_it_ended(code: int) -> str:
    """An exit code in words that follow the name of a process."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
