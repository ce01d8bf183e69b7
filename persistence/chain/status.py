"""How the work on the chain stands: queue, transactions, minting actors. And poisoned jobs, for operators."""

from collections.abc import Sequence
from typing import Any

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from persistence.chain.counts import PoolCounts
from persistence.chain.rows import NEVER_MS
from persistence.jobs.store import NOW_MS
from persistence.postgres.guard import guarded

# Poisoned jobs that an operator can retry. What a failed withdrawal took is given back, so it is never tried again.
RETRIED = ("anchor", "create_collection", "mint", "sweep")
COUNTED_MAX = 200_000
PAGE_MAX = 1_000
# An actor that has not reported for this long is gone.
SILENT_MS = 60_000


class EndpointReport(msgspec.Struct, frozen=True):
    """An RPC server as an actor sees it. ``lag``: slots behind the best one."""

    state: str
    lag: int | None


class ActorReport(msgspec.Struct, frozen=True):
    """One minting actor. ``balance``: lamports of its fee payer; ``note``: what keeps it from working."""

    name: str
    fee_payer: str
    balance: int | None
    in_flight: int
    landed: int
    jobs_done: int
    jobs_per_s: float
    note: str | None
    counts: PoolCounts = msgspec.field(default_factory=PoolCounts)
    endpoints: list[EndpointReport] = []


class ChainWork(msgspec.Struct, frozen=True):
    """Jobs by kind and state, open transactions, and the actors that have reported lately (age in ms).

    ``oldest_queued_ms``: of a job that waits for nothing but an actor.
    """

    jobs: dict[str, dict[str, int]]
    open_transactions: int
    oldest_queued_ms: int
    actors: list[tuple[ActorReport, int]]


class ChainJobRecord(msgspec.Struct, frozen=True):
    """A job as operators see it."""

    id: int
    kind: str
    key: str
    state: str
    attempts: int
    error: str | None
    signature: str | None
    mint: int | None
    created_at: int


_REPORT = f"""
    INSERT INTO minting_actors VALUES ($1, $2, $3, $4, $5, $6, $7, $8, {NOW_MS}, $9, $10)
    ON CONFLICT (name) DO UPDATE SET fee_payer = excluded.fee_payer, balance = excluded.balance,
        in_flight = excluded.in_flight, landed = excluded.landed, jobs_done = excluded.jobs_done,
        jobs_per_s = excluded.jobs_per_s, note = excluded.note, reported_at = excluded.reported_at,
        counts = excluded.counts, endpoints = excluded.endpoints
"""
_ACTORS = f"""
    SELECT name, fee_payer, balance, in_flight, landed, jobs_done, jobs_per_s, note, counts, endpoints,
        {NOW_MS} - reported_at
    FROM minting_actors WHERE reported_at > {NOW_MS} - {SILENT_MS} ORDER BY name
"""
# Each state has an index of its own: jobs that are done, which are most, are not read.
_COUNTS = " UNION ALL ".join(
    f"""
    SELECT kind, '{state}', count(*), {NOW_MS} - min(created_at) FILTER (WHERE not_before < {NEVER_MS}) FROM (
        SELECT kind, created_at, not_before FROM chain_jobs WHERE state = '{state}' LIMIT {COUNTED_MAX}
    ) AS {state} GROUP BY kind
    """
    for state in ("queued", "signed", "poisoned")
)
_COUNTS += " ORDER BY 1, 2"
_OPEN = "SELECT count(*) FROM chain_transactions WHERE state = 'signed'"
_POISONED = """
    SELECT j.job_id, j.kind, j.key, j.state, j.attempts, j.error, t.signature, j.mint_id, j.created_at
    FROM chain_jobs j LEFT JOIN chain_transactions t USING (transaction_id)
    WHERE j.state = 'poisoned' AND j.job_id > $1 ORDER BY j.job_id LIMIT $2
"""
# With what they wait for; what waits for something that is not done goes on waiting.
_RETRY = f"""
    WITH RECURSIVE wanted AS (
        SELECT job_id, after_job FROM chain_jobs WHERE job_id = ANY($1::bigint[]) AND state = 'poisoned'
            AND kind = ANY('{{{",".join(RETRIED)}}}'::text[])
        UNION SELECT j.job_id, j.after_job FROM chain_jobs j JOIN wanted w ON j.job_id = w.after_job
    )
    UPDATE chain_jobs j SET state = 'queued', transaction_id = NULL, faults = 0, batch_max = 1, finished_at = NULL,
        not_before = CASE WHEN EXISTS (SELECT FROM chain_jobs a WHERE a.job_id = j.after_job AND a.state <> 'done')
            THEN {NEVER_MS} ELSE 0 END
    FROM wanted WHERE j.job_id = wanted.job_id AND j.state = 'poisoned' RETURNING j.job_id, j.mint_id
"""
_NOTIFY = "SELECT pg_notify('chain_jobs', '')"


class ChainStatus:
    """Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def report(self, report: ActorReport) -> None:
        """Store the report of an actor."""
        *columns, counts, endpoints = msgspec.structs.astuple(report)
        encoded = [msgspec.json.encode(one).decode() for one in (counts, endpoints)]
        await guarded(self._pool.execute(_REPORT, *columns, *encoded))

    async def work(self) -> ChainWork:
        """The queue and the actors now. More than COUNTED_MAX jobs are not counted."""
        jobs: dict[str, dict[str, int]] = {}
        oldest_ms = 0
        for kind, state, count, age_ms in await guarded(self._pool.fetch(_COUNTS)):
            jobs.setdefault(kind, {})[state] = count
            if state == "queued":
                oldest_ms = max(oldest_ms, age_ms or 0)
        actors = [_actor(tuple(row)) for row in await guarded(self._pool.fetch(_ACTORS))]
        return ChainWork(jobs, await guarded(self._pool.fetchval(_OPEN)), oldest_ms, actors)

    async def poisoned(self, after: int, limit: int) -> list[ChainJobRecord]:
        """The next poisoned jobs, in the order of their making."""
        rows = await guarded(self._pool.fetch(_POISONED, after, min(limit, PAGE_MAX + 1)))
        return [ChainJobRecord(*row) for row in rows]


def _actor(row: tuple[Any, ...]) -> tuple[ActorReport, int]:
    *columns, counts, endpoints, age_ms = row
    read: tuple[Any, ...] = (
        *columns, msgspec.json.decode(counts, type=PoolCounts),
        msgspec.json.decode(endpoints, type=list[EndpointReport]),
    )  # fmt: skip
    return ActorReport(*read), age_ms


async def retry_within(connection: PoolConnectionProxy, jobs: Sequence[int]) -> list[tuple[int, int | None]]:
    """Queue these poisoned jobs again, with poisoned ones that they wait for: (job, mint) of each that was."""
    rows = await guarded(connection.fetch(_RETRY, jobs))
    if rows:
        await guarded(connection.execute(_NOTIFY))
    return [(row[0], row[1]) for row in rows]
