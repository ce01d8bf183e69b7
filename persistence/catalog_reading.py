"""Reading the catalog: a card, pages, searches, and how many there are of what."""

from typing import Any

import asyncpg
import msgspec

from domain.catalog.trigrams import nearest, trigrams
from persistence.guard import guarded

PAGE_MAX = 100
COUNTED_MAX = 10_000
RANKED_MAX = 2_000
SETS_MAX = 1_000
WORDS_MAX = 8
NEAR_WORDS_MAX = 8
PREFIX_LENGTH_MIN = 3
CANDIDATES_MAX = 2_000
FACET_VALUES_MAX = 50
PRICE_MAX = 2**53
SORTS = ("relevance", "newest", "name", "price", "ending")


class Wanted(msgspec.Struct, frozen=True):
    """Which cards. ``traits`` are (name, value); prices are those of open auctions, in base units."""

    q: str = ""
    set: str | None = None
    rarity: str | None = None
    traits: tuple[tuple[str, str], ...] = ()
    min_price: int | None = None
    max_price: int | None = None
    status: str | None = None


class Card(msgspec.Struct, frozen=True):
    """One card, with what the market says of it. ``place`` is its key in the order of its page."""

    id: int
    set: str
    set_name: str
    number: str
    name: str
    description: str
    rarity: str
    traits: str
    edition: int | None
    images: list[str]
    model_3d: str | None
    created_at: int
    updated_at: int
    open_auctions: int
    lowest_price: int | None
    ends_at_next: int | None
    listed_at_last: int | None
    place: int


class Count(msgspec.Struct, frozen=True):
    """How many; an estimate beyond COUNTED_MAX."""

    count: int
    estimate: bool


class SetRow(msgspec.Struct, frozen=True):
    """A set, and how many cards it has, COUNTED_MAX at the most."""

    code: str
    name: str
    cards: int


class Query(msgspec.Struct, frozen=True):
    """Conditions on cards c, sets s and the market m, and the values of their parameters."""

    conditions: list[str]
    values: list[Any]
    tsquery: int | None

    def where(self) -> str:
        return " AND ".join(self.conditions) or "true"


CARD_COLUMNS = """c.card_id, s.code, s.name, c.number, c.name, c.description, c.rarity, c.traits::text, c.edition,
    c.images, c.model_3d, c.created_at, c.updated_at, coalesce(m.open_auctions, 0), m.lowest_price, m.ends_at_next,
    m.listed_at_last"""
_FROM = "cards c LEFT JOIN card_sets s ON s.set_id = c.set_id LEFT JOIN card_market m ON m.card_id = c.card_id"
_ONE = f"SELECT {CARD_COLUMNS}, 0 FROM {_FROM} WHERE c.card_id = $1"
_SETS = f"""
    SELECT code, name,
        (SELECT count(*) FROM (SELECT FROM cards c WHERE c.set_id = s.set_id LIMIT {COUNTED_MAX}) AS counted)
    FROM card_sets s WHERE $1::text IS NULL OR code > $1 ORDER BY code LIMIT $2
"""
_WORDS_OF = "SELECT DISTINCT word FROM string_to_table(catalog_folded($1), ' ') AS word WHERE word <> ''"
_KNOWN = "SELECT word FROM card_words WHERE word = ANY($1::text[])"
_STARTS = "SELECT EXISTS (SELECT FROM card_words WHERE starts_with(word, $1))"
_CANDIDATES = """
    SELECT word, trigrams FROM card_words WHERE trigrams && $1::text[] AND length(word) BETWEEN $2 - 3 AND $2 + 3
    ORDER BY (SELECT count(*) FROM unnest(trigrams) AS one WHERE one = ANY($1::text[])) DESC, word LIMIT $3
"""


