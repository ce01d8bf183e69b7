"""Listings: copies are locked for an auction before it exists, and released if it is never created."""

from collections.abc import Sequence

import asyncpg
import msgspec

from domain.errors import COPY_NOT_FOUND, COPY_NOT_FREE, NOT_YOUR_COPY
from persistence.postgres.guard import guard, guarded
from persistence.sales.listing_quotas import QuotaExceeded, SellerQuota, over_quota

STALE_AFTER_MS = 3_600_000
STALE_MAX = 1_000


class CopyRefusal(msgspec.Struct, frozen=True):
    """A refusal, and the copy that it concerns. Nothing happened."""

    code: str
    copy: int


class Locked(msgspec.Struct, frozen=True):
    """``fresh``: of these copies this very call has locked, the others it had locked before."""

    fresh: tuple[int, ...]


_GIVEN = """
    SELECT given, c.owner_id, c.place, c.locked_by FROM unnest($1::bigint[]) AS given
    LEFT JOIN copies c ON c.copy_id = given ORDER BY given
"""
_LOCK_ROWS = "SELECT FROM copies WHERE copy_id = ANY($1::bigint[]) ORDER BY copy_id FOR NO KEY UPDATE"

_LOCK = """
    WITH listed AS (
        INSERT INTO listed_copies (auction_id, copy_id, card_id)
        SELECT $2, copy_id, card_id FROM copies WHERE copy_id = ANY($1::bigint[]) ON CONFLICT DO NOTHING
    )
    UPDATE copies SET place = 'listed', locked_by = $2, locked_at = $3 WHERE copy_id = ANY($1::bigint[])
"""

_EXISTS = "SELECT is_logged($1)"

_LISTED = """
    INSERT INTO listings (auction_id, seller_id, fee_bp, listed_at, dedicated)
    SELECT $1, user_id, fee_bp, $3, $4 FROM users JOIN seller_tiers ON tier = seller_tier WHERE user_id = $2
    ON CONFLICT DO NOTHING
"""

_COPIES_OF = "SELECT copy_id FROM listed_copies WHERE auction_id = $1 ORDER BY copy_id"

_FREE = """
    UPDATE copies SET place = 'free', locked_by = NULL, locked_at = NULL
    WHERE copy_id = ANY($2::bigint[]) AND locked_by = $1 AND place = 'listed'
        AND NOT is_logged($1)
"""

_FREE_STALE = """
    UPDATE copies SET place = 'free', locked_by = NULL, locked_at = NULL WHERE copy_id IN (
        SELECT copy_id FROM copies c WHERE place = 'listed' AND locked_at < $1
            AND NOT is_logged(c.locked_by)
        ORDER BY copy_id LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
    ) AND place = 'listed' AND locked_at < $1
"""


class Listings:
    """The tables ``listings`` and ``listed_copies``, and the locks of copies. Methods may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def lock(
        self,
        auction: int,
        seller: int,
        copies: Sequence[int],
        now_ms: int,
        *,
        dedicated: bool = False,
        quota: SellerQuota | None = None,
    ) -> Locked | CopyRefusal | QuotaExceeded:
        """Have an auction that is to be created keep these copies, all or none; and fix its fee. Again: the same.

        ``dedicated``: it asks for a host of its own. ``quota`` None: this seller has none.
        """  # fmt: skip
        wanted = sorted(copies)
        if not wanted and quota is None:
            await guarded(self._pool.execute(_LISTED, auction, seller, now_ms, dedicated))
            return Locked(())
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            if await connection.fetchval(_EXISTS, auction):
                # It was created before; by now it may have ended, and its copies be elsewhere.
                return Locked(())
            if quota is not None:
                exceeded = await over_quota(connection, auction, seller, now_ms, quota, dedicated=dedicated)
                if exceeded is not None:
                    return exceeded
            locked = await _locked(connection, auction, seller, wanted, now_ms) if wanted else Locked(())
            if isinstance(locked, Locked):
                await connection.execute(_LISTED, auction, seller, now_ms, dedicated)
            return locked

    async def copies_of(self, auction: int) -> list[int]:
        """The copies that an auction is or was of."""
        return [row[0] for row in await guarded(self._pool.fetch(_COPIES_OF, auction))]

    async def free(self, auction: int, copies: Sequence[int]) -> None:
        """Release copies, if the auction does not exist."""
        await guarded(self._pool.execute(_FREE, auction, list(copies)))

    async def free_stale(self, now_ms: int) -> int:
        """Release copies locked long ago for auctions that were never created, STALE_MAX at most; how many."""
        done: str = await guarded(self._pool.execute(_FREE_STALE, now_ms - STALE_AFTER_MS, STALE_MAX))
        return int(done.removeprefix("UPDATE "))


async def _locked(
    connection: asyncpg.pool.PoolConnectionProxy, auction: int, seller: int, wanted: list[int], now_ms: int
) -> Locked | CopyRefusal:
    await connection.execute(_LOCK_ROWS, wanted)
    rows = await connection.fetch(_GIVEN, wanted)
    for copy, owner, place, locked_by in rows:
        code = copy_fault(owner, place, locked_by, seller, auction)
        if code is not None:
            return CopyRefusal(code, copy)
    await connection.execute(_LOCK, wanted, auction, now_ms)
    return Locked(tuple(row[0] for row in rows if row[3] is None))


def copy_fault(owner: int | None, place: str, locked_by: int | None, seller: int, auction: int) -> str | None:
    """Why this seller can't list a copy in this auction: the code of the refusal, or None."""
    if owner is None:
        return COPY_NOT_FOUND
    if owner != seller:
        return NOT_YOUR_COPY
    return None if place == "free" or (place == "listed" and locked_by == auction) else COPY_NOT_FREE
