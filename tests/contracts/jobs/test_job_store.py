"""The job table on a real PostgreSQL: leases, retries, dead jobs, and who may finish what."""

import asyncio

import asyncpg
import pytest

from persistence.jobs.rows import JobRow, insert_jobs
from persistence.jobs.store import Claimed, JobStore, LeaseLost, PutBack, complete_within
from persistence.postgres.pool import Pool

FAR_FUTURE_MS = 4_000_000_000_000
ALL = ("", "")


@pytest.fixture
async def jobs(pool: Pool) -> JobStore:
    """An empty table."""
    await pool.execute("DELETE FROM jobs")
    return JobStore(pool)


async def states(jobs: JobStore) -> dict[tuple[str, str], str]:
    return {(job.kind, job.key): job.state for job in await jobs.page(None, None, ALL, 100)}


async def end_leases(pool: Pool) -> None:
    """As time would."""
    await pool.execute("UPDATE jobs SET run_at = 0 WHERE claim IS NOT NULL")


async def test_a_job_is_added_once_and_claimed_by_one_worker(jobs: JobStore):
    await jobs.add([JobRow("a", "1", b'{"x": 1}'), JobRow("a", "2")])
    await jobs.add([JobRow("a", "1", b"other"), JobRow("b", "1")])
    claims = await asyncio.gather(*(jobs.claim({"a": 10, "b": 10}, f"w{n}") for n in range(4)))
    taken = [(job.kind, job.key, job.payload, job.attempts) for claim in claims for job in claim]
    assert sorted(taken) == [("a", "1", b'{"x": 1}', 1), ("a", "2", b"", 1), ("b", "1", b"", 1)]
    assert await states(jobs) == {("a", "1"): "running", ("a", "2"): "running", ("b", "1"): "running"}


async def test_the_longest_due_come_first_and_what_is_not_due_waits(jobs: JobStore):
    await jobs.add(
        [JobRow("a", "late", b"", 20), JobRow("a", "first", b"", 10), JobRow("a", "not yet", b"", FAR_FUTURE_MS)]
    )
    assert [job.key for job in await jobs.claim({"a": 1}, "w")] == ["first"]
    assert [job.key for job in await jobs.claim({"a": 5}, "w")] == ["late"]
    assert await jobs.claim({"a": 5, "b": 5}, "w") == []


async def test_when_a_lease_ends_another_worker_has_the_job_and_the_first_can_not_finish_it(jobs: JobStore, pool: Pool):
    await jobs.add([JobRow("a", "1")])
    [first] = await jobs.claim({"a": 1}, "slow")
    await end_leases(pool)
    [second] = await jobs.claim({"a": 1}, "next")
    assert second.attempts == 2
    await jobs.complete([first])
    await jobs.put_back([PutBack(first, 0, 1, "late", dead=True)])
    assert await states(jobs) == {("a", "1"): "running"}
    async with pool.acquire() as connection:
        with pytest.raises(LeaseLost):
            async with connection.transaction():
                await complete_within(connection, [first])
        async with connection.transaction():
            await complete_within(connection, [second])
    assert await states(jobs) == {}


async def test_a_lease_is_extended(pool: Pool):
    await pool.execute("DELETE FROM jobs")
    jobs = JobStore(pool, lease_ms=60_000)
    await jobs.add([JobRow("a", "1")])
    [job] = await jobs.claim({"a": 1}, "w")
    await end_leases(pool)
    await jobs.extend([job.claim])
    assert await jobs.claim({"a": 1}, "other") == []


async def test_the_lease_of_one_kind_does_not_hold_the_jobs_of_another(pool: Pool):
    """A worker whose end of the one was not recorded works on the other for long."""
    await pool.execute("DELETE FROM jobs")
    jobs = JobStore(pool, lease_ms=60_000)
    await jobs.add([JobRow("short", "1"), JobRow("long", "1")])
    claims = {job.kind: job.claim for job in await jobs.claim({"short": 1, "long": 1}, "w")}
    await end_leases(pool)
    await jobs.extend([claims["long"]])
    assert [job.kind for job in await jobs.claim({"short": 1, "long": 1}, "other")] == ["short"]


async def test_a_job_is_done_together_with_its_effect_or_not_at_all(jobs: JobStore, pool: Pool):
    await jobs.add([JobRow("a", "1")])
    [job] = await jobs.claim({"a": 1}, "w")
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await complete_within(connection, [job])
        await transaction.rollback()
    assert await states(jobs) == {("a", "1"): "running"}


