"""Claiming and finishing jobs.

A worker claims a batch and holds a lease on it, which it extends while it works. When the lease ends, because the
worker died or lost its connection, another worker claims the job again. A job is finished with its claim, so a worker
whose lease has ended changes nothing. The database's clock decides about due times and leases.

Claims, and what becomes of them, are committed asynchronously: a job whose claim or end is lost in a crash of
PostgreSQL is claimed again, as if its worker had died.
"""

import uuid
from collections.abc import Mapping, Sequence

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from persistence.audit.trail import Act, record_within
from persistence.jobs.rows import JobRow, insert_jobs
from persistence.postgres.commits import ASYNCHRONOUSLY
from persistence.postgres.errors import StoreError
from persistence.postgres.guard import guard, guarded

LEASE_MS = 5_000
ERROR_MAX = 500
# More jobs than this are not counted.
COUNTED_MAX = 100_000

# Of the statement: a volatile function would keep the index from being used.
NOW_MS = "(extract(epoch FROM statement_timestamp()) * 1000)::bigint"
_STATE = f"CASE WHEN dead THEN 'dead' WHEN claim IS NOT NULL AND run_at > {NOW_MS} THEN 'running' ELSE 'waiting' END"


class LeaseLost(StoreError):
    """The lease has ended, and another worker has claimed the jobs: the transaction must not commit."""


class Claimed(msgspec.Struct, frozen=True):
    """A job that this worker is to run. ``attempts`` counts this one."""

    kind: str
    key: str
    payload: bytes
    attempts: int
    claim: uuid.UUID


class PutBack(msgspec.Struct, frozen=True):
    """A claimed job that is not done: it runs again after ``delay_ms``, or never by itself if it is ``dead``."""

    job: Claimed
    delay_ms: int
    attempts: int
    error: str | None = None
    dead: bool = False


class JobRecord(msgspec.Struct, frozen=True):
    """A job as operators see it. ``state``: waiting, running or dead. Times are milliseconds since the epoch."""

    kind: str
    key: str
    payload: bytes
    state: str
    run_at: int
    created_at: int
    attempts: int
    error: str | None
    worker: str | None


class KindStatus(msgspec.Struct, frozen=True):
    """The number of jobs of one kind by state, and for how long the oldest due job has been due (ms)."""

    kind: str
    waiting: int
    running: int
    dead: int
    oldest_due_ms: int


_CLAIM = f"""
    WITH picked AS MATERIALIZED (
        SELECT due.kind, due.key, wanted.claim
        FROM unnest($1::text[], $2::int[], $3::uuid[]) AS wanted (kind, batch_max, claim), LATERAL (
            SELECT kind, key FROM jobs WHERE jobs.kind = wanted.kind AND NOT dead AND run_at <= {NOW_MS}
            ORDER BY run_at LIMIT wanted.batch_max FOR NO KEY UPDATE SKIP LOCKED
        ) AS due
    )
    UPDATE jobs SET claim = picked.claim, worker = $4, attempts = attempts + 1, run_at = {NOW_MS} + $5::int
    FROM picked WHERE jobs.kind = picked.kind AND jobs.key = picked.key
    RETURNING jobs.kind, jobs.key, payload, attempts, jobs.claim, {ASYNCHRONOUSLY}
"""
_EXTEND = f"UPDATE jobs SET run_at = {NOW_MS} + $2::int WHERE claim = ANY($1::uuid[]) RETURNING {ASYNCHRONOUSLY}"
# In the transaction of the effect its commit is synchronous.
_COMPLETE_WITHIN = "DELETE FROM jobs WHERE claim = $1 AND kind = $2 AND key = ANY($3::text[])"
_COMPLETE = f"{_COMPLETE_WITHIN} RETURNING {ASYNCHRONOUSLY}"
_PUT_BACK = f"""
    UPDATE jobs SET claim = NULL, worker = NULL, run_at = {NOW_MS} + given.delay_ms, attempts = given.attempts,
        error = given.error, dead = given.dead
    FROM unnest($2::text[], $3::bigint[], $4::int[], $5::text[], $6::boolean[])
        AS given (key, delay_ms, attempts, error, dead)
    WHERE jobs.claim = $1 AND jobs.kind = $7 AND jobs.key = given.key RETURNING {ASYNCHRONOUSLY}
"""
# A job that runs now runs again afterwards: its claim is taken from it, so its worker can't finish it.
_ADD_AGAIN = f"""
    {insert_jobs().removesuffix("DO NOTHING")} DO UPDATE SET run_at = least(excluded.run_at, jobs.run_at), claim = NULL,
        attempts = 0, dead = false
    WHERE jobs.claim IS NOT NULL OR jobs.dead
"""
_COLUMNS = f"kind, key, payload, {_STATE} AS state, run_at, created_at, attempts, error, worker"
_LIST = f"""
    SELECT * FROM (SELECT {_COLUMNS} FROM jobs) AS j
    WHERE ($1::text IS NULL OR kind = $1) AND ($2::text IS NULL OR state = $2) AND (kind, key) > ($3, $4)
    ORDER BY kind, key LIMIT $5
"""
_GET = f"SELECT {_COLUMNS} FROM jobs WHERE kind = $1 AND key = $2"
_RETRY = f"""
    UPDATE jobs SET dead = false, attempts = 0, run_at = {NOW_MS} WHERE kind = $1 AND key = $2 AND dead RETURNING true
"""
_REVIVE = f"""
    UPDATE jobs SET dead = false, attempts = 0, error = NULL, payload = $3, run_at = {NOW_MS}
    WHERE kind = $1 AND key = $2 AND dead
"""
_DISCARD = "DELETE FROM jobs WHERE kind = $1 AND key = $2 AND dead RETURNING true"
_STATUS = f"""
    SELECT kind, count(*) FILTER (WHERE state = 'waiting'), count(*) FILTER (WHERE state = 'running'),
        count(*) FILTER (WHERE state = 'dead'),
        greatest(0, {NOW_MS} - coalesce(min(since) FILTER (WHERE state = 'waiting'), {NOW_MS}))
    FROM (SELECT kind, greatest(run_at, created_at) AS since, {_STATE} AS state FROM jobs LIMIT {COUNTED_MAX}) AS j
    GROUP BY kind ORDER BY kind
"""


