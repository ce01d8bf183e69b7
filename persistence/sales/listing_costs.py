"""What would be taken from a seller's price if copies were listed now."""

from collections.abc import Sequence

import asyncpg
import msgspec

from domain.sales.settlement import Payee, SoldCopy
from persistence.postgres.guard import guarded
from persistence.sales.listings import CopyRefusal, copy_fault

# No auction has this id.
NO_AUCTION = 0

_FEE = "SELECT fee_bp FROM users JOIN seller_tiers ON tier = seller_tier WHERE user_id = $1"

_COPIES = """
    SELECT given, c.card_id, c.owner_id, c.place, c.locked_by, k.royalty::text FROM unnest($1::bigint[]) AS given
    LEFT JOIN copies c ON c.copy_id = given LEFT JOIN cards k ON k.card_id = c.card_id ORDER BY given
"""

_read_royalty = msgspec.json.Decoder(tuple[Payee, ...]).decode


class ListingCosts(msgspec.Struct, frozen=True):
    """The fee of the seller's tier, and the copies with the royalties of their cards, as they are now."""

    fee_bp: int
    copies: tuple[SoldCopy, ...]


class SellerCosts:
    """Reads fees and royalties before anything is listed. Methods may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def of(self, seller: int, copies: Sequence[int]) -> ListingCosts | CopyRefusal:
        """The costs for this seller, or why a copy can't be listed by them now. Locks nothing."""
        rows = await guarded(self._pool.fetch(_COPIES, list(copies))) if copies else []
        for copy, _, owner, place, locked_by, _ in rows:
            code = copy_fault(owner, place, locked_by, seller, NO_AUCTION)
            if code is not None:
                return CopyRefusal(code, copy)
        sold = tuple(SoldCopy(row[0], row[1], _read_royalty(row[5])) for row in rows)
        return ListingCosts(await guarded(self._pool.fetchval(_FEE, seller)), sold)
