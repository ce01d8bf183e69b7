"""How many cards there are of what: exact up to COUNTED_MAX, beyond it from a sample, and said to be so."""

from typing import Any

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.ledger.currencies import AMOUNT_MAX
from persistence.catalog_query import Query
from persistence.catalog_reading import planned

COUNTED_MAX = 10_000
FACET_VALUES_MAX = 50
# Cards of a sample, about: so many of its parts are read.
SAMPLED_MAX = 10_000
PARTS = 1_024
# Parts that card_sample has (migration 0012).
PARTS_KEPT = 64
# So many of a sample, and twice COUNTED_MAX by it: then there are more than COUNTED_MAX, and nobody has to count them.
SURE_HITS = 150
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
_MARKET_CARDS = "card_market m JOIN cards c ON c.card_id = m.card_id"
# Of as many as could be counted; of more nothing, they are estimated. Cards often share all their traits.
_FACETS = f"""
    WITH matched AS MATERIALIZED (SELECT c.set_id, c.rarity, c.traits FROM {{source}} WHERE {{where}} LIMIT {{limit}}),
    counted AS MATERIALIZED (SELECT count(*) AS cards FROM matched),
    used AS (SELECT * FROM matched WHERE (SELECT cards FROM counted) < {{limit}}),
    sets AS (SELECT set_id, count(*) AS cards FROM used GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {FACET_VALUES_MAX})
    (SELECT 'total', '', '', cards FROM counted)
    UNION ALL (SELECT 'set', s.code, s.code, sets.cards FROM sets JOIN card_sets s ON s.set_id = sets.set_id)
    UNION ALL (SELECT 'rarity', rarity, rarity, count(*) FROM used GROUP BY 2 ORDER BY 4 DESC, 2
        LIMIT {FACET_VALUES_MAX})
    UNION ALL (SELECT 'trait', key, value, sum(cards)::bigint
        FROM (SELECT traits, count(*) AS cards FROM used GROUP BY 1) AS alike, jsonb_each_text(traits)
        GROUP BY 2, 3 ORDER BY 4 DESC, 2, 3 LIMIT {FACET_VALUES_MAX})
"""
_PRICES = """
    SELECT width_bucket(price, ${bounds}::bigint[]), count(*) FROM (
        SELECT m.lowest_price AS price FROM {source} WHERE m.open_auctions > 0 AND {where} LIMIT {limit}
    ) AS open GROUP BY 1
"""


class CatalogCounting:
    """Counts of the catalog as anyone may see it. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def total(self, query: Query) -> Count:
        """How many there are."""
        async with planned(self._pool) as connection:
            source, where, scale = await _sample(connection)
            where = f"{where} AND {query.where()}"
            hits = await connection.fetchval(f"SELECT count(*) FROM {source} WHERE {where}", *query.values)
            if not _surely_many(hits, scale):
                some = f"SELECT FROM cards c {_MARKET} WHERE {query.where()} LIMIT {COUNTED_MAX + 1}"
                count = await connection.fetchval(f"SELECT count(*) FROM ({some}) AS counted", *query.values)
                if count <= COUNTED_MAX:
                    return Count(count, False)
            return Count(max(hits * scale, COUNTED_MAX + 1), True)

    async def facets(self, query: Query) -> Facets:
        """Of the cards themselves."""
        async with planned(self._pool) as connection:
            source, where, scale = await _sample(connection)
            where = f"{where} AND {query.where()}"
            hits = await connection.fetchval(f"SELECT count(*) FROM {source} WHERE {where}", *query.values)
            if not _surely_many(hits, scale):
                exact = _FACETS.format(
                    source=f"cards c {_MARKET}", where=query.where(), limit=COUNTED_MAX + 1
                )
                rows = await connection.fetch(exact, *query.values)
                if _total(rows) <= COUNTED_MAX:
                    return _gathered(rows, Count(_total(rows), False), 1)
            sampled = _FACETS.format(source=source, where=where, limit=AMOUNT_MAX)
            rows = await connection.fetch(sampled, *query.values)
            return _gathered(rows, Count(max(_total(rows) * scale, COUNTED_MAX + 1), True), scale)

    async def market(self, query: Query) -> MarketFacets:
        """Of the open auctions of these cards."""
        source = _MARKET_CARDS if query.on_cards else "card_market m"
        values = [*query.values, list(PRICE_BOUNDS)]
        statement = _PRICES.format(source=source, where=query.where(), limit=COUNTED_MAX + 1, bounds=len(values))
        async with planned(self._pool) as connection:
            found = dict(await connection.fetch(statement, *values))
            if sum(found.values()) <= COUNTED_MAX:
                return _by_price(found, 1)
            parts = _parts(await connection.fetchval(_ROWS, "card_market"), PARTS)
            where = f"catalog_part(m.card_id) < {parts} AND {query.where()}"
            statement = _PRICES.format(source=source, where=where, limit=AMOUNT_MAX, bounds=len(values))
            return _by_price(dict(await connection.fetch(statement, *values)), PARTS // parts)


async def _sample(connection: PoolConnectionProxy) -> tuple[str, str, int]:
    """A source of some cards c, always the same ones, its condition, and one in how many they are."""
    parts = _parts(await connection.fetchval(_ROWS, "cards"), PARTS_KEPT)
    return f"card_sample c {_MARKET}", f"c.part < {parts}", PARTS // parts


def _parts(rows: int, most: int) -> int:
    """Of PARTS: a power of two, so that of these rows no more than SAMPLED_MAX are in them."""
    parts = most
    while parts > 1 and rows * parts > SAMPLED_MAX * PARTS:
        parts //= 2
    return parts


def _surely_many(hits: int, scale: int) -> bool:
    return hits >= SURE_HITS and hits * scale >= 2 * COUNTED_MAX


def _total(rows: list[Any]) -> int:
    return next(int(row[3]) for row in rows if row[0] == "total")


def _gathered(rows: list[Any], total: Count, scale: int) -> Facets:
    found: dict[str, list[tuple[str, str, int]]] = {"set": [], "rarity": [], "trait": []}
    for facet, name, value, count in rows:
        if facet != "total":
            found[facet].append((name, value, count * scale))
    for counts in found.values():
        counts.sort(key=lambda one: (-one[2], one[0], one[1]))
    return Facets(total, **found)


def _by_price(found: dict[int, int], scale: int) -> MarketFacets:
    prices = [found.get(bucket, 0) * scale for bucket in range(1, len(PRICE_BOUNDS) + 1)]
    return MarketFacets(Count(sum(found.values()) * scale, scale > 1), prices)
