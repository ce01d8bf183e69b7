"""What the house takes of a sale, by the tier of the seller. It counts for what is listed from then on."""

import asyncpg
import msgspec

from persistence.postgres.guard import guarded

TIERS_MAX = 50


class Tier(msgspec.Struct, frozen=True):
    """A tier's fee, in hundredths of a percent of the price."""

    tier: str
    fee_bp: int


_ALL = "SELECT tier, fee_bp FROM seller_tiers ORDER BY fee_bp DESC, tier LIMIT $1"
_PUT = """
    INSERT INTO seller_tiers (tier, fee_bp) SELECT $1, $2
    WHERE EXISTS (SELECT FROM seller_tiers WHERE tier = $1) OR (SELECT count(*) FROM seller_tiers) < $3
    ON CONFLICT (tier) DO UPDATE SET fee_bp = excluded.fee_bp RETURNING true
"""
_ASSIGN = """
    UPDATE users SET seller_tier = $2 WHERE user_id = $1 AND EXISTS (SELECT FROM seller_tiers WHERE tier = $2)
    RETURNING true
"""


class SellerTiers:
    """The table ``seller_tiers``, and who is in which. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def all(self) -> list[Tier]:
        """Every tier, the highest fee first."""
        return [Tier(*row) for row in await guarded(self._pool.fetch(_ALL, TIERS_MAX))]

    async def put(self, tier: str, fee_bp: int) -> bool:
        """A new tier, or another fee for one. False where there are TIERS_MAX already."""
        return bool(await guarded(self._pool.fetchval(_PUT, tier, fee_bp, TIERS_MAX)))

    async def assign(self, user: int, tier: str) -> bool:
        """Put a seller into a tier. False where there is no such user, or no such tier."""
        return bool(await guarded(self._pool.fetchval(_ASSIGN, user, tier)))
