"""Counts of cards and facets: exact up to COUNTED_MAX, beyond it estimates from a sample, marked as such."""

from typing import Any

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.ledger.currencies import AMOUNT_MAX
from persistence.catalog.query import Query
from persistence.catalog.reading import planned

COUNTED_MAX = 10_000
FACET_VALUES_MAX = 50
# Cards of a sample, about: so many of its parts are read.
SAMPLED_MAX = 10_000
PARTS = 1_024
# Parts that card_sample has (migration 0012).
PARTS_KEPT = 64
# Open auctions of a sample, about; each is looked up among the cards.
OPEN_SAMPLED_MAX = 4_000
# So many standard deviations above COUNTED_MAX by the sample: then there are more, and nobody has to count them.
SURE_DEVIATIONS = 6
# From where to where the lowest price goes in each bucket, in base units of 6 decimals.
PRICE_BOUNDS = (0, 1_000_000, 5_000_000, 25_000_000, 100_000_000, 500_000_000)


class Count(msgspec.Struct, frozen=True):
    """How many; an estimate beyond COUNTED_MAX."""

    count: int
    estimate: bool


class Facets(msgspec.Struct, frozen=True):
    """By facet: (name, value, count), the most frequent first, FACET_VALUES_MAX of each at the most."""

    total: Count
    set: list[tuple[str, str, int]]
    rarity: list[tuple[str, str, int]]
    trait: list[tuple[str, str, int]]


class MarketFacets(msgspec.Struct, frozen=True):
    """Cards with open auctions, and how many of them are in each bucket of PRICE_BOUNDS by their lowest price."""

    open: Count
    prices: list[int]


_ROWS = "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = $1::text::regclass"
_MARKET = "LEFT JOIN card_market m ON m.card_id = c.card_id"
_CARDS = f"cards c {_MARKET}"
_SAMPLE = f"card_sample c {_MARKET}"
# Open auctions first, their cards looked up one by one: the cards that match the rest may be very many.
_OPEN = "(SELECT * FROM card_market WHERE open_auctions > 0 AND {some} OFFSET 0) AS m"
_CARDS_OPEN = f"{_OPEN} CROSS JOIN LATERAL (SELECT * FROM cards WHERE card_id = m.card_id OFFSET 0) AS c"
# Of as many as could be counted; of more nothing, they are estimated. Cards often share all their traits.
_FACETS = f"""
    WITH matched AS MATERIALIZED (
        SELECT c.set_id, c.rarity, c.traits, {{price}} AS price
        FROM {{source}} WHERE {{where}} LIMIT {{limit}}),
    counted AS MATERIALIZED (SELECT count(*) AS cards FROM matched),
    used AS NOT MATERIALIZED (SELECT * FROM matched WHERE (SELECT cards FROM counted) < {{limit}}),
    sets AS (SELECT set_id, count(*) AS cards FROM used GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {FACET_VALUES_MAX})
    (SELECT 'total', '', '', cards FROM counted)
    UNION ALL (SELECT 'set', s.code, s.code, sets.cards FROM sets JOIN card_sets s ON s.set_id = sets.set_id)
    UNION ALL (SELECT 'rarity', rarity, rarity, count(*) FROM used GROUP BY 2 ORDER BY 4 DESC, 2
        LIMIT {FACET_VALUES_MAX})
    UNION ALL (SELECT 'trait', key, value, sum(cards)::bigint
        FROM (SELECT traits, count(*) AS cards FROM used GROUP BY 1) AS alike, jsonb_each_text(traits)
        GROUP BY 2, 3 ORDER BY 4 DESC, 2, 3 LIMIT {FACET_VALUES_MAX})
    UNION ALL (SELECT 'price', '', width_bucket(price, ${{bounds}}::bigint[])::text, count(*) FROM used
        WHERE price IS NOT NULL GROUP BY 3)
"""
_PRICE, _NO_PRICE = "CASE WHEN m.open_auctions > 0 THEN m.lowest_price END", "NULL::bigint"
_PRICES = """
    SELECT width_bucket(price, ${bounds}::bigint[]), count(*) FROM (
        SELECT m.lowest_price AS price FROM {source} WHERE {where} LIMIT {limit}
    ) AS open WHERE price IS NOT NULL GROUP BY 1
"""


class _Sample(msgspec.Struct, frozen=True):
    """Where some of the cards are, always the same ones: those of so many parts, which are one in ``scale``."""

    source: str
    condition: str
    parts: int

    @property
    def scale(self) -> int:
        return PARTS // self.parts

    def where(self, query: Query) -> str:
        return f"{self.condition} AND {query.where()}"


