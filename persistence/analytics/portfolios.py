"""Portfolios and sales of users, from the read models: at most one row for each card that a user has."""

from collections.abc import Iterable
from typing import Any

import asyncpg
import msgspec

from domain.sales.portfolio import DayValue, day_of
from persistence.postgres.guard import guarded

PAGE_MAX = 100
TOP = 10
SUM_MAX = 9 * 10**18


class CardName(msgspec.Struct, frozen=True):
    """A card as lists show it."""

    id: int
    set: str
    number: str
    name: str
    image: str | None


class Holding(msgspec.Struct, frozen=True):
    """Copies of one card. ``costed`` were paid for, with ``cost`` in all; ``price`` is that of the last sale."""

    card: CardName
    copies: int
    costed: int
    cost: int
    price: int | None
    floor: int | None


class Totals(msgspec.Struct, frozen=True):
    """Of all that a user has; ``priced`` and ``floored`` copies are those that ``value`` and ``floor_value`` are of."""

    cards: int
    copies: int
    costed: int
    cost: int
    priced: int
    value: int
    unrealised: int
    floored: int
    floor_value: int
    realised: int


class Sold(msgspec.Struct, frozen=True):
    """What a seller's ended auctions came to."""

    auctions_offered: int
    auctions_sold: int
    copies_offered: int
    copies_sold: int
    gross: int
    fees: int
    royalties: int
    realised: int


class Progress(msgspec.Struct, frozen=True):
    """How far the read models are: ``as_of`` (ms) is None during a rebuild; ``valued`` is the last such day."""

    as_of: int | None
    valued: int


# Auctions, and so floors, are in the one currency that there is.
_NAMED = """
    SELECT c.card_id, s.code, c.number, c.name, c.images[1], held.copies, held.costed, held.cost, held.price, held.floor
    FROM {held} AS held JOIN cards c ON c.card_id = held.card_id JOIN card_sets s ON s.set_id = c.set_id
"""
# What so many copies come to. No price is above 2**53, so for few copies 64 bits do, which are quicker than numeric.
_WORTH = f"""CASE WHEN copies < 1000 THEN copies * {{price}}
    ELSE least(copies::numeric * {{price}}, {SUM_MAX})::bigint END"""

