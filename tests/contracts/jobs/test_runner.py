"""Workers on a real PostgreSQL: each job once, failures alone, leases, periodic jobs, and a stop that loses nothing."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from actors.workers import runner as runners
from actors.workers.job import Job, Later, Retry
from actors.workers.runner import Runner
from persistence.jobs.rows import JobRow
from persistence.jobs.store import Claimed, JobRecord, JobStore, complete_within
from persistence.postgres.errors import StoreUnavailable
from persistence.postgres.pool import Pool
from tests.faults.scene import until

Run = Callable[[Sequence[Claimed]], Awaitable[Sequence[Later]]]


class Plain(Job):
    """Does what the test says."""

    kind = "plain"
    batch_max = 10
    retry = Retry(attempts_max=3, first_ms=1, longest_ms=2)

    def __init__(self, run: Run) -> None:
        self._run = run

    async def run(self, jobs: Sequence[Claimed]) -> Sequence[Later]:
        return await self._run(jobs)


class Gathering(Plain):
    gather_s = 0.1


class Often(Plain):
    kind = "often"
    every_ms = 10
    batch_max = 1


@pytest.fixture
async def jobs(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> JobStore:
    """An empty table, and workers that wait for nothing."""
    monkeypatch.setattr(runners, "POLL_S", 0.01)
    monkeypatch.setattr(runners, "OUTAGE_S", 0.01)
    await pool.execute("DELETE FROM jobs")
    return JobStore(pool)


@asynccontextmanager
async def working(*workers: Runner) -> AsyncIterator[None]:
    """Workers at work, stopped in the end."""
    tasks = [asyncio.create_task(worker.run()) for worker in workers]
    try:
        yield
    finally:
        for worker in workers:
            worker.stop()
        await asyncio.wait_for(asyncio.gather(*tasks), 20)


def rows(count: int) -> list[JobRow]:
    return [JobRow("plain", f"{number:03}") for number in range(count)]


async def left(jobs: JobStore) -> list[JobRecord]:
    return await jobs.page("plain", None, ("", ""), 1_000)


def none_left(jobs: JobStore) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return not await left(jobs)

    return check


async def test_two_workers_do_each_job_once_and_together_with_its_effect(jobs: JobStore, pool: Pool):
    await pool.execute("CREATE TABLE effects (key text)")
    by: Counter[str] = Counter()

    def job(worker: str) -> Plain:
        async def run(batch: Sequence[Claimed]) -> list[Later]:
            async with pool.acquire() as connection, connection.transaction():
                await connection.executemany("INSERT INTO effects VALUES ($1)", [(one.key,) for one in batch])
                await complete_within(connection, batch)
            by[worker] += len(batch)
            return []

        return Plain(run)

    await jobs.add(rows(300))
    async with working(*(Runner(jobs, [job(worker)], worker) for worker in ("a", "b"))):
        await until(none_left(jobs), "all are done")
    effects = [row[0] for row in await pool.fetch("SELECT key FROM effects ORDER BY key")]
    assert effects == [row.key for row in rows(300)]
    assert sum(by.values()) == 300
    assert len(by) == 2


async def test_a_job_that_always_fails_ends_dead_holds_up_no_other_and_can_be_retried(jobs: JobStore):
    done, mended = list[str](), False

    async def run(batch: Sequence[Claimed]) -> list[Later]:
        if not mended and any(one.key == "004" for one in batch):
            raise ZeroDivisionError("a fault of ours")
        done.extend(one.key for one in batch)
        return []

    async def is_dead() -> bool:
        return [one.state for one in await left(jobs)] == ["dead"]

    await jobs.add(rows(20))
    async with working(Runner(jobs, [Plain(run)], "w")):
        await until(is_dead, "one is dead, and the others are done")
        [dead] = await left(jobs)
        assert (dead.key, dead.attempts, dead.error) == ("004", 3, "ZeroDivisionError('a fault of ours')")
        assert sorted(done) == [row.key for row in rows(20) if row.key != "004"]
        mended = True
        assert await jobs.retry("plain", "004")
        await until(none_left(jobs), "it is done")
    assert done.count("004") == 1


async def test_an_outage_is_no_failure(jobs: JobStore):
    outages = [StoreUnavailable("away")] * 10

    async def run(batch: Sequence[Claimed]) -> list[Later]:
        if outages:
            raise outages.pop()
        return []

    await jobs.add(rows(1))
    async with working(Runner(jobs, [Plain(run)], "w")):
        await until(none_left(jobs), "it is done")
    assert outages == []


async def test_what_can_not_be_done_yet_runs_again(jobs: JobStore):
    runs: Counter[str] = Counter()

    async def run(batch: Sequence[Claimed]) -> list[Later]:
        runs.update(one.key for one in batch)
        assert {one.attempts for one in batch} == {1}
        return [Later(one, 1) for one in batch if runs[one.key] < 5]

    await jobs.add(rows(2))
    async with working(Runner(jobs, [Plain(run)], "w")):
        await until(none_left(jobs), "both are done")
    assert runs == {"000": 5, "001": 5}


async def test_a_periodic_job_runs_on_one_worker_at_a_time_and_goes_on_whatever_happens(jobs: JobStore):
    faults: list[Exception] = [StoreUnavailable("away"), ValueError("a fault")] * 5
    runs = at_once = most = 0

    async def run(_: Sequence[Claimed]) -> list[Later]:
        nonlocal runs, at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0)
        at_once -= 1
        if faults:
            raise faults.pop()
        runs += 1
        return []

    class Impatient(Often):
        retry = Retry(attempts_max=1, first_ms=1, longest_ms=1)

    async with working(*(Runner(jobs, [Impatient(run)], worker) for worker in "abc")):
        await until(lambda: runs >= 20, "it has run often", 20)
    assert most == 1
    [job] = await jobs.page("often", None, ("", ""), 10)
    assert (job.state, job.error) == ("waiting", None)


async def test_jobs_gather_between_the_batches_of_a_kind_that_wants_it_so(jobs: JobStore):
    batches: list[tuple[float, int]] = []

    async def run(batch: Sequence[Claimed]) -> list[Later]:
        batches.append((asyncio.get_running_loop().time(), len(batch)))
        return []

    await jobs.add(rows(15))
    async with working(Runner(jobs, [Gathering(run)], "a")):
        await until(none_left(jobs), "all are done")
    assert [size for _, size in batches] == [1, 2, 4, 8]
    assert all(later - before >= Gathering.gather_s for (before, _), (later, _) in pairwise(batches))


async def test_a_lease_lasts_as_long_as_the_work(jobs: JobStore, pool: Pool):
    short = JobStore(pool, lease_ms=200)
    began, may_end = asyncio.Event(), asyncio.Event()
    starts = 0

    async def run(_: Sequence[Claimed]) -> list[Later]:
        nonlocal starts
        starts += 1
        began.set()
        await may_end.wait()
        return []

    await jobs.add(rows(1))
    async with working(*(Runner(short, [Plain(run)], worker) for worker in "ab")):
        await began.wait()
        [job] = await left(jobs)
        # Extended four times.
        await until(lambda: _extended(jobs, job.run_at + 300), "the lease is extended")
        may_end.set()
        await until(none_left(jobs), "it is done")
    assert starts == 1


async def test_a_job_whose_workers_all_died_is_dead(jobs: JobStore, pool: Pool):
    async def run(batch: Sequence[Claimed]) -> list[Later]:
        raise AssertionError(f"it is not tried again: {batch}")

    await jobs.add(rows(1))
    for _ in range(3):
        # Each of them dies, and its lease ends.
        assert await jobs.claim({"plain": 1}, "dies")
        await pool.execute("UPDATE jobs SET run_at = 0")

    async def is_dead() -> bool:
        return [one.state for one in await left(jobs)] == ["dead"]

    async with working(Runner(jobs, [Plain(run)], "w")):
        await until(is_dead, "it is dead")
    assert [one.attempts for one in await left(jobs)] == [3]


async def test_a_stop_waits_for_what_runs_and_puts_back_what_takes_too_long(
    jobs: JobStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(runners, "DRAIN_S", 0.1)
    began = asyncio.Event()

    async def run(_: Sequence[Claimed]) -> list[Later]:
        began.set()
        await asyncio.Event().wait()
        return []

    await jobs.add(rows(1))
    async with working(Runner(jobs, [Plain(run)], "w")):
        await began.wait()
    [job] = await left(jobs)
    assert (job.state, job.attempts, job.worker) == ("waiting", 0, None)


async def test_a_worker_waits_for_the_database(jobs: JobStore, monkeypatch: pytest.MonkeyPatch):
    failures = [StoreUnavailable("away")] * 5
    claim = JobStore.claim

    async def sometimes(store: JobStore, *args: Any) -> list[Claimed]:
        if failures:
            raise failures.pop()
        return await claim(store, *args)

    async def run(_: Sequence[Claimed]) -> list[Later]:
        return []

    monkeypatch.setattr(JobStore, "claim", sometimes)
    await jobs.add(rows(1))
    async with working(Runner(jobs, [Plain(run)], "w")):
        await until(none_left(jobs), "it is done")


@pytest.mark.parametrize(("attempts", "expected_ms"), [(1, 1_000), (2, 2_000), (5, 16_000), (30, 300_000)])
def test_the_time_between_attempts_doubles_up_to_a_maximum(attempts: int, expected_ms: int):
    assert Retry().delay_ms(attempts, 0.0) == expected_ms
    assert Retry().delay_ms(attempts, 1.0) == expected_ms // 2


async def _extended(jobs: JobStore, beyond_ms: int) -> bool:
    return any(one.run_at >= beyond_ms for one in await left(jobs))