class CatalogReading:
    """The catalog as anyone may see it. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def card(self, id: int) -> Card | None:
        """One card."""
        row = await guarded(self._pool.fetchrow(_ONE, id))
        return None if row is None else Card(*row)

    async def sets(self, after: str | None, limit: int) -> list[SetRow]:
        """Up to ``limit`` sets by code, each with how many cards it has, COUNTED_MAX at the most."""
        rows = await guarded(self._pool.fetch(_SETS, after, min(limit, SETS_MAX)))
        return [SetRow(*row) for row in rows]

    async def query(self, wanted: Wanted) -> Query:
        """What these filters are in SQL; words that no card has are those that look like them."""
        groups = await self.words(wanted.q)
        return _query(wanted, None if groups is None else tsquery_of(groups))

    async def words(self, q: str) -> list[list[str]] | None:
        """Of each word what it may be, itself first; None where nothing was asked for."""
        if not q.strip():
            return None
        words = [row[0] for row in await guarded(self._pool.fetch(_WORDS_OF, q))][:WORDS_MAX]
        known = {row[0] for row in await guarded(self._pool.fetch(_KNOWN, words))}
        return [[word, *([] if word in known else await self._near(word))] for word in words]

    async def page(self, query: Query, sort: str, after: tuple[int, int] | None, limit: int) -> list[Card]:
        """Up to ``limit`` cards in this order, after that (place, card)."""
        statement, values = _page(query, sort, after, min(limit, PAGE_MAX + 1))
        return [Card(*row) for row in await guarded(self._pool.fetch(statement, *values))]

    async def total(self, query: Query) -> Count:
        """How many there are."""
        some = f"SELECT count(*) FROM (SELECT FROM {_FROM} WHERE {query.where()} LIMIT {COUNTED_MAX + 1}) AS counted"
        count = await guarded(self._pool.fetchval(some, *query.values))
        if count <= COUNTED_MAX:
            return Count(count, False)
        sample, scale = await self._sample()
        statement = f"SELECT count(*) FROM {sample} WHERE {query.where()}"
        return Count(max(count, scale * await guarded(self._pool.fetchval(statement, *query.values))), True)

    async def facets(self, query: Query, exact: bool) -> dict[str, list[tuple[str, str, int]]]:
        """By facet: (name, value, count), the most frequent first, FACET_VALUES_MAX of each at the most."""
        source, scale = (_FROM, 1) if exact else await self._sample()
        rows = await guarded(self._pool.fetch(_facets(source, query.where()), *query.values))
        found: dict[str, list[tuple[str, str, int]]] = {"set": [], "rarity": [], "status": [], "trait": []}
        for facet, name, value, count in rows:
            found[facet].append((name, value, count * scale))
        return found

    async def _sample(self) -> tuple[str, int]:
        """Some pages of the cards, always the same ones, and one in how many they are."""
        rows = await guarded(
            self._pool.fetchval("SELECT reltuples::bigint FROM pg_class WHERE oid = 'cards'::regclass")
        )
        scale = max(1, rows // COUNTED_MAX)
        return _FROM.replace("cards c", f"cards c TABLESAMPLE SYSTEM ({100 / scale:.6f}) REPEATABLE (7)", 1), scale

    async def _near(self, word: str) -> list[str]:
        if len(word) < 3 or await guarded(self._pool.fetchval(_STARTS, word)):
            return []
        rows = await guarded(self._pool.fetch(_CANDIDATES, sorted(trigrams(word)), len(word), CANDIDATES_MAX))
        return nearest(word, {row[0]: frozenset(row[1]) for row in rows}, NEAR_WORDS_MAX)


def tsquery_of(groups: list[list[str]]) -> str:
    """The text of a tsquery for cards that have one of each group."""
    return " & ".join(map(_either, groups))


def _either(group: list[str]) -> str:
    quoted = ["'{}'".format(one.replace("\\", "").replace("'", "")) for one in group]
    # What begins so as well: whoever types has perhaps not ended. Too many words begin with the same two letters.
    if len(group[0]) >= PREFIX_LENGTH_MIN:
        quoted[0] += ":*"
    return "(" + " | ".join(quoted) + ")"


def _query(wanted: Wanted, tsquery: str | None) -> Query:
    conditions: list[str] = []
    values: list[Any] = []

    def add(condition: str, value: Any) -> None:
        values.append(value)
        conditions.append(condition.format(f"${len(values)}"))

    if tsquery is not None:
        add("c.document @@ {}::text::tsquery", tsquery)
    if wanted.set is not None:
        add("c.set_id = (SELECT set_id FROM card_sets WHERE code = {})", wanted.set)
    if wanted.rarity is not None:
        add("c.rarity = {}", wanted.rarity)
    if wanted.traits:
        add("c.traits @> {}::text::jsonb", msgspec.json.encode(dict(wanted.traits)).decode())
    if wanted.min_price is not None:
        add("m.open_auctions > 0 AND m.lowest_price >= {}", wanted.min_price)
    if wanted.max_price is not None:
        add("m.open_auctions > 0 AND m.lowest_price <= {}", wanted.max_price)
    if wanted.status is not None:
        conditions.append("m.open_auctions > 0" if wanted.status == "open" else "coalesce(m.open_auctions, 0) = 0")
    return Query(conditions, values, None if tsquery is None else 1)


def _page(query: Query, sort: str, after: tuple[int, int] | None, limit: int) -> tuple[str, list[Any]]:
    if sort == "relevance" and query.tsquery is not None:
        return _ranked(query, after, limit)
    values, conditions = [*query.values], [*query.conditions]
    place, order = "0", "c.card_id DESC"
    if sort == "name":
        order = "lower(c.name), c.card_id"
    elif sort in ("price", "ending"):
        place = f"m.{'lowest_price' if sort == 'price' else 'ends_at_next'}"
        order = f"{place}, c.card_id"
        # Only what is for sale has a price and an end.
        conditions.append("m.open_auctions > 0")
    if after is not None:
        values += [after[1]]
        card = f"${len(values)}"
        if sort == "name":
            conditions.append(
                f"(lower(c.name), c.card_id) > (SELECT lower(name), card_id FROM cards WHERE card_id = {card})"
            )
        elif sort in ("price", "ending"):
            values += [after[0]]
            conditions.append(f"({place}, c.card_id) > (${len(values)}, {card})")
        else:
            conditions.append(f"c.card_id < {card}")
    where = " AND ".join(conditions) or "true"
    return f"SELECT {CARD_COLUMNS}, {place} FROM {_FROM} WHERE {where} ORDER BY {order} LIMIT {int(limit)}", values


def _ranked(query: Query, after: tuple[int, int] | None, limit: int) -> tuple[str, list[Any]]:
    """The best of up to RANKED_MAX cards that match."""
    values = [*query.values, *(after or (PRICE_MAX, 0))]
    rank, card = len(values) - 1, len(values)
    return (
        f"""
        WITH ranked AS (
            SELECT c.card_id, (ts_rank(c.document, ${query.tsquery}::text::tsquery) * 1000000)::bigint AS rank
            FROM {_FROM} WHERE {query.where()} LIMIT {RANKED_MAX}
        ), best AS (
            SELECT card_id, rank FROM ranked WHERE (-rank, card_id) > (-${rank}::bigint, ${card}::bigint)
            ORDER BY -rank, card_id LIMIT {int(limit)}
        )
        SELECT {CARD_COLUMNS}, best.rank FROM best JOIN cards c ON c.card_id = best.card_id
        JOIN card_sets s ON s.set_id = c.set_id LEFT JOIN card_market m ON m.card_id = c.card_id
        ORDER BY -best.rank, c.card_id
    """,
        values,
    )


def _facets(source: str, where: str) -> str:
    parts = [
        ("set", "code", "code"),
        ("rarity", "rarity", "rarity"),
        ("status", "status", "status"),
    ]  # fmt: skip
    each = [
        f"(SELECT '{facet}', {name}, {value}, count(*) FROM matched GROUP BY 2, 3 ORDER BY 4 DESC, 2 LIMIT "
        f"{FACET_VALUES_MAX})"
        for facet, name, value in parts
    ]
    each.append(
        "(SELECT 'trait', key, value, count(*) FROM matched, jsonb_each_text(traits) GROUP BY 2, 3 "
        f"ORDER BY 4 DESC, 2, 3 LIMIT {FACET_VALUES_MAX})"
    )
    return f"""
        WITH matched AS MATERIALIZED (
            SELECT s.code, c.rarity, c.traits, CASE WHEN m.open_auctions > 0 THEN 'open' ELSE 'none' END AS status
            FROM {source} WHERE {where} LIMIT {COUNTED_MAX}
        ) {" UNION ALL ".join(each)}
    """