async def test_failed_jobs_run_again_and_dead_ones_when_an_operator_says_so(jobs: JobStore):
    await jobs.add([JobRow("a", "1"), JobRow("a", "2"), JobRow("b", "1")])
    claimed = {(job.kind, job.key): job for job in await jobs.claim({"a": 5, "b": 5}, "w")}
    one, two = claimed["a", "1"], claimed["a", "2"]
    await jobs.put_back([PutBack(one, 3_600_000, 1, "no answer"), PutBack(two, 0, 5, "x" * 900, dead=True)])
    assert await states(jobs) == {("a", "1"): "waiting", ("a", "2"): "dead", ("b", "1"): "running"}
    assert await jobs.claim({"a": 5}, "w") == []
    [dead] = await jobs.page("a", "dead", ALL, 10)
    assert (dead.key, dead.attempts, dead.error, dead.worker) == ("2", 5, "x" * 500, None)
    assert not await jobs.retry("a", "1")
    assert await jobs.retry("a", "2")
    assert not await jobs.retry("a", "2")
    assert [(job.key, job.attempts) for job in await jobs.claim({"a": 5}, "w")] == [("2", 1)]


async def test_a_job_that_is_added_again_while_it_runs_runs_once_more(jobs: JobStore):
    await jobs.add_again([JobRow("a", "1")])
    await jobs.add_again([JobRow("a", "1")])
    [first] = await jobs.claim({"a": 5}, "w")
    await jobs.add_again([JobRow("a", "1")])
    await jobs.complete([first])
    [second] = await jobs.claim({"a": 5}, "w")
    await jobs.complete([second])
    assert await states(jobs) == {}


async def test_how_many_there_are_of_each_kind_and_how_late(jobs: JobStore, pool: Pool):
    await jobs.add([JobRow("a", str(n)) for n in range(4)] + [JobRow("b", "1", b"", FAR_FUTURE_MS)])
    await pool.execute(
        "UPDATE jobs SET created_at = 0, run_at = extract(epoch FROM now()) * 1000 - 60000 WHERE kind = 'a'"
    )
    one, two = await jobs.claim({"a": 2}, "w")
    await jobs.put_back([PutBack(two, 0, 1, dead=True)])
    of_a, of_b = await jobs.status()
    assert (of_a.kind, of_a.waiting, of_a.running, of_a.dead) == ("a", 2, 1, 1)
    assert 60_000 <= of_a.oldest_due_ms < 120_000
    assert (of_b.kind, of_b.waiting, of_b.oldest_due_ms) == ("b", 1, 0)
    assert one.key != two.key


async def test_pages_go_on_where_the_last_one_ended(jobs: JobStore):
    await jobs.add([JobRow(kind, key) for kind in "ab" for key in "12"])
    first = await jobs.page(None, None, ALL, 3)
    rest = await jobs.page(None, None, (first[-1].kind, first[-1].key), 3)
    assert [(job.kind, job.key) for job in (*first, *rest)] == [("a", "1"), ("a", "2"), ("b", "1"), ("b", "2")]
    assert await jobs.get("a", "3") is None


async def test_whoever_listens_hears_of_due_jobs_and_only_of_those(jobs: JobStore, pool: Pool, database_url: str):
    heard: asyncio.Queue[object] = asyncio.Queue()
    listener = await asyncpg.connect(database_url)
    try:
        await listener.add_listener("jobs", lambda *_: heard.put_nowait("jobs"))
        await jobs.add([JobRow("a", "later", b"", FAR_FUTURE_MS)])
        await pool.execute("SELECT pg_notify('jobs', 'marker')")
        await jobs.add([JobRow("a", "1"), JobRow("a", "2")])
        async with asyncio.timeout(10):
            assert [await heard.get(), await heard.get()] == ["jobs", "jobs"]
        assert heard.empty()
    finally:
        await listener.close()


async def test_jobs_are_added_by_a_part_of_another_statement(jobs: JobStore, pool: Pool):
    statement = f"WITH jobs_added AS ({insert_jobs(2)}) SELECT $1::int"
    assert await pool.fetchval(statement, 7, ["a"], ["1"], [b""], [0]) == 7
    [job] = await jobs.claim({"a": 1}, "w")
    assert isinstance(job, Claimed)