class CatalogCounting:
    """Counts of the catalog as anyone may see it. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def total(self, query: Query) -> Count:
        """How many there are."""
        async with planned(self._pool) as connection:
            sample = await _sample(connection, query)
            many = await _surely_many(connection, query, sample)
            if many is not None:
                return many
            some = f"SELECT FROM {_all(query)} WHERE {query.where()} LIMIT {COUNTED_MAX + 1}"
            count = await connection.fetchval(f"SELECT count(*) FROM ({some}) AS counted", *query.values)
            return Count(count, False) if count <= COUNTED_MAX else await _estimated(connection, query, sample)

    async def facets(self, query: Query, total: Count | None = None) -> tuple[Facets, MarketFacets]:
        """Of the cards themselves, and of their open auctions. ``total``, where it is known, spares some work."""
        async with planned(self._pool) as connection:
            sample = await _sample(connection, query)
            many = await _surely_many(connection, query, sample) if total is None else total
            if many is not None and not many.estimate:
                many = None
            if many is None:
                rows = await _facets(connection, query, _all(query), query.where(), COUNTED_MAX + 1, _PRICE)
                if _total(rows) <= COUNTED_MAX:
                    return _gathered(rows, Count(_total(rows), False), 1)
                many = await _estimated(connection, query, sample)
            # Of few open auctions hardly any are in a sample of all cards.
            price = _PRICE if query.on_open else _NO_PRICE
            rows = await _facets(connection, query, sample.source, sample.where(query), AMOUNT_MAX, price)
            facets, market = _gathered(rows, many, sample.scale)
            return facets, market if query.on_open else await _market(connection, query, many)

    async def market(self, query: Query, total: Count) -> MarketFacets:
        """Of the open auctions of these cards alone, which are so many."""
        async with planned(self._pool) as connection:
            return await _market(connection, query, total)


async def _facets(
    connection: PoolConnectionProxy, query: Query, source: str, where: str, limit: int, price: str
) -> list[Any]:
    bounds = len(query.values) + 1
    statement = _FACETS.format(source=source, where=where, limit=limit, price=price, bounds=bounds)
    rows: list[Any] = await connection.fetch(statement, *query.values, list(PRICE_BOUNDS))
    return rows


async def _market(connection: PoolConnectionProxy, query: Query, total: Count) -> MarketFacets:
    if not (total.estimate and query.on_cards):
        if query.on_cards:
            source, where = f"cards c {_MARKET}", f"m.open_auctions > 0 AND {query.where()}"
        else:
            source, where = _OPEN.format(some="true"), query.where()
        found = await _prices(connection, query, source, where, COUNTED_MAX + 1)
        if sum(found.values()) <= COUNTED_MAX:
            return _by_price(found, Count(sum(found.values()), False), 1)
    sample = await _open_sample(connection)
    found = await _prices(connection, query, sample.source, sample.where(query), AMOUNT_MAX)
    return _by_price(found, Count(sum(found.values()) * sample.scale, sample.scale > 1), sample.scale)


async def _prices(connection: PoolConnectionProxy, query: Query, source: str, where: str, limit: int) -> dict[int, int]:
    statement = _PRICES.format(source=source, where=where, limit=limit, bounds=len(query.values) + 1)
    rows = await connection.fetch(statement, *query.values, list(PRICE_BOUNDS))
    return {row[0]: row[1] for row in rows}


def _all(query: Query) -> str:
    return _CARDS_OPEN.format(some="true") if query.on_open else _CARDS


async def _sample(connection: PoolConnectionProxy, query: Query) -> _Sample:
    if query.on_open:
        return await _open_sample(connection)
    parts = _parts(await connection.fetchval(_ROWS, "cards"), PARTS_KEPT, SAMPLED_MAX)
    return _Sample(_SAMPLE, f"c.part < {parts}", parts)


async def _open_sample(connection: PoolConnectionProxy) -> _Sample:
    parts = _parts(await connection.fetchval(_ROWS, "card_market"), PARTS, OPEN_SAMPLED_MAX)
    return _Sample(_CARDS_OPEN.format(some=f"catalog_part(card_id) < {parts}"), "true", parts)


async def _surely_many(connection: PoolConnectionProxy, query: Query, sample: _Sample) -> Count | None:
    """An estimate, if by the sample there are surely more than COUNTED_MAX."""
    if sample.scale == 1:
        return None
    estimate = await _estimated(connection, query, sample)
    # Of COUNTED_MAX cards so many would be in the sample, give or take the root of it.
    expected = COUNTED_MAX / sample.scale
    sure = estimate.count / sample.scale > expected + SURE_DEVIATIONS * expected**0.5
    return estimate if sure else None


async def _estimated(connection: PoolConnectionProxy, query: Query, sample: _Sample) -> Count:
    statement = f"SELECT count(*) FROM {sample.source} WHERE {sample.where(query)}"
    hits = await connection.fetchval(statement, *query.values)
    return Count(max(hits * sample.scale, COUNTED_MAX + 1), True)


def _parts(rows: int, kept: int, most: int) -> int:
    """Of PARTS, ``kept`` at the most: a power of two, so that of these rows about ``most`` are in them."""
    parts = kept
    while parts > 1 and rows * parts > most * PARTS:
        parts //= 2
    return parts


def _total(rows: list[Any]) -> int:
    return next(int(row[3]) for row in rows if row[0] == "total")


def _gathered(rows: list[Any], total: Count, scale: int) -> tuple[Facets, MarketFacets]:
    found: dict[str, list[tuple[str, str, int]]] = {"total": [], "set": [], "rarity": [], "trait": [], "price": []}
    for facet, name, value, count in rows:
        found[facet].append((name, value, count * scale))
    for counts in found.values():
        counts.sort(key=lambda one: (-one[2], one[0], one[1]))
    prices = {int(bucket): count for _, bucket, count in found["price"]}
    market = _by_price(prices, Count(sum(prices.values()), total.estimate), 1)
    return Facets(total, found["set"], found["rarity"], found["trait"]), market


def _by_price(found: dict[int, int], total: Count, scale: int) -> MarketFacets:
    return MarketFacets(total, [found.get(bucket, 0) * scale for bucket in range(1, len(PRICE_BOUNDS) + 1)])
