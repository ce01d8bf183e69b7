"""Reads the catalog: cards, pages, and alternatives for mistyped search words."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.catalog.trigrams import nearest, trigrams
from domain.catalog.words import Phrase, Term, terms
from persistence.catalog.query import (
    CARD_COLUMNS,
    FROM_CARDS,
    Place,
    Query,
    Wanted,
    page_of_cards,
    query_of,
    tsquery_of,
)
from persistence.postgres.guard import guard, guarded

__all__ = [
    "CARD_COLUMNS",
    "PAGE_MAX",
    "SETS_MAX",
    "Card",
    "CatalogReading",
    "SetRow",
    "Wanted",
    "planned",
    "tsquery_of",
]

PAGE_MAX = 100
SETS_MAX = 1_000
SET_COUNTED_MAX = 10_000
WORDS_MAX = 8
NEAR_WORDS_MAX = 8
NEAR_LENGTH_MIN = 3
CANDIDATES_MAX = 2_000
CONNECTION_WITHIN_S = 5.0


class Card(msgspec.Struct, frozen=True):
    """One card, with its market data. ``place`` is its key in the order of its page."""

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
    place: int | str


class SetRow(msgspec.Struct, frozen=True):
    """A set, and how many cards it has, SET_COUNTED_MAX at the most."""

    code: str
    name: str
    cards: int


_ONE = f"SELECT {CARD_COLUMNS}, 0 FROM {FROM_CARDS} WHERE c.card_id = $1"
_SETS = f"""
    SELECT code, name,
        (SELECT count(*) FROM (SELECT FROM cards c WHERE c.set_id = s.set_id LIMIT {SET_COUNTED_MAX}) AS counted)
    FROM card_sets s WHERE $1::text IS NULL OR code > $1 ORDER BY code LIMIT $2
"""
_SET = "SELECT set_id FROM card_sets WHERE code = $1"
# Of words that are in the vocabulary, or begin one of its words.
_KNOWN = """
    SELECT asked FROM unnest($1::text[]) AS asked
    WHERE EXISTS (SELECT FROM card_words WHERE word >= asked AND word < asked || chr(1114111))
"""
# Those that `alike` (domain/catalog/trigrams.py) would take: 10 shared >= 3 (all - shared), so that no others are sent.
_CANDIDATES = """
    SELECT word, trigrams FROM (
        SELECT word, trigrams, (SELECT count(*) FROM unnest(trigrams) AS one WHERE one = ANY($1::text[])) AS shared
        FROM card_words WHERE trigrams && $1::text[] AND length(word) BETWEEN $2 - 3 AND $2 + 3 OFFSET 0
    ) AS counted
    WHERE 13 * shared >= 3 * (cardinality(trigrams) + cardinality($1::text[])) ORDER BY shared DESC, word LIMIT $3
"""
# How many cards there are of what decides the way to them: a plan for any values would be wrong for most.
_PLANNED = "SET plan_cache_mode = 'force_custom_plan'; SET jit = off"


@asynccontextmanager
async def planned(pool: asyncpg.Pool) -> AsyncIterator[PoolConnectionProxy]:
    """A connection whose queries are planned for their values. Raises StoreUnavailable."""
    async with guard(), pool.acquire(timeout=CONNECTION_WITHIN_S) as connection:
        await connection.execute(_PLANNED)
        try:
            yield connection
        finally:
            await connection.execute("RESET ALL")


class CatalogReading:
    """The catalog as anyone may see it. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def card(self, id: int) -> Card | None:
        """One card."""
        row = await guarded(self._pool.fetchrow(_ONE, id))
        return None if row is None else Card(*row)

    async def sets(self, after: str | None, limit: int) -> list[SetRow]:
        """Up to ``limit`` sets by code, each with how many cards it has, SET_COUNTED_MAX at the most."""
        rows = await guarded(self._pool.fetch(_SETS, after, min(limit, SETS_MAX)))
        return [SetRow(*row) for row in rows]

    async def query(self, wanted: Wanted) -> Query:
        """The query for these filters; words that no card has are replaced by similar ones."""
        groups = await self.words(wanted.q)
        set_id = None if wanted.set is None else await guarded(self._pool.fetchval(_SET, wanted.set))
        return query_of(wanted, None if groups is None else tsquery_of(groups), set_id)

    async def words(self, q: str) -> list[list[Phrase]] | None:
        """The alternatives of each word, itself first; None without words."""
        if not q.strip():
            return None
        asked = terms(q)[:WORDS_MAX]
        words = sorted({word for term in asked for phrase in term for word in phrase})
        known = {row[0] for row in await guarded(self._pool.fetch(_KNOWN, words))}
        return [[*term, *await self._near(term, known)] for term in asked]

    async def page(self, query: Query, sort: str, after: Place | None, limit: int) -> list[Card]:
        """Up to ``limit`` cards in this order, after that place."""
        statement, values = page_of_cards(query, sort, after, min(limit, PAGE_MAX + 1))
        async with planned(self._pool) as connection:
            return [Card(*row) for row in await connection.fetch(statement, *values)]

    async def _near(self, term: Term, known: set[str]) -> list[Phrase]:
        """Similar words for a term that the catalog does not have."""
        word = term[0][0]
        if len(term[0]) > 1 or len(word) < NEAR_LENGTH_MIN or any(known.issuperset(phrase) for phrase in term):
            return []
        rows = await guarded(self._pool.fetch(_CANDIDATES, sorted(trigrams(word)), len(word), CANDIDATES_MAX))
        return [(near,) for near in nearest(word, {row[0]: frozenset(row[1]) for row in rows}, NEAR_WORDS_MAX)]
