"""Jobs for the chain: claiming them, storing the transactions that do them, and finishing them.

A minting actor claims queued jobs under a lease, and stores signed transactions for them before it sends any. From
then on a job belongs to its transaction, which anyone may send and watch. Each change checks the state that it leaves,
so two actors that do the same change it once. The database's clock decides about leases.
"""

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from domain.minting.landing import Poison, Retry, Tried, after_expiry, after_failure
from persistence.chain.rows import (
    NEVER_MS,
    ChainJob,
    ChainJobRow,
    DoneJob,
    FinishedJob,
    OpenTransaction,
    Outcome,
    PoisonedJob,
    SignedRow,
    insert_chain_jobs,
)
from persistence.jobs.store import NOW_MS, LeaseLost
from persistence.postgres.guard import guard, guarded

CLAIM_LEASE_MS = 15_000
SEND_LEASE_MS = 5_000
ERROR_MAX = 1_000
BATCH_TIMEOUT_S = 30.0

_COLUMNS = "job_id, kind, key, payload, attempts, faults, batch_max, mint_id, claim"
_CLAIM = f"""
    WITH picked AS MATERIALIZED (
        SELECT due.job_id FROM unnest($1::text[], $2::int[]) AS wanted (kind, jobs_max), LATERAL (
            SELECT job_id FROM chain_jobs WHERE chain_jobs.kind = wanted.kind AND state = 'queued'
                AND not_before <= {NOW_MS}
            ORDER BY not_before, job_id LIMIT wanted.jobs_max FOR NO KEY UPDATE SKIP LOCKED
        ) AS due
    ), siblings AS MATERIALIZED (
        SELECT job_id FROM chain_jobs WHERE state = 'queued' AND not_before <= {NOW_MS} AND together IN (
            SELECT together FROM chain_jobs JOIN picked USING (job_id) WHERE together IS NOT NULL
        ) AND job_id NOT IN (SELECT job_id FROM picked) FOR NO KEY UPDATE SKIP LOCKED
    ), taken AS (
        SELECT job_id FROM picked UNION ALL SELECT job_id FROM siblings
    )
    UPDATE chain_jobs SET claim = $3, worker = $4, not_before = {NOW_MS} + $5::int
    FROM taken WHERE chain_jobs.job_id = taken.job_id
    RETURNING {", ".join(f"chain_jobs.{column}" for column in _COLUMNS.split(", "))}
"""
_PUT_BACK = f"""
    UPDATE chain_jobs SET claim = NULL, worker = NULL, not_before = {NOW_MS} + $3::bigint
    WHERE claim = $1 AND state = 'queued' AND job_id = ANY($2::bigint[])
"""
_SIGN = f"""
    WITH given AS (
        SELECT next_id() AS transaction_id, * FROM unnest($1::text[], $2::bytea[], $3::text[], $4::bigint[], $5::int[])
            AS u (signature, raw, payer, last_valid_height, jobs)
    ), stored AS (
        INSERT INTO chain_transactions
            (transaction_id, signature, raw, payer, last_valid_height, jobs, worker, lease_until)
        SELECT transaction_id, signature, raw, payer, last_valid_height, jobs, $6, {NOW_MS} + $7::int FROM given
    ) SELECT signature, transaction_id FROM given
"""
_SIGNED = """
    UPDATE chain_jobs SET state = 'signed', transaction_id = given.transaction_id, attempts = attempts + 1,
        claim = NULL, worker = NULL, error = NULL
    FROM unnest($2::bigint[], $3::bigint[]) AS given (job_id, transaction_id)
    WHERE chain_jobs.job_id = given.job_id AND claim = $1 AND state = 'queued'
"""
_TAKE = f"""
    WITH picked AS MATERIALIZED (
        SELECT transaction_id FROM chain_transactions WHERE state = 'signed' AND lease_until <= {NOW_MS}
        ORDER BY lease_until LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE chain_transactions t SET worker = $1, lease_until = {NOW_MS} + $2::int FROM picked
    WHERE t.transaction_id = picked.transaction_id
    RETURNING t.transaction_id, signature, raw, last_valid_height
"""
_EXTEND = f"""
    UPDATE chain_transactions t SET sends = t.sends + given.sends, lease_until = {NOW_MS} + $3::int
    FROM unnest($1::bigint[], $2::int[]) AS given (transaction_id, sends)
    WHERE t.transaction_id = given.transaction_id AND state = 'signed' AND worker = $4
"""
_FINISH = f"""
    UPDATE chain_transactions t SET state = given.state, slot = given.slot, error = given.error, raw = NULL,
        finished_at = {NOW_MS}
    FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[]) AS given (transaction_id, state, slot, error)
    WHERE t.transaction_id = given.transaction_id AND t.state = 'signed'
    RETURNING t.transaction_id, t.signature, t.jobs, given.state, given.slot, given.error
"""
_JOBS_OF = f"""
    SELECT transaction_id, {_COLUMNS} FROM chain_jobs WHERE transaction_id = ANY($1::bigint[]) AND state = 'signed'
    ORDER BY job_id FOR NO KEY UPDATE
"""
_DONE = f"""
    UPDATE chain_jobs SET state = 'done', error = NULL, claim = NULL, worker = NULL, finished_at = {NOW_MS}
    WHERE job_id = ANY($1::bigint[]) RETURNING kind, finished_at - created_at
"""
_AGAIN = f"""
    UPDATE chain_jobs SET state = 'queued', transaction_id = NULL, claim = NULL, worker = NULL,
        faults = given.faults, batch_max = given.batch_max,
        not_before = {NOW_MS} + given.delay_ms, error = given.error
    FROM unnest($1::bigint[], $2::int[], $3::int[], $4::bigint[], $5::text[])
        AS given (job_id, faults, batch_max, delay_ms, error)
    WHERE chain_jobs.job_id = given.job_id
"""
_POISON = f"""
    UPDATE chain_jobs SET state = 'poisoned', claim = NULL, worker = NULL, finished_at = {NOW_MS}, error = given.reason
    FROM unnest($1::bigint[], $2::text[]) AS given (job_id, reason)
    WHERE chain_jobs.job_id = given.job_id
"""
# Jobs that wait for a poisoned one are poisoned with it.
_WAITING = f"""
    SELECT {_COLUMNS}, after_job FROM chain_jobs WHERE after_job = ANY($1::bigint[]) AND state = 'queued'
    ORDER BY job_id FOR NO KEY UPDATE
"""
_RELEASE = f"""
    UPDATE chain_jobs SET not_before = {NOW_MS} WHERE after_job = ANY($1::bigint[]) AND state = 'queued'
        AND not_before = {NEVER_MS}
"""
# What waits for a job of these transactions.
_RELEASE_EARLY = f"""
    UPDATE chain_jobs w SET not_before = {NOW_MS} FROM chain_jobs j
    WHERE j.transaction_id = ANY($1::bigint[]) AND j.state = 'signed'
        AND w.after_job = j.job_id AND w.state = 'queued' AND w.not_before = {NEVER_MS}
"""
_CLAIMED = f"""
    SELECT {_COLUMNS} FROM chain_jobs WHERE claim = $1 AND state = 'queued' AND job_id = ANY($2::bigint[])
    ORDER BY job_id FOR NO KEY UPDATE
"""


