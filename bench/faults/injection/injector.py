"""Does the faults of a schedule to a running engine. All of them end with the block."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

from bench.engine import Parts, StartsDuplicates
from bench.faults.injection.clocks import Clocks
from bench.faults.injection.disk import SmallDisk, delay_flushes
from bench.faults.injection.kinds import (
    CLOCK,
    DELAY,
    DRIP,
    DUPLICATE,
    FULL_DISK,
    HALF_OPEN,
    HOLD,
    KILL,
    PAUSE,
    RESET,
    SLOW_DISK,
)
from bench.faults.injection.proxy import Proxy
from bench.faults.injection.schedule import Fault

# A part that was killed just before may not be back yet: then this fault finds nothing.
FOUND_WITHIN_S = 2.0
POLL_S = 0.1
# PostgreSQL may be down when a disk is to be quick again.
HEAL_ATTEMPTS_MAX, HEAL_EVERY_S = 120, 0.5


@dataclass(frozen=True)
class Means:
    """By which faults are done. `database_url` leads past the proxy; `disk` is None where none can be mounted."""

    parts: Parts
    links: Mapping[str, Proxy]
    clocks: Clocks
    database_url: str
    disk: SmallDisk | None
    start_duplicate: StartsDuplicates


Heal = Callable[[], Awaitable[None] | None]


@dataclass(frozen=True)
class Injected:
    """A fault, when it was done (ns on this machine's steady clock), and the parts that there were."""

    fault: Fault
    at_ns: int
    hit: tuple[str, ...]


class Injector:
    """``done`` has the faults so far."""

    def __init__(self, means: Means, on_fault: Callable[[Injected], None]) -> None:
        self._means = means
        self._on_fault = on_fault
        self._ends: set[asyncio.Task[None]] = set()
        self.done: list[Injected] = []

    async def run(self, faults: Sequence[Fault], seconds: float) -> None:
        """Each at its time; returns after ``seconds``, when nothing is disturbed any more."""
        began_s = time.monotonic()
        try:
            for fault in faults:
                await asyncio.sleep(max(0.0, began_s + fault.at_s - time.monotonic()))
                await self._inject(fault)
            await asyncio.sleep(max(0.0, began_s + seconds - time.monotonic()))
        finally:
            for end in self._ends:
                end.cancel()
            await asyncio.gather(*self._ends, return_exceptions=True)

    async def _inject(self, fault: Fault) -> None:
        # Found first, so that two are hit at once.
        at_ns, heals = time.monotonic_ns(), [await self._hit(fault, part) for part in fault.parts]
        hit = tuple(part for part, heal in zip(fault.parts, heals, strict=True) if heal is not None)
        injected = Injected(fault, at_ns, hit)
        for heal in heals:
            if heal is not None and fault.kind not in (KILL.name, RESET.name, HALF_OPEN.name):
                self._later(fault.lasts_s, heal)
        self.done.append(injected)
        self._on_fault(injected)

    async def _hit(self, fault: Fault, part: str) -> Heal | None:
        """Do it; what ends it, or None where nothing was there to be hit."""
        means = self._means
        if fault.kind in (KILL.name, PAUSE.name, CLOCK.name):
            process = await self._process_of(part)
            return None if process is None else _hit_process(process, fault, means.clocks)
        if part in means.links:
            return _hit_link(means.links[part], fault)
        if fault.kind == SLOW_DISK.name:
            done = await delay_flushes(means.database_url, fault.size)
            return (lambda: _quick_again(means.database_url)) if done else None
        if fault.kind == FULL_DISK.name:
            if means.disk is not None:
                means.disk.fill()
            return None if means.disk is None else means.disk.free
        assert fault.kind == DUPLICATE.name, fault
        return await means.start_duplicate()

    def _later(self, seconds: float, heal: Heal) -> None:
        task = asyncio.get_running_loop().create_task(_after(seconds, heal))
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)

    async def _process_of(self, part: str) -> psutil.Process | None:
        ends_s = time.monotonic() + FOUND_WITHIN_S
        while True:
            pid = await self._means.parts.find(part)
            if pid is not None:
                with suppress(psutil.Error):
                    return psutil.Process(pid)
            if time.monotonic() > ends_s:
                return None
            await asyncio.sleep(POLL_S)


def _hit_process(process: psutil.Process, fault: Fault, clocks: Clocks) -> Heal | None:
    """psutil compares the time of creation: no other process with this number is hit."""
    try:
        if fault.kind == KILL.name:
            process.kill()
        elif fault.kind == PAUSE.name:
            process.suspend()
        elif not clocks.set_ahead(process.pid, fault.size):
            return None
    except psutil.Error:
        return None

    def heal() -> None:
        if fault.kind == CLOCK.name:
            clocks.set_ahead(process.pid, 0.0)
        else:
            process.resume()

    return heal


def _hit_link(proxy: Proxy, fault: Fault) -> Heal:
    if fault.kind == RESET.name:
        proxy.cut()
    elif fault.kind == HALF_OPEN.name:
        proxy.strand()
    elif fault.kind == HOLD.name:
        proxy.hold()
        return proxy.flow
    elif fault.kind == DELAY.name:
        proxy.delay(fault.size)
        return lambda: proxy.delay(0.0)
    else:
        assert fault.kind == DRIP.name, fault
        proxy.drip(True)
    return lambda: proxy.drip(False)


async def _quick_again(database_url: str) -> None:
    for _ in range(HEAL_ATTEMPTS_MAX):
        if await delay_flushes(database_url, 0.0):
            return
        await asyncio.sleep(HEAL_EVERY_S)


async def _after(seconds: float, heal: Heal) -> None:
    try:
        await asyncio.sleep(seconds)
    finally:
        with suppress(psutil.Error):
            healed = heal()
            if healed is not None:
                await healed
