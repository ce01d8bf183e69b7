"""Saved searches, indexed so that the searches that match a card are found."""

import asyncpg
import msgspec

from domain.catalog.words import Phrase
from persistence.catalog.query import tsquery_of
from persistence.catalog.reading import CatalogReading, Wanted
from persistence.postgres.errors import StoreError
from persistence.postgres.guard import guard, guarded

SEARCHES_MAX = 50
# How much of a word card_handles (migration 0016) takes; words that are shorter are looked for as they are.
HANDLE_LENGTH = 3


class SavedSearchesFull(StoreError):
    """Nobody can keep so many searches: delete some of them."""

    code = "saved_searches_full"


class SavedSearch(msgspec.Struct, frozen=True):
    """A search as its user wrote it. ``at``: when it was saved (ms)."""

    id: int
    name: str
    alerts: bool
    at: int
    wanted: Wanted


_LOCK = "SELECT FROM users WHERE user_id = $1 FOR NO KEY UPDATE"
_ADD = """
    INSERT INTO saved_searches (search_id, user_id, name, alerts, at, q, words, set_code, rarity, traits, min_price,
        max_price, status, handles)
    SELECT $1, $2, $3, $4, $5, $6, $7::text::tsquery, $8, $9, $10::text::jsonb, $11, $12, $13, $14
    WHERE (SELECT count(*) FROM saved_searches WHERE user_id = $2) < $15
    ON CONFLICT DO NOTHING RETURNING true
"""
_HAS = "SELECT EXISTS (SELECT FROM saved_searches WHERE search_id = $1 AND user_id = $2)"
_REMOVE = "DELETE FROM saved_searches WHERE search_id = $1 AND user_id = $2"
_ALL = """
    SELECT search_id, name, alerts, at, q, set_code, rarity, traits::text, min_price, max_price, status
    FROM saved_searches WHERE user_id = $1 ORDER BY search_id DESC LIMIT $2
"""


class SavedSearches:
    """The table ``saved_searches``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._catalog = CatalogReading(pool)

    async def add(self, user: int, search: SavedSearch) -> None:
        """Keep it; kept already under this id, nothing changes. Typos are resolved now. Raises SavedSearchesFull."""
        wanted = search.wanted
        groups = await self._catalog.words(wanted.q)
        values = (
            search.id, user, search.name, search.alerts, search.at, wanted.q,
            None if groups is None else tsquery_of(groups), wanted.set, wanted.rarity,
            msgspec.json.encode(dict(wanted.traits)).decode(), wanted.min_price, wanted.max_price, wanted.status,
            handles_of(wanted, groups), SEARCHES_MAX,
        )  # fmt: skip
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_LOCK, user)
            if not await connection.fetchval(_ADD, *values) and not await connection.fetchval(_HAS, search.id, user):
                raise SavedSearchesFull(f"a user keeps at most {SEARCHES_MAX} searches")

    async def remove(self, user: int, search: int) -> bool:
        """Forget it; whether there was such a one."""
        status: str = await guarded(self._pool.execute(_REMOVE, search, user))
        return status != "DELETE 0"

    async def all(self, user: int) -> list[SavedSearch]:
        """All of a user's searches, the newest first."""
        rows = await guarded(self._pool.fetch(_ALL, user, SEARCHES_MAX))
        return [SavedSearch(row[0], row[1], row[2], row[3], _wanted(*tuple(row)[4:])) for row in rows]


def handles_of(wanted: Wanted, groups: list[list[Phrase]] | None) -> list[str]:
    """What to find the search by: of what it asks for, that which the fewest cards have. One is enough."""
    if groups is not None:
        longest = max(groups, key=lambda group: len(max(group[0], key=len)), default=[])
        return sorted({f"w:{max(phrase, key=len)[:HANDLE_LENGTH]}" for phrase in longest})
    if wanted.traits:
        return ["t:{}:{}".format(*wanted.traits[0])]
    if wanted.set is not None:
        return [f"s:{wanted.set}"]
    return [] if wanted.rarity is None else [f"r:{wanted.rarity}"]


def _wanted(
    q: str, set_code: str | None, rarity: str | None, traits: str, min_price: int | None, max_price: int | None,
    status: str | None,
) -> Wanted:  # fmt: skip
    pairs = tuple(sorted(msgspec.json.decode(traits, type=dict[str, str]).items()))
    return Wanted(q, set_code, rarity, pairs, min_price, max_price, status)