class JobStore:
    """The table ``jobs``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool, lease_ms: int = LEASE_MS) -> None:
        self._pool = pool
        self._lease_ms = lease_ms

    @property
    def lease_ms(self) -> int:
        return self._lease_ms

    async def add(self, jobs: Sequence[JobRow]) -> None:
        """Add these; one that is in the table already stays as it is."""
        await guarded(self._pool.execute(insert_jobs(), *_columns(jobs)))

    async def add_again(self, jobs: Sequence[JobRow]) -> None:
        """Add these; a job that runs now runs again afterwards, since it may have missed this cause."""
        await guarded(self._pool.execute(_ADD_AGAIN, *_columns(jobs)))

    async def claim(self, batch_max: Mapping[str, int], worker: str) -> list[Claimed]:
        """Claim due jobs, the longest due first: at most ``batch_max[kind]`` of each kind.

        Each kind has a claim of its own: what is not recorded of one is not held by the work of another.
        """
        claims = [uuid.uuid4() for _ in batch_max]
        rows = await guarded(
            self._pool.fetch(_CLAIM, list(batch_max), list(batch_max.values()), claims, worker, self._lease_ms)
        )
        return [Claimed(*row[:5]) for row in rows]

    async def extend(self, claims: Sequence[uuid.UUID]) -> None:
        """Renew the leases of these claims."""
        await guarded(self._pool.execute(_EXTEND, claims, self._lease_ms))

    async def complete(self, jobs: Sequence[Claimed]) -> None:
        """Delete these jobs of one claim, which are done. Jobs that another worker has claimed stay."""
        if jobs:
            await guarded(self._pool.execute(_COMPLETE, jobs[0].claim, jobs[0].kind, [job.key for job in jobs]))

    async def put_back(self, jobs: Sequence[PutBack]) -> None:
        """Have these jobs of one claim run again later, or mark them as dead."""
        if not jobs:
            return
        columns = zip(*((one.job.key, one.delay_ms, one.attempts, one.error, one.dead) for one in jobs), strict=True)
        keys, delays, attempts, errors, dead = columns
        texts = [None if error is None else error[:ERROR_MAX] for error in errors]
        await guarded(
            self._pool.execute(_PUT_BACK, jobs[0].job.claim, keys, delays, attempts, texts, dead, jobs[0].job.kind)
        )

    async def page(self, kind: str | None, state: str | None, after: tuple[str, str], limit: int) -> list[JobRecord]:
        """The next jobs by (kind, key)."""
        rows = await guarded(self._pool.fetch(_LIST, kind, state, *after, limit))
        return [JobRecord(*row) for row in rows]

    async def get(self, kind: str, key: str) -> JobRecord | None:
        """One job; None if there is none."""
        row = await guarded(self._pool.fetchrow(_GET, kind, key))
        return None if row is None else JobRecord(*row)

    async def retry(self, kind: str, key: str) -> bool:
        """Have a dead job run again, with all its attempts; False if there is none."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            retried = bool(await connection.fetchval(_RETRY, kind, key))
            if retried:
                await record_within(connection, Act("job.retried", subject=f"{kind} {key}"))
        return retried

    async def discard(self, kind: str, key: str) -> bool:
        """Delete a dead job: its work is never done. False if there is none."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            discarded = bool(await connection.fetchval(_DISCARD, kind, key))
            if discarded:
                await record_within(connection, Act("job.discarded", subject=f"{kind} {key}"))
        return discarded

    async def status(self) -> list[KindStatus]:
        """How many jobs there are, by kind."""
        return [KindStatus(*row) for row in await guarded(self._pool.fetch(_STATUS))]


async def add_within(connection: PoolConnectionProxy, jobs: Sequence[JobRow]) -> None:
    """Add these in the caller's transaction, together with their cause."""
    await guarded(connection.execute(insert_jobs(), *_columns(jobs)))


async def revive_within(connection: PoolConnectionProxy, job: JobRow) -> None:
    """Have this job run again in the caller's transaction, with its new payload, if it is dead."""
    await guarded(connection.execute(_REVIVE, job.kind, job.key, job.payload))


async def complete_within(connection: PoolConnectionProxy, jobs: Sequence[Claimed]) -> None:
    """Delete these jobs of one claim in the caller's transaction, together with their effect. Raises LeaseLost."""
    if not jobs:
        return
    deleted: str = await guarded(
        connection.execute(_COMPLETE_WITHIN, jobs[0].claim, jobs[0].kind, [job.key for job in jobs])
    )
    if int(deleted.removeprefix("DELETE ")) != len(jobs):
        raise LeaseLost(f"{jobs[0].kind}: the lease has ended, and another worker has some of these jobs")


def _columns(jobs: Sequence[JobRow]) -> list[tuple[object, ...]]:
    return list(zip(*map(msgspec.structs.astuple, jobs), strict=True)) if jobs else [()] * 4
