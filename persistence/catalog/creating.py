"""Cards that their creators put into the catalog themselves, each into a set of their own."""

import asyncpg
import msgspec

from domain.catalog.rows import CardRow
from domain.errors import CARD_EXISTS, NOT_YOUR_CARD
from persistence.catalog.pages import page_of
from persistence.catalog.writing import CatalogWriting
from persistence.postgres.guard import guard


class CardRefused(msgspec.Struct, frozen=True):
    """Nothing was done."""

    code: str


# Who creates a card of a set waits for whoever does so: else two users could begin the same set.
_LOCK = "SELECT pg_advisory_xact_lock(718203943, hashtext($1))"
_OTHERS = """
    SELECT true FROM cards JOIN card_sets s USING (set_id) WHERE s.code = $1 AND creator_id <> $2 LIMIT 1
"""
_THERE = """
    SELECT card_id, (k.name, rarity, description, images) = ($3, $4, $5, $6::text[]) AS same
    FROM cards k JOIN card_sets s USING (set_id) WHERE s.code = $1 AND number = $2
"""


class CardCreating:
    """Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool, writing: CatalogWriting) -> None:
        self._pool, self._writing = pool, writing

    async def create(self, row: CardRow, creator: int, now_ms: int) -> int | CardRefused:
        """The id of the new card. Done again, it is the same card; what is there never changes."""
        asked = (row.set, row.number, row.name, row.rarity, row.description, row.images)
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_LOCK, row.set)
            if await connection.fetchval(_OTHERS, row.set, creator):
                return CardRefused(NOT_YOUR_CARD)
            found = await connection.fetchrow(_THERE, *asked)
            if found is not None:
                return int(found["card_id"]) if found["same"] else CardRefused(CARD_EXISTS)
            await self._writing.put_within(connection, page_of([row]), creator, now_ms)
            made = await connection.fetchrow(_THERE, *asked)
            assert made is not None, "it was just written"
            return int(made["card_id"])
