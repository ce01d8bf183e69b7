"""Prices of cards and totals of the market, from the read models."""

import asyncpg
import msgspec

from persistence.analytics.portfolios import CardName
from persistence.postgres.guard import guarded

SALES_MAX = 20
MOVERS_MAX = 50


class Last(msgspec.Struct, frozen=True):
    """The newest sale."""

    price: int
    at: int


class CardDay(msgspec.Struct, frozen=True):
    """A day on which a card was sold."""

    day: int
    sales: int
    volume: int
    open: int
    high: int
    low: int
    close: int


class CardSale(msgspec.Struct, frozen=True):
    """One copy sold."""

    price: int
    at: int
    serial: int
    grader: str | None
    grade: int | None


class MarketDay(msgspec.Struct, frozen=True):
    """A day of the whole market; ``cards`` different ones were sold."""

    day: int
    sales: int
    volume: int
    cards: int


class Mover(msgspec.Struct, frozen=True):
    """A card's last days; ``before`` is the price before them, or else the first in them."""

    card: CardName
    sales: int
    volume: int
    price: int
    before: int


_LAST = "SELECT last_price, last_at FROM card_prices WHERE card_id = $1 AND currency = $2"
_DAYS = """
    SELECT day, sales, volume, open, high, low, close FROM card_days
    WHERE card_id = $1 AND currency = $2 AND day >= $3 ORDER BY day
"""
_SALES = f"""
    SELECT s.price, s.at, c.serial, c.grader, c.grade FROM sales s JOIN copies c ON c.copy_id = s.copy_id
    WHERE s.card_id = $1 AND s.currency = $2
        AND NOT EXISTS (SELECT FROM refunds r WHERE r.auction_id = s.auction_id AND r.round = s.round)
    ORDER BY s.at DESC, s.sale_no DESC LIMIT {SALES_MAX}
"""
_MARKET_DAYS = "SELECT day, sales, volume, cards FROM market_days WHERE currency = $1 AND day >= $2 ORDER BY day"

ORDERS = {
    "up": "change_bp > 0 ORDER BY change_bp DESC, card_id DESC",
    "down": "change_bp < 0 ORDER BY change_bp, card_id",
    "traded": "true ORDER BY volume DESC, card_id DESC",
}


def _movers(order: str) -> str:
    """An index gives the first of them in this order."""
    return f"""
        SELECT c.card_id, s.code, c.number, c.name, c.images[1], w.sales, w.volume, w.price, w.before
        FROM (
            SELECT row_number() OVER () AS nth, first.* FROM (
                SELECT * FROM card_windows WHERE currency = $1 AND days = $2 AND {order} LIMIT $3
            ) AS first
        ) AS w JOIN cards c ON c.card_id = w.card_id JOIN card_sets s ON s.set_id = c.set_id ORDER BY w.nth
    """


_MOVERS = {name: _movers(order) for name, order in ORDERS.items()}


class MarketReading:
    """What anyone may see of sales. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def last(self, card: int, currency: str) -> Last | None:
        """The newest sale of a card that was not reversed."""
        row = await guarded(self._pool.fetchrow(_LAST, card, currency))
        return None if row is None else Last(*row)

    async def card_days(self, card: int, currency: str, first: int) -> list[CardDay]:
        """The days since ``first`` on which the card was sold."""
        rows = await guarded(self._pool.fetch(_DAYS, card, currency, first))
        return [CardDay(row[0], row[1], int(row[2]), *row[3:]) for row in rows]

    async def sales(self, card: int, currency: str) -> list[CardSale]:
        """The SALES_MAX newest, the newest first: so many rows of an index."""
        return [CardSale(*row) for row in await guarded(self._pool.fetch(_SALES, card, currency))]

    async def market_days(self, currency: str, first: int) -> list[MarketDay]:
        """The days since ``first`` on which something was sold."""
        rows = await guarded(self._pool.fetch(_MARKET_DAYS, currency, first))
        return [MarketDay(row[0], row[1], int(row[2]), row[3]) for row in rows]

    async def movers(self, order: str, currency: str, days: int, limit: int) -> list[Mover]:
        """The first cards in one of the ORDERS, over the last 1, 7 or 30 days."""
        rows = await guarded(self._pool.fetch(_MOVERS[order], currency, days, min(limit, MOVERS_MAX)))
        return [Mover(CardName(*row[:5]), row[5], int(row[6]), *row[7:]) for row in rows]