# Prices are looked up for an array of cards: an index is walked through once, not once a card. What is joined has no
# cards but these, so full joins are left joins that are never done card by card, however few the planner expects.
# One row for each of the most valuable holdings, all with the totals before; one without a holding where there is none.
_PORTFOLIO = f"""
    WITH mine AS MATERIALIZED (SELECT card_id, copies, costed, cost FROM holdings WHERE owner_id = $1),
    prices AS (
        SELECT card_id, last_price AS price FROM card_prices
        WHERE card_id = ANY(ARRAY(SELECT card_id FROM mine)) AND currency = $2
    ), floors AS (
        SELECT card_id, lowest_price AS floor FROM card_market
        WHERE card_id = ANY(ARRAY(SELECT card_id FROM mine)) AND open_auctions > 0
    ), held AS MATERIALIZED (
        SELECT mine.*, price, floor, {_WORTH.format(price="price")} AS value,
            {_WORTH.format(price="floor")} AS floor_value
        FROM mine FULL JOIN prices ON prices.card_id = mine.card_id FULL JOIN floors ON floors.card_id = mine.card_id
    ), totals AS (
        SELECT count(*), coalesce(sum(copies), 0), coalesce(sum(costed), 0), coalesce(sum(cost), 0),
            coalesce(sum(copies) FILTER (WHERE price IS NOT NULL), 0), coalesce(sum(value), 0),
            coalesce(sum(value), 0) - coalesce(sum(cost) FILTER (WHERE price IS NOT NULL), 0),
            coalesce(sum(copies) FILTER (WHERE floor IS NOT NULL), 0), coalesce(sum(floor_value), 0),
            (SELECT coalesce(sum(realised), 0) FROM seller_days WHERE seller_id = $1 AND currency = $2)
        FROM held
    ), top AS (SELECT * FROM held WHERE price IS NOT NULL ORDER BY value DESC, card_id LIMIT {TOP})
    SELECT totals.*, named.* FROM totals LEFT JOIN ({_NAMED.format(held="top")}) AS named ON true
    ORDER BY {_WORTH.format(price="price")} DESC, named.card_id
"""
_PAGE = f"""
    WITH held AS MATERIALIZED (
        SELECT h.card_id, h.copies, h.costed, h.cost,
            (SELECT p.last_price FROM card_prices p WHERE p.card_id = h.card_id AND p.currency = $2) AS price,
            (SELECT m.lowest_price FROM card_market m WHERE m.card_id = h.card_id AND m.open_auctions > 0) AS floor
        FROM holdings h WHERE h.owner_id = $1 AND h.card_id > $3 ORDER BY h.card_id LIMIT $4
    ) {_NAMED.format(held="held")} ORDER BY held.card_id
"""
_VALUES = """
    (SELECT day, copies, value FROM user_value_days WHERE user_id = $1 AND currency = $2 AND day < $3
        ORDER BY day DESC LIMIT 1)
    UNION ALL
    SELECT day, copies, value FROM user_value_days WHERE user_id = $1 AND currency = $2 AND day BETWEEN $3 AND $4
    ORDER BY day
"""
_SOLD = """
    SELECT coalesce(sum(auctions_offered), 0), coalesce(sum(auctions_sold), 0), coalesce(sum(copies_offered), 0),
        coalesce(sum(copies_sold), 0), coalesce(sum(gross), 0), coalesce(sum(fees), 0), coalesce(sum(royalties), 0),
        coalesce(sum(realised), 0)
    FROM seller_days WHERE seller_id = $1 AND currency = $2 AND day >= $3
"""
# Days before the first that something waits to be valued at, and before the one of the last look, are done.
_PROGRESS = """
    SELECT caught_up_at, least((SELECT min(day) FROM value_owners), (SELECT min(day) FROM value_cards))
    FROM analytics_progress
"""


class PortfolioReading:
    """What users see of their own. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def portfolio(self, owner: int, currency: str) -> tuple[Totals, list[Holding]]:
        """All of it, and the TOP most valuable holdings."""
        rows = await guarded(self._pool.fetch(_PORTFOLIO, owner, currency))
        count = len(Totals.__struct_fields__)
        holdings = [_holding(row[count:]) for row in rows if row[count] is not None]
        return Totals(*map(int, rows[0][:count])), holdings

    async def holdings(self, owner: int, currency: str, after: int, limit: int) -> list[Holding]:
        """Up to ``limit`` holdings, by card, after that card."""
        rows = await guarded(self._pool.fetch(_PAGE, owner, currency, after, min(limit, PAGE_MAX + 1)))
        return [_holding(row) for row in rows]

    async def values(self, user: int, currency: str, first: int, last: int) -> list[DayValue]:
        """The days from ``first`` to ``last`` at which the value changed, and the last one before them."""
        rows = await guarded(self._pool.fetch(_VALUES, user, currency, first, last))
        return [DayValue(row[0], row[1], int(row[2])) for row in rows]

    async def sold(self, seller: int, currency: str, first: int) -> Sold:
        """Auctions that ended on the day ``first`` or later."""
        row = await guarded(self._pool.fetchrow(_SOLD, seller, currency, first))
        assert row is not None, "sums have a row"
        return Sold(*map(int, row))

    async def progress(self) -> Progress:
        """How far the read models are."""
        row = await guarded(self._pool.fetchrow(_PROGRESS))
        assert row is not None, "the migration made the row"
        as_of, waiting = row
        if as_of is None:
            return Progress(None, -1)
        yesterday = day_of(as_of) - 1
        return Progress(as_of, yesterday if waiting is None else min(yesterday, waiting - 1))


def _holding(row: Iterable[Any]) -> Holding:
    *card, copies, costed, cost, price, floor = row
    return Holding(CardName(*card), copies, costed, int(cost), price, floor)
