"""What copies are worth, by the prices of their cards."""

from collections.abc import Sequence

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.sales.settlement import Payee
from persistence.postgres.guard import guarded

CURRENCY = "USDC"

_VALUES = """
    SELECT c.copy_id, c.card_id, p.last_price, p.last_at, k.lowest_price, coalesce(w.sales, 0),
        r.royalty::text
    FROM copies c JOIN cards r USING (card_id) LEFT JOIN card_prices p ON p.card_id = c.card_id AND p.currency = $2
    LEFT JOIN card_market k ON k.card_id = c.card_id AND k.open_auctions > 0
    LEFT JOIN card_windows w ON w.card_id = c.card_id AND w.currency = $2 AND w.days = 30
    WHERE c.copy_id = ANY($1)
"""


_read_royalty = msgspec.json.Decoder(tuple[Payee, ...]).decode


class CopyValue(msgspec.Struct, frozen=True):
    """The last price of a copy's card, the lowest open one (floor), and the sales of 30 days; None: unknown.

    ``royalty``: of its card.
    """

    copy: int
    card: int
    last_price: int | None
    last_at: int | None
    floor: int | None
    sales: int
    royalty: tuple[Payee, ...]


class CopyValues:
    """Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool | PoolConnectionProxy) -> None:
        self._pool = pool

    async def of(self, copies: Sequence[int]) -> dict[int, CopyValue]:
        """By copy; copies that don't exist are missing."""
        rows = await guarded(self._pool.fetch(_VALUES, list(copies), CURRENCY))
        return {
            copy: CopyValue(copy, card, last_price, last_at, floor, sales, _read_royalty(royalty))
            for copy, card, last_price, last_at, floor, sales, royalty in rows
        }
