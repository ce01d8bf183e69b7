"""Chain jobs and transactions: leases, what may be sent, and ends that happen once wherever they are cut."""

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from persistence.chain.jobs import ChainJobs
from persistence.chain.rows import ChainJob, ChainJobRow, DoneJob, OpenTransaction, Outcome, PoisonedJob, SignedRow
from persistence.jobs.store import LeaseLost
from persistence.postgres.errors import StoreError
from persistence.postgres.pool import Pool
from tests.contracts.sales.sale_scenes import CutConnection

_numbers = itertools.count(1)
STATE = "SELECT state FROM chain_transactions"


class Effects:
    """Counts in the database, in the transaction of the end."""

    async def done(self, connection: Any, jobs: Sequence[DoneJob]) -> None:
        await connection.execute("INSERT INTO ended SELECT unnest($1::bigint[]), 'done'", [one.job.id for one in jobs])

    async def poisoned(self, connection: Any, jobs: Sequence[PoisonedJob]) -> None:
        ids = [one.job.id for one in jobs]
        await connection.execute("INSERT INTO ended SELECT unnest($1::bigint[]), 'poisoned'", ids)


@pytest.fixture
async def jobs(pool: Pool) -> ChainJobs:
    """Empty tables."""
    await pool.execute("DELETE FROM assets; DELETE FROM collections; DELETE FROM chain_jobs")
    await pool.execute("DELETE FROM chain_transactions")
    await pool.execute("CREATE TABLE IF NOT EXISTS ended (job_id bigint, how text); DELETE FROM ended")
    return ChainJobs(pool)


def row(jobs: Sequence[ChainJob], height: int = 100) -> SignedRow:
    return SignedRow(f"signature-{next(_numbers)}", b"raw", "payer", height, tuple(job.id for job in jobs))


async def claimed(jobs: ChainJobs, count: int, worker: str = "a") -> list[ChainJob]:
    await jobs.add([ChainJobRow("k", f"key-{next(_numbers)}") for _ in range(count)])
    return await jobs.claim({"k": count}, worker)


async def signed(jobs: ChainJobs, count: int) -> tuple[OpenTransaction, list[ChainJob]]:
    mine = await claimed(jobs, count)
    [stored] = await jobs.store_signed(claim_of(mine), [row(mine)], "a")
    return stored, mine


def claim_of(jobs: Sequence[ChainJob]) -> uuid.UUID:
    claim = jobs[0].claim
    assert claim is not None
    return claim


async def states(pool: Pool) -> list[tuple[Any, ...]]:
    rows = await pool.fetch("SELECT state, attempts, faults, batch_max FROM chain_jobs ORDER BY job_id")
    return [tuple(one) for one in rows]


async def ended(pool: Pool) -> list[str]:
    return [one["how"] for one in await pool.fetch("SELECT how FROM ended ORDER BY job_id")]


async def test_a_job_is_claimed_by_one_actor_until_its_lease_ends(jobs: ChainJobs, pool: Pool):
    await jobs.add([ChainJobRow("k", "1"), ChainJobRow("k", "2"), ChainJobRow("other", "1")])
    await jobs.add([ChainJobRow("k", "1", b"other")])
    both = await asyncio.gather(jobs.claim({"k": 10}, "a"), jobs.claim({"k": 10}, "b"))
    assert sorted(job.key for claim in both for job in claim) == ["1", "2"]
    assert await jobs.claim({"k": 10}, "c") == []
    await pool.execute("UPDATE chain_jobs SET not_before = 0 WHERE kind = 'k'")
    assert len(await jobs.claim({"k": 10}, "c")) == 2


async def test_an_actor_that_has_lost_its_claim_stores_no_transaction(jobs: ChainJobs, pool: Pool):
    mine = await claimed(jobs, 3)
    await pool.execute("UPDATE chain_jobs SET not_before = 0")
    [taken, *_] = await jobs.claim({"k": 1}, "b")
    with pytest.raises(LeaseLost):
        await jobs.store_signed(claim_of(mine), [row(mine)], "a")
    assert await pool.fetchval("SELECT count(*) FROM chain_transactions") == 0
    assert [state for state, *_ in await states(pool)] == ["queued"] * 3
    [stored] = await jobs.store_signed(claim_of([taken]), [row([taken])], "b")
    assert stored.raw == b"raw"


async def test_transactions_of_a_dead_actor_are_taken_over_once(jobs: ChainJobs, pool: Pool):
    stored, _ = await signed(jobs, 2)
    assert await jobs.take("b", 10) == []
    await pool.execute("UPDATE chain_transactions SET lease_until = 0")
    taken = await asyncio.gather(jobs.take("b", 10), jobs.take("c", 10))
    assert [one for batch in taken for one in batch] == [stored]
    # The dead one was only slow: it does not take it back.
    await pool.execute("UPDATE chain_transactions SET lease_until = 0, worker = 'b'")
    await jobs.extend("a", {stored.id: 3})
    assert await pool.fetchval("SELECT (lease_until, sends) = (0, 0) FROM chain_transactions")


async def test_what_has_landed_is_done_once_whoever_says_so(jobs: ChainJobs, pool: Pool):
    stored, mine = await signed(jobs, 3)
    counts = await asyncio.gather(
        *(jobs.finish([Outcome(stored.id, "landed", 7)], Effects()) for _ in range(3)),
        jobs.finish([Outcome(stored.id, "expired")], Effects()),
    )
    done = await pool.fetchval("SELECT state FROM chain_transactions") == "landed"
    assert sorted(map(len, counts)) == ([0, 0, 0, 3] if done else [0, 0, 0, 0])
    assert await ended(pool) == (["done"] * 3 if done else [])
    assert len(mine) == 3


