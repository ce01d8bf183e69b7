"""Requests to mint as their users see them: progress, and what became of each copy. And retries."""

from collections.abc import Sequence

import asyncpg
import msgspec

from persistence.chain.status import retry_within
from persistence.postgres.guard import guard, guarded

PAGE_MAX = 1_000


class Mint(msgspec.Struct, frozen=True):
    """A request to mint. ``done`` and ``poisoned`` copies are finished; ``seq`` rises with each change."""

    id: int
    requester: int
    requester_name: str | None
    standard: str
    total: int
    done: int
    poisoned: int
    seq: int
    created_at: int
    updated_at: int

    @property
    def state(self) -> str:
        """``minting``, or ``done``, or ``failed`` if some of it can't be minted."""
        if self.done + self.poisoned < self.total:
            return "minting"
        return "failed" if self.poisoned else "done"


class MintItem(msgspec.Struct, frozen=True):
    """One copy of a request. ``state``: queued, signed, done or poisoned; ``error`` of the last attempt."""

    job: int
    copy: int
    card: int
    card_name: str
    serial: int
    state: str
    attempts: int
    error: str | None
    address: str | None
    collection: str | None
    metadata_uri: str | None
    holder: str | None
    signature: str | None


_COLUMNS = """
    SELECT m.mint_id, m.requester_id, u.username, m.standard, m.total, m.done, m.poisoned, m.seq, m.created_at,
        m.updated_at
    FROM mints m LEFT JOIN users u ON u.user_id = m.requester_id
"""
_PAGE = f"""
    {_COLUMNS} WHERE ($1::bigint IS NULL OR m.requester_id = $1) AND ($2::bigint IS NULL OR m.mint_id < $2)
    ORDER BY m.mint_id DESC LIMIT $3
"""
_SOME = f"{_COLUMNS} WHERE m.mint_id = ANY($1::bigint[])"
_ITEMS = """
    SELECT j.job_id, a.copy_id, c.card_id, k.name, c.serial, j.state, j.attempts, j.error, a.address, a.collection,
        a.metadata_uri, a.holder, t.signature
    FROM chain_jobs j JOIN assets a USING (job_id) JOIN copies c USING (copy_id) JOIN cards k USING (card_id)
    LEFT JOIN chain_transactions t USING (transaction_id)
    WHERE j.mint_id = $1 AND j.job_id > $2 AND ($3::text IS NULL OR j.state = $3) ORDER BY j.job_id LIMIT $4
"""
_POISONED_OF = "SELECT job_id FROM chain_jobs WHERE mint_id = $1 AND state = 'poisoned' ORDER BY job_id"
_UNCOUNT = """
    UPDATE mints SET poisoned = mints.poisoned - given.count, seq = seq + 1,
        updated_at = (extract(epoch FROM statement_timestamp()) * 1000)::bigint
    FROM unnest($1::bigint[], $2::int[]) AS given (mint_id, count) WHERE mints.mint_id = given.mint_id
"""


class Mints:
    """The table ``mints``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def page(self, requester: int | None, before: int | None, limit: int) -> list[Mint]:
        """Requests of a user, or of all users, the newest first."""
        rows = await guarded(self._pool.fetch(_PAGE, requester, before, min(limit, PAGE_MAX + 1)))
        return [Mint(*row) for row in rows]

    async def get(self, mint: int) -> Mint | None:
        """One request."""
        return (await self.some([mint])).get(mint)

    async def some(self, mints: Sequence[int]) -> dict[int, Mint]:
        """Those of these that there are."""
        return {row[0]: Mint(*row) for row in await guarded(self._pool.fetch(_SOME, mints))}

    async def items(self, mint: int, after: int, state: str | None, limit: int) -> list[MintItem]:
        """The next copies of a request, in its order."""
        rows = await guarded(self._pool.fetch(_ITEMS, mint, after, state, min(limit, PAGE_MAX + 1)))
        return [MintItem(*row) for row in rows]

    async def retry(self, mint: int) -> int:
        """Queue its poisoned jobs again; how many that were."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            jobs = [row[0] for row in await connection.fetch(_POISONED_OF, mint)]
            return len(await self._retry(connection, jobs))

    async def retry_jobs(self, jobs: Sequence[int]) -> int:
        """Queue these poisoned jobs again, of the kinds that can be retried; how many that were."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            return len(await self._retry(connection, jobs))

    async def _retry(self, connection: asyncpg.pool.PoolConnectionProxy, jobs: Sequence[int]) -> list[int]:
        retried = await retry_within(connection, jobs)
        counts: dict[int, int] = {}
        for _, mint in retried:
            if mint is not None:
                counts[mint] = counts.get(mint, 0) + 1
        mints = sorted(counts)
        await connection.execute(_UNCOUNT, mints, [counts[mint] for mint in mints])
        return [job for job, _ in retried]
