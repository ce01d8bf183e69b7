"""Quotas of listings for each seller: checked in the transaction that lists, so they hold across gateways."""

import asyncpg
import msgspec

HOUR_MS = 3_600_000

LISTED_PER_HOUR = "listed_per_hour"
LIVE = "live"
DEDICATED = "dedicated"


class SellerQuota(msgspec.Struct, frozen=True):
    """Auctions that one seller may list in an hour, have scheduled or open, and of those with a host of their own."""

    listed_per_hour: int = 200
    live: int = 500
    dedicated: int = 1


class QuotaExceeded(msgspec.Struct, frozen=True):
    """The quota that is used up, and when (ms) there may be room again; None if unknown. Nothing happened."""

    quota: str
    limit: int
    again_at: int | None


# One seller's listings are counted and written one after the other.
_ONE_AT_A_TIME = "SELECT FROM users WHERE user_id = $1 FOR NO KEY UPDATE"
_KNOWN = "SELECT EXISTS (SELECT FROM listings WHERE auction_id = $1)"

# What is listed and not an auction yet is on its way, if it is not older than an hour: else it never came to be.
_LISTED_PER_HOUR = """
    SELECT count(*), (SELECT listed_at FROM listings WHERE seller_id = $1 ORDER BY listed_at DESC OFFSET $3 - 1 LIMIT 1)
    FROM listings WHERE seller_id = $1 AND listed_at > $2
"""
_LIVE = """
    SELECT count(*), min(ends_at) FROM (
        SELECT ends_at FROM auctions WHERE seller_id = $1 AND status IN ('scheduled', 'open')
        UNION ALL SELECT NULL FROM listings l WHERE seller_id = $1 AND listed_at > $2
            AND NOT EXISTS (SELECT FROM auctions a WHERE a.auction_id = l.auction_id)
    ) live
"""
_DEDICATED = """
    SELECT count(*), min(ends_at) FROM listings l LEFT JOIN auctions a USING (auction_id)
    WHERE l.seller_id = $1 AND l.dedicated
        AND (a.status IN ('scheduled', 'open') OR (a.auction_id IS NULL AND l.listed_at > $2))
"""


async def over_quota(
    connection: asyncpg.pool.PoolConnectionProxy,
    auction: int,
    seller: int,
    now_ms: int,
    quota: SellerQuota,
    *,
    dedicated: bool,
) -> QuotaExceeded | None:
    """Which quota the seller's next auction would exceed; None for one that is listed already.

    To be called in the transaction that then lists it: until its end the seller's other listings wait.
    """  # fmt: skip
    await connection.execute(_ONE_AT_A_TIME, seller)
    if await connection.fetchval(_KNOWN, auction):
        return None
    since = now_ms - HOUR_MS
    [(listed, nth_newest)] = await connection.fetch(_LISTED_PER_HOUR, seller, since, quota.listed_per_hour)
    if listed >= quota.listed_per_hour:
        return QuotaExceeded(LISTED_PER_HOUR, quota.listed_per_hour, nth_newest + HOUR_MS)
    [(live, ends_at)] = await connection.fetch(_LIVE, seller, since)
    if live >= quota.live:
        return QuotaExceeded(LIVE, quota.live, ends_at)
    if dedicated:
        [(own_hosts, ends_at)] = await connection.fetch(_DEDICATED, seller, since)
        if own_hosts >= quota.dedicated:
            return QuotaExceeded(DEDICATED, quota.dedicated, ends_at)
    return None