Recorded = Callable[[PoolConnectionProxy], Awaitable[None]]


class Effects(Protocol):
    """What follows from a change of jobs, in the transaction of that change. Jobs of several kinds come together."""

    async def done(self, connection: PoolConnectionProxy, jobs: Sequence[DoneJob]) -> None: ...
    async def poisoned(self, connection: PoolConnectionProxy, jobs: Sequence[PoisonedJob]) -> None: ...


class ChainJobs:
    """The tables ``chain_jobs`` and ``chain_transactions``. Every method may raise StoreUnavailable."""

    def __init__(
        self, pool: asyncpg.Pool, claim_lease_ms: int = CLAIM_LEASE_MS, send_lease_ms: int = SEND_LEASE_MS
    ) -> None:
        self._pool = pool
        self._claim_lease_ms = claim_lease_ms
        self._send_lease_ms = send_lease_ms

    @property
    def send_lease_ms(self) -> int:
        """For how long a transaction belongs to the actor that sends it."""
        return self._send_lease_ms

    async def add(self, jobs: Sequence[ChainJobRow]) -> None:
        """Add these; one that is in the table already stays as it is."""
        columns = [[job.kind for job in jobs], [job.key for job in jobs], [job.payload for job in jobs]]
        await guarded(self._pool.execute(insert_chain_jobs(), *columns))

    async def claim(self, jobs_max: Mapping[str, int], worker: str) -> list[ChainJob]:
        """Claim queued jobs that are due: at most so many of each kind. They share one claim."""
        claim = uuid.uuid4()
        rows = await guarded(
            self._pool.fetch(
                _CLAIM, list(jobs_max), list(jobs_max.values()), claim, worker, self._claim_lease_ms,
                timeout=BATCH_TIMEOUT_S,
            )
        )  # fmt: skip
        return [ChainJob(*row) for row in rows]

    async def put_back(self, jobs: Sequence[ChainJob], delay_ms: int) -> None:
        """Have claimed jobs run again, without counting this attempt."""
        if jobs:
            await guarded(self._pool.execute(_PUT_BACK, jobs[0].claim, [job.id for job in jobs], delay_ms))

    async def store_signed(
        self, claim: uuid.UUID, rows: Sequence[SignedRow], worker: str, recorded: Recorded | None = None
    ) -> list[OpenTransaction]:
        """Store signed transactions for jobs of this claim, all or none, leased to ``worker``.

        ``recorded(connection)`` is awaited in the same transaction. Raises LeaseLost if another actor has claimed one
        of the jobs: then none of these transactions may be sent.
        """
        columns = (
            [row.signature for row in rows], [row.raw for row in rows], [row.payer for row in rows],
            [row.last_valid_height for row in rows], [len(row.jobs) for row in rows],
        )  # fmt: skip
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            try:
                rows_stored = await connection.fetch(
                    _SIGN, *columns, worker, self._send_lease_ms, timeout=BATCH_TIMEOUT_S
                )
            except asyncpg.UniqueViolationError:
                raise LeaseLost("one of these transactions was stored before") from None
            stored: dict[str, int] = {row[0]: row[1] for row in rows_stored}
            jobs = [job for row in rows for job in row.jobs]
            ids = [stored[row.signature] for row in rows for _ in row.jobs]
            try:
                updated: str = await connection.execute(_SIGNED, claim, jobs, ids, timeout=BATCH_TIMEOUT_S)
            except asyncpg.UniqueViolationError:
                raise LeaseLost("another transaction moves one of these copies") from None
            if int(updated.removeprefix("UPDATE ")) != len(jobs):
                raise LeaseLost("another actor has claimed some of these jobs")
            if recorded is not None:
                await recorded(connection)
        return [OpenTransaction(stored[row.signature], row.signature, row.raw, row.last_valid_height) for row in rows]

    async def finish_claimed(
        self, done: Sequence[DoneJob], poisoned: Sequence[PoisonedJob], effects: Effects
    ) -> list[FinishedJob]:
        """End claimed jobs without a transaction: those found done on the chain, and those that can't be built."""
        jobs = [one.job for one in done] + [one.job for one in poisoned]
        if not jobs:
            return []
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(_CLAIMED, jobs[0].claim, [job.id for job in jobs])
            still = {row[0] for row in rows}
            return await _end(
                connection, [one for one in done if one.job.id in still],
                [one for one in poisoned if one.job.id in still], effects,
            )  # fmt: skip

    async def fail_claimed(self, jobs: Sequence[ChainJob], error: str, effects: Effects) -> None:
        """Jobs of a transaction that was not sent, since it would fail: as if it had failed on the chain."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(_CLAIMED, jobs[0].claim, [job.id for job in jobs])
            known = [ChainJob(*row) for row in rows]
            _, again, poisoned = _divided([(job, _Ended(None, len(jobs), "failed", None, error)) for job in known])
            await _queue_again(connection, again)
            await _end(connection, [], poisoned, effects)

    async def take(self, worker: str, limit: int) -> list[OpenTransaction]:
        """Transactions whose actor has died, or lost its lease: they belong to ``worker`` now."""
        rows = await guarded(self._pool.fetch(_TAKE, worker, self._send_lease_ms, limit))
        return [OpenTransaction(*row) for row in rows]

    async def extend(self, worker: str, sends: Mapping[int, int]) -> None:
        """Renew the leases of these transactions, and count how often each was sent since the last time."""
        if sends:
            columns = (list(sends), list(sends.values()))
            await guarded(self._pool.execute(_EXTEND, *columns, self._send_lease_ms, worker))

    async def release(self, transactions: Sequence[int]) -> None:
        """These transactions were seen in a block: what waits for their jobs may look whether it can go on."""
        if transactions:
            await guarded(self._pool.execute(_RELEASE_EARLY, list(transactions), timeout=BATCH_TIMEOUT_S))

    async def finish(self, outcomes: Sequence[Outcome], effects: Effects) -> list[FinishedJob]:
        """Record final outcomes, and end or queue again the jobs of these transactions, with what follows from it.

        Returns the jobs that are done. A transaction that was finished before changes nothing.
        """
        if not outcomes:
            return []
        columns = (
            [one.transaction for one in outcomes], [one.state for one in outcomes], [one.slot for one in outcomes],
            [None if one.error is None else one.error[:ERROR_MAX] for one in outcomes],
        )  # fmt: skip
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            found = await connection.fetch(_FINISH, *columns, timeout=BATCH_TIMEOUT_S)
            ended = {row[0]: _Ended(*tuple(row)[1:]) for row in found}
            rows = await connection.fetch(_JOBS_OF, list(ended), timeout=BATCH_TIMEOUT_S)
            done, again, poisoned = _divided([(ChainJob(*tuple(row)[1:]), ended[row[0]]) for row in rows])
            await _queue_again(connection, again)
            return await _end(connection, done, poisoned, effects)


class _Ended(NamedTuple):
    """A transaction that has ended, with so many jobs."""

    signature: str | None
    jobs: int
    state: str
    slot: int | None
    error: str | None


class _Again(NamedTuple):
    job: int
    faults: int
    batch_max: int
    delay_ms: int
    error: str | None


def _divided(
    jobs: Sequence[tuple[ChainJob, _Ended]],
) -> tuple[list[DoneJob], list[_Again], list[PoisonedJob]]:
    """What becomes of each job of a transaction that has ended."""
    done: list[DoneJob] = []
    again: list[_Again] = []
    poisoned: list[PoisonedJob] = []
    for job, ended in jobs:
        if ended.state == "landed":
            assert ended.slot is not None, "what has landed is in a slot"
            done.append(DoneJob(job, ended.slot, ended.signature))
            continue
        tried, failed = Tried(job.attempts, job.faults, job.batch_max), ended.state == "failed"
        decided = after_failure(tried, ended.jobs, ended.error or "") if failed else after_expiry(tried)
        match decided:
            case Retry(faults, batch_max, delay_ms):
                again.append(_Again(job.id, faults, batch_max, delay_ms, ended.error))
            case Poison(reason):
                poisoned.append(PoisonedJob(job, reason))
    return done, again, poisoned


async def _queue_again(connection: PoolConnectionProxy, again: Sequence[_Again]) -> None:
    if again:
        await connection.execute(_AGAIN, *map(list, zip(*again, strict=True)), timeout=BATCH_TIMEOUT_S)


async def _end(
    connection: PoolConnectionProxy, done: Sequence[DoneJob], poisoned: Sequence[PoisonedJob], effects: Effects
) -> list[FinishedJob]:
    finished: list[FinishedJob] = []
    if done:
        ids = [one.job.id for one in done]
        finished = [FinishedJob(*row) for row in await connection.fetch(_DONE, ids, timeout=BATCH_TIMEOUT_S)]
        await connection.execute(_RELEASE, ids, timeout=BATCH_TIMEOUT_S)
        await effects.done(connection, done)
    if poisoned:
        reasons = {one.job.id: one.reason for one in poisoned}
        waiting = await connection.fetch(_WAITING, list(reasons), timeout=BATCH_TIMEOUT_S)
        followers = [
            PoisonedJob(ChainJob(*tuple(row)[:-1]), f"what it waits for has failed: {reasons[row[-1]]}")
            for row in waiting
            # One that was claimed with the job that it waits for may have ended for itself.
            if row[0] not in reasons
        ]
        everyone = [*poisoned, *followers]
        texts = [one.reason[:ERROR_MAX] for one in everyone]
        await connection.execute(_POISON, [one.job.id for one in everyone], texts, timeout=BATCH_TIMEOUT_S)
        await effects.poisoned(connection, everyone)
    return finished
