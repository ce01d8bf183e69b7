"""What a time of load cost the engine: processor time by part, and bytes of PostgreSQL's log."""

import os
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import psutil

from bench.engine import OwnEngine
from persistence.postgres.pool import Pool, close_pool, open_pool

LOG_POSITION = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"
# Processes report what they committed within a second.
COMMITS = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
FLUSHES = 50
PAGE = bytes(8_192)


@dataclass(frozen=True)
class Usage:
    """Of each group of processes: processor seconds since their start, and bytes (PSS)."""

    cpu_s: Mapping[str, float]
    memory: Mapping[str, int]


def usage_of(engine: OwnEngine) -> Usage:
    """As it is now; processes that have just ended are left out."""
    cpu_s: Counter[str] = Counter()
    memory: Counter[str] = Counter()
    for group, pids in engine.processes().items():
        for pid in pids:
            try:
                process = psutil.Process(pid)
                times = process.cpu_times()
                memory[group] += process.memory_full_info().pss
                cpu_s[group] += times.user + times.system
            except psutil.Error:
                continue
    return Usage(dict(cpu_s), dict(memory))


@dataclass
class Spent:
    """In the block of `UsageMeter.spent`, known at its end."""

    seconds: float = 0.0
    cpu_s: dict[str, float] = field(default_factory=dict)
    log_bytes: int = 0
    commits: int = 0

    def cores(self) -> dict[str, float]:
        """Processors that each part used on average."""
        return {part: round(cpu_s / self.seconds, 3) for part, cpu_s in sorted(self.cpu_s.items())}

    def us_per(self, part: str, count: float, idle: "Spent | None" = None) -> float:
        """Processor time (µs) of a part for each of so many things, above what it takes without load."""
        base_s = 0.0 if idle is None else idle.cpu_s.get(part, 0.0) / idle.seconds * self.seconds
        return max(0.0, self.cpu_s.get(part, 0.0) - base_s) / count * 1e6

    def per_commit(self, count: float, idle: "Spent") -> float:
        """So many things in one commit, on average; at least 1."""
        commits = self.commits - idle.commits / idle.seconds * self.seconds
        return max(1.0, count / commits) if commits > 0 else 1.0


class UsageMeter:
    """Reads the processor time of the engine's processes, and the position of the log."""

    def __init__(self, engine: OwnEngine, pool: Pool) -> None:
        self._engine = engine
        self._pool = pool

    @asynccontextmanager
    async def spent(self) -> AsyncIterator[Spent]:
        """What is spent in the block."""
        found = Spent()
        before, log_before = usage_of(self._engine).cpu_s, await self._pool.fetchval(LOG_POSITION)
        commits_before = await self._pool.fetchval(COMMITS)
        from_s = time.perf_counter()
        yield found
        found.seconds = time.perf_counter() - from_s
        after = usage_of(self._engine).cpu_s
        found.cpu_s = {part: after[part] - before.get(part, 0.0) for part in after}
        found.log_bytes = await self._pool.fetchval(LOG_POSITION) - log_before
        found.commits = await self._pool.fetchval(COMMITS) - commits_before


@asynccontextmanager
async def usage_meter(engine: OwnEngine) -> AsyncIterator[UsageMeter]:
    """A meter with a connection to the database of the engine."""
    pool = await open_pool(engine.database_url, size_max=1)
    try:
        yield UsageMeter(engine, pool)
    finally:
        await close_pool(pool)


def flush_ms() -> float:
    """The median time of `fdatasync` after a page of a file that is there already, as PostgreSQL's log is.

    Measured where the data of a bench's engine is, and before any load: afterwards it would wait for the data that the
    load has left to be written.
    """
    times = []
    with tempfile.TemporaryFile() as file:
        file.write(bytes(FLUSHES * len(PAGE)))
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        for _ in range(FLUSHES):
            file.write(PAGE)
            file.flush()
            from_s = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - from_s)
    return sorted(times)[FLUSHES // 2] * 1000
