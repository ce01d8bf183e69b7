"""Writing the catalog: sets and cards, a page at a time, all of it or nothing."""

from collections.abc import Sequence

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.catalog.rows import CardRow
from domain.catalog.trigrams import WORD_LENGTH_MAX, trigrams
from persistence.guard import guard

PAGE_ROWS_MAX = 10_000
PAGE_TIMEOUT_S = 60.0


class Written(msgspec.Struct, frozen=True):
    """How many cards of a page are new, how many are other than they were; the rest was so already."""

    created: int
    changed: int
    same: int


_INCOMING = """
    CREATE TEMP TABLE IF NOT EXISTS incoming_cards (
        set_code text, number text, name text, rarity text, set_name text, description text, traits text,
        edition int, images text[], model_3d text
    ) ON COMMIT DELETE ROWS
"""
_COLUMNS = (
    "set_code", "number", "name", "rarity", "set_name", "description", "traits", "edition", "images", "model_3d"
)  # fmt: skip

# A set is called what it was called last; one that is never named is called by its code.
_SETS = """
    WITH given AS (SELECT set_code, max(set_name) AS name FROM incoming_cards GROUP BY set_code ORDER BY set_code)
    INSERT INTO card_sets (code, name) SELECT set_code, coalesce(name, set_code) FROM given
    ON CONFLICT (code) DO UPDATE SET name = excluded.name
        WHERE card_sets.name <> excluded.name
            AND EXISTS (SELECT FROM given WHERE given.set_code = excluded.code AND given.name IS NOT NULL)
    RETURNING set_id, xmax <> 0 AS renamed
"""

# The name of a set is among the words of its cards.
_RENAMED = """
    UPDATE cards c SET document = catalog_document(c.name, c.number, s.name, c.traits, c.description)
    FROM card_sets s WHERE s.set_id = c.set_id AND s.set_id = ANY($1::bigint[])
"""

_CARDS = """
    INSERT INTO cards (set_id, number, name, description, rarity, traits, edition, creator_id, images, model_3d,
        created_at, updated_at, document)
    SELECT s.set_id, i.number, i.name, i.description, i.rarity, i.traits::jsonb, i.edition, $1, i.images, i.model_3d,
        $2, $2, catalog_document(i.name, i.number, s.name, i.traits::jsonb, i.description)
    FROM incoming_cards i JOIN card_sets s ON s.code = i.set_code
    ORDER BY s.set_id, i.number
    ON CONFLICT (set_id, number) DO UPDATE SET name = excluded.name, description = excluded.description,
        rarity = excluded.rarity, traits = excluded.traits, edition = excluded.edition, images = excluded.images,
        model_3d = excluded.model_3d, updated_at = greatest(excluded.updated_at, cards.updated_at + 1),
        document = excluded.document
    WHERE (cards.name, cards.description, cards.rarity, cards.traits, cards.edition, cards.images, cards.model_3d)
        IS DISTINCT FROM (excluded.name, excluded.description, excluded.rarity, excluded.traits, excluded.edition,
            excluded.images, excluded.model_3d)
    RETURNING card_id, xmax = 0 AS created
"""

_COUNTED = f"WITH done AS ({_CARDS}) SELECT count(*) FILTER (WHERE created), count(*) FROM done"

_NEW_WORDS = f"""
    SELECT DISTINCT fresh FROM incoming_cards i JOIN card_sets s ON s.code = i.set_code
    CROSS JOIN LATERAL string_to_table(
        catalog_folded(i.name || ' ' || s.name || ' ' || i.number || ' ' || i.traits), ' ') AS fresh
    WHERE length(fresh) BETWEEN 3 AND {WORD_LENGTH_MAX}
        AND NOT EXISTS (SELECT FROM card_words w WHERE w.word = fresh)
"""

_WORDS = """
    INSERT INTO card_words (word, trigrams)
    SELECT word, string_to_array(grams, E'\\n') FROM unnest($1::text[], $2::text[]) AS u (word, grams) ORDER BY word
    ON CONFLICT DO NOTHING
"""


class CatalogWriting:
    """The tables ``card_sets`` and ``cards``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def put(self, rows: Sequence[CardRow], creator: int, now_ms: int) -> Written:
        """Up to PAGE_ROWS_MAX cards, no two the same, in one transaction. Done again, nothing changes."""
        assert len(rows) <= PAGE_ROWS_MAX, "pages have a maximum"
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_INCOMING)
            await connection.copy_records_to_table(
                "incoming_cards", records=map(_record, rows), columns=_COLUMNS, timeout=PAGE_TIMEOUT_S
            )
            sets = await connection.fetch(_SETS, timeout=PAGE_TIMEOUT_S)
            renamed = [row["set_id"] for row in sets if row["renamed"]]
            if renamed:
                await connection.execute(_RENAMED, renamed, timeout=PAGE_TIMEOUT_S)
            counts = await connection.fetchrow(_COUNTED, creator, now_ms, timeout=PAGE_TIMEOUT_S)
            await _put_words(connection)
        assert counts is not None, "an aggregate gives a row"
        created, touched = counts
        return Written(created, touched - created, len(rows) - touched)

    async def settle(self) -> None:
        """After very many cards: let the database know what there is, so that it reads it the right way."""
        async with guard():
            await self._pool.execute("SELECT gin_clean_pending_list('cards_document'), "
                                     "gin_clean_pending_list('cards_traits')", timeout=PAGE_TIMEOUT_S)  # fmt: skip
            await self._pool.execute("ANALYZE card_sets, cards, card_words", timeout=PAGE_TIMEOUT_S)


async def _put_words(connection: PoolConnectionProxy) -> None:
    words = [row[0] for row in await connection.fetch(_NEW_WORDS, timeout=PAGE_TIMEOUT_S)]
    if words:
        grams = ["\n".join(sorted(trigrams(word))) for word in words]
        await connection.execute(_WORDS, words, grams, timeout=PAGE_TIMEOUT_S)


def _record(row: CardRow) -> tuple[object, ...]:
    traits = msgspec.json.encode(row.traits).decode() if row.traits else "{}"
    return (row.set, row.number, row.name, row.rarity, row.set_name, row.description, traits, row.edition, row.images,
            row.model_3d)  # fmt: skip
