"""Samples of an engine and its machine, once a second, each source with a deadline of its own."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from statistics import fmean

import httpx
import psutil

from bench.engine import OwnEngine
from bench.report import database, metrics
from bench.report.database import DatabaseSamples
from bench.report.metrics import read_metrics
from bench.report.processes import ProcessSamples
from bench.report.series import POINTS_MAX
from persistence.postgres.errors import StoreError
from persistence.postgres.pool import close_pool, open_pool

EVERY_S = 1.0
DEADLINE_S = 0.9
# Counters, by what their rate is called, and what a second's difference is multiplied by.
RATES = {
    **{name: (f"{name}_per_s", 1.0) for name in (*metrics.COUNTERS.values(), *database.COUNTERS)},
    "db.wal_bytes": ("db.wal_mib_per_s", 1 / 1024**2),
    "engine_ack.sum_s": ("engine_ack.busy_ms_per_s", 1000.0),
}
ENGINE_ACK_MS = "engine_ack.mean_ms"
PSS, HEAP, ALL, SHARED, CPU = "pss_mib.", "heap_mib.", "all", "shared_mib", "cpu."
# All processes but the local chain: that stands for a cluster elsewhere, and has all accounts in memory.
ENGINE, LOCAL_CHAIN = "engine", "chain"
SAMPLER, OTHERS = "cpu.the sampler", "cpu.load and others"

Source = Callable[[], Awaitable[Mapping[str, float]]]


class Samples:
    """Values by name, and how many readings each source has missed."""

    def __init__(self) -> None:
        self._rows: list[tuple[float, dict[str, float]]] = []
        self.missed: Counter[str] = Counter()

    def add(self, at_s: float, values: dict[str, float]) -> None:
        """`at_s`: seconds since the epoch."""
        self._rows.append((at_s, values))

    def between(self, from_s: float, to_s: float) -> "Samples":
        """Those of a part of the time; they count from its beginning."""
        part = Samples()
        part.missed = self.missed
        part._rows = [(at_s - from_s, values) for at_s, values in self._rows if from_s <= at_s < to_s]
        return part

    def of(self, name: str) -> tuple[list[float], list[float]]:
        """When the value was read, and the values."""
        found = [(at_s, values[name]) for at_s, values in self._rows if name in values]
        return [at_s for at_s, _ in found], [value for _, value in found]

    def names(self) -> list[str]:
        return sorted({name for _, values in self._rows for name in values})

    def over_time(self, step_s: float, steps: int) -> dict[str, list[float | None]]:
        """The mean of each value in each interval; None where there is none."""
        found: dict[str, list[float | None]] = {}
        for name in self.names():
            parts: defaultdict[int, list[float]] = defaultdict(list)
            for at_s, value in zip(*self.of(name), strict=True):
                parts[int(at_s / step_s)].append(value)
            found[name] = [round(fmean(parts[n]), 4) if n in parts else None for n in range(steps)]
        return found


@asynccontextmanager
async def sampling(engine: OwnEngine) -> AsyncIterator[Samples]:
    """Sample while the block runs. Raises StoreUnavailable where the database cannot be reached at the beginning."""
    samples = Samples()
    pool = await open_pool(engine.database_url, size_max=1)
    try:
        async with httpx.AsyncClient(base_url=engine.base_url, timeout=DEADLINE_S) as http:
            processes, tables = ProcessSamples(engine.processes), DatabaseSamples(pool)
            sources: dict[str, Source] = {
                "processes": lambda: asyncio.to_thread(processes.read),
                "metrics": lambda: read_metrics(http),
                "database": tables.read,
            }
            task = asyncio.create_task(_run(samples, sources))
            try:
                yield samples
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
    finally:
        await close_pool(pool)


async def _run(samples: Samples, sources: Mapping[str, Source]) -> None:
    """At fixed times; a second that was missed is left out."""
    began_s, before, own_s = time.monotonic(), dict[str, float](), time.process_time()
    before_s = began_s
    psutil.cpu_percent()
    while True:
        read = await asyncio.gather(*(_reading(name, source, samples) for name, source in sources.items()))
        values: dict[str, float] = {name: value for part in read for name, value in part.items()}
        now_s = time.monotonic()
        passed_s, before_s = max(now_s - before_s, 1e-6), now_s
        used_s, own_s = time.process_time() - own_s, time.process_time()
        raw = {name: values.pop(name) for name in list(values) if name in RATES}
        values |= rates(before, raw, passed_s)
        before = raw
        _add_machine(values, used_s / passed_s)
        samples.add(time.time(), values)
        await asyncio.sleep(EVERY_S - (now_s - began_s) % EVERY_S)


async def _reading(name: str, source: Source, samples: Samples) -> Mapping[str, float]:
    try:
        async with asyncio.timeout(DEADLINE_S):
            return await source()
    except (TimeoutError, StoreError, httpx.HTTPError, ValueError, psutil.Error):
        samples.missed[name] += 1
        return {}


def rates(before: Mapping[str, float], now: Mapping[str, float], passed_s: float) -> dict[str, float]:
    """What counters rose by, a second; nothing of one that is new, or that began again."""
    rose = {name: now[name] - before[name] for name in now if now[name] >= before.get(name, float("inf"))}
    found = {RATES[name][0]: by * RATES[name][1] / passed_s for name, by in rose.items()}
    if rose.get("engine_ack.count"):
        found[ENGINE_ACK_MS] = rose.get("engine_ack.sum_s", 0.0) / rose["engine_ack.count"] * 1000
    return found


def _add_machine(values: dict[str, float], own_cpu: float) -> None:
    """Sums, and what is no part of the engine."""
    engine_cpu = sum(value for name, value in values.items() if name.startswith(CPU))
    busy = psutil.cpu_percent() / 100 * (psutil.cpu_count() or 1)
    if engine_cpu:
        values |= {SAMPLER: own_cpu, OTHERS: max(0.0, busy - engine_cpu - own_cpu)}
    for kind, of, without in ((PSS, ALL, ()), (HEAP, ENGINE, (HEAP + LOCAL_CHAIN,))):
        read = [value for name, value in values.items() if name.startswith(kind) and name not in without]
        if read:
            values[kind + of] = sum(read)
    values["memory.available_mib"] = psutil.virtual_memory().available / 1024**2


def steps_of(seconds: float) -> int:
    """Into how many intervals samples of so many seconds are put, at most."""
    return max(1, min(POINTS_MAX, int(seconds)))