async def test_a_failed_batch_is_halved_and_a_job_that_fails_alone_is_poisoned(jobs: ChainJobs, pool: Pool):
    stored, _ = await signed(jobs, 5)
    assert await jobs.finish([Outcome(stored.id, "failed", 7, "bad")], Effects()) == []
    assert await states(pool) == [("queued", 1, 0, 3)] * 5
    for faults in (1, 2):
        await pool.execute("UPDATE chain_jobs SET not_before = 0")
        [job] = await jobs.claim({"k": 1}, "a")
        [alone] = await jobs.store_signed(claim_of([job]), [row([job])], "a")
        await jobs.finish([Outcome(alone.id, "failed", 8, "bad")], Effects())
        found = await pool.fetchrow("SELECT state, faults, error FROM chain_jobs WHERE job_id = $1", job.id)
        assert tuple(found or ()) == (("queued", 1, "bad") if faults == 1 else ("poisoned", 1, "bad"))
        await pool.execute("UPDATE chain_jobs SET not_before = 1 WHERE job_id <> $1", job.id)
    assert await ended(pool) == ["poisoned"]


async def test_jobs_wait_for_another_one_and_share_its_fate(jobs: ChainJobs, pool: Pool):
    [first], [second] = await claimed(jobs, 1), await claimed(jobs, 1)
    for key, after in (("x", first), ("y", second)):
        await jobs.add([ChainJobRow("k", key)])
        await pool.execute(
            "UPDATE chain_jobs SET after_job = $1, not_before = 9223372036854775807 WHERE key = $2", after.id, key
        )
    assert await jobs.claim({"k": 10}, "a") == []
    await jobs.finish_claimed([DoneJob(first, 5, None)], [], Effects())
    assert [job.key for job in await jobs.claim({"k": 10}, "a")] == ["x"]
    await jobs.finish_claimed([], [PoisonedJob(second, "no room")], Effects())
    reason = await pool.fetchval("SELECT error FROM chain_jobs WHERE key = 'y' AND state = 'poisoned'")
    assert "no room" in reason


async def test_a_job_that_ends_with_the_one_that_it_waits_for_is_counted_once(jobs: ChainJobs, pool: Pool):
    first, second = await claimed(jobs, 2)
    await pool.execute("UPDATE chain_jobs SET after_job = $1 WHERE job_id = $2", first.id, second.id)
    await jobs.finish_claimed([], [PoisonedJob(one, "unfit") for one in (first, second)], Effects())
    assert await ended(pool) == ["poisoned", "poisoned"]


@asynccontextmanager
async def fragile(database_url: str) -> AsyncIterator[ChainJobs]:
    """The store over connections that can be cut."""
    CutConnection.cut_at(None)
    pool = await asyncpg.create_pool(database_url, min_size=1, max_size=1, connection_class=CutConnection)
    try:
        yield ChainJobs(pool)
    finally:
        CutConnection.cut_at(None)
        pool.terminate()


@pytest.mark.parametrize("after", [False, True])
async def test_storing_that_is_cut_off_leaves_all_jobs_queued_or_all_signed(
    jobs: ChainJobs, pool: Pool, database_url: str, after: bool
):
    for step in itertools.count(1):
        mine = await claimed(jobs, 4)
        rows, cut = [row(mine[:3]), row(mine[3:])], True
        async with fragile(database_url) as broken:
            CutConnection.cut_at(step, after=after)
            try:
                await broken.store_signed(claim_of(mine), rows, "a")
                cut = False
            except StoreError:
                pass
        found = await pool.fetch(
            "SELECT state, transaction_id IS NOT NULL, (SELECT count(*) FROM chain_transactions WHERE signature ="
            " ANY($2::text[])) FROM chain_jobs WHERE job_id = ANY($1::bigint[])",
            [job.id for job in mine], [one.signature for one in rows],
        )  # fmt: skip
        assert {tuple(one) for one in found} in ({("queued", False, 0)}, {("signed", True, 2)})
        if not cut:
            assert step > 3, "there was something to cut"
            return


@pytest.mark.parametrize("after", [False, True])
async def test_an_end_that_is_cut_off_at_any_statement_happens_once(
    jobs: ChainJobs, pool: Pool, database_url: str, after: bool
):
    for step in itertools.count(1):
        await pool.execute("DELETE FROM ended")
        stored, _ = await signed(jobs, 3)
        outcome, cut = Outcome(stored.id, "landed", 9), True
        async with fragile(database_url) as broken:
            CutConnection.cut_at(step, after=after)
            try:
                await broken.finish([outcome], Effects())
                cut = False
            except StoreError:
                pass
        # Another actor goes on, once the database has seen that the first one is gone.
        async with asyncio.timeout(20):
            while await pool.fetchval(f"{STATE} WHERE transaction_id = $1", stored.id) == "signed":
                await jobs.finish([outcome], Effects())
        assert await ended(pool) == ["done"] * 3, step
        if not cut:
            assert step > 5, "there was something to cut"
            return


async def test_a_claim_reads_few_rows_of_a_long_queue(jobs: ChainJobs, pool: Pool):
    await pool.execute("INSERT INTO chain_jobs (kind, key) SELECT 'k', n::text FROM generate_series(1, 100000) AS n")
    await pool.execute("ANALYZE chain_jobs")
    plan = await pool.fetch(
        "EXPLAIN SELECT job_id FROM chain_jobs WHERE kind = 'k' AND state = 'queued' AND not_before <= 5"
        " ORDER BY not_before, job_id LIMIT 256 FOR NO KEY UPDATE SKIP LOCKED"
    )
    assert any("chain_jobs_due" in line[0] for line in plan), plan
    assert not any("Sort" in line[0] or "Seq Scan" in line[0] for line in plan), plan
    assert len(await jobs.claim({"k": 256}, "a")) == 256
