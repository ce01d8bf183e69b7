"""Writes of the catalog: sets and cards, a page in one transaction."""

from collections.abc import AsyncIterator, Sequence

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.catalog.rows import CardRow
from domain.catalog.trigrams import trigrams
from domain.catalog.words import card_document, set_document, vocabulary
from persistence.catalog.pages import COLUMNS, PAGE_ROWS_MAX, Page, SetKnown, lines, page_of
from persistence.postgres.guard import guard

PAGE_TIMEOUT_S = 60.0
SETTLE_TIMEOUT_S = 600.0
# Bigger ones let the search words of several pages wait for each other, which is quicker.
BULK_ROWS_MIN = 1_000
# Words known to be in the vocabulary, so that nobody asks for them again.
KNOWN_WORDS_MAX = 500_000
# Somebody else may put the same cards at the same moment.
TRIES_MAX = 3


class Written(msgspec.Struct, frozen=True):
    """How many cards of a page are new, how many are other than they were; the rest was so already."""

    created: int
    changed: int
    same: int


_BULK = "SET LOCAL gin_pending_list_limit = '16MB'; SET LOCAL work_mem = '32MB'"

# While a page is written its sets keep their names.
_SETS = "SELECT code, set_id, name FROM card_sets WHERE code = ANY($1::text[]) ORDER BY code FOR SHARE"
# A set is called what it was called last; one that is never named is called by its code.
_PUT_SETS = """
    WITH given AS (SELECT code, name FROM unnest($1::text[], $2::text[]) AS u (code, name) ORDER BY code)
    INSERT INTO card_sets (code, name) SELECT code, coalesce(name, code) FROM given
    ON CONFLICT (code) DO UPDATE SET name = coalesce(
        (SELECT name FROM given WHERE given.code = excluded.code), card_sets.name)
    RETURNING code, set_id, name, old.name AS old_name
"""

# The name of a set is among the words of its cards.
_CARDS_OF_SET = """
    SELECT card_id, name, number, rarity, traits::text, description FROM cards WHERE set_id = $1 AND card_id > $2
    ORDER BY card_id LIMIT $3
"""
_DOCUMENTS = """
    UPDATE cards SET document = u.document::tsvector FROM unnest($1::bigint[], $2::text[]) AS u (card_id, document)
    WHERE cards.card_id = u.card_id
"""

_THERE = """
    SELECT nth FROM unnest($1::bigint[], $2::text[], $3::int[]) AS u (set_id, number, nth)
    WHERE EXISTS (SELECT FROM cards c WHERE c.set_id = u.set_id AND c.number = u.number)
"""
_IDS = "SELECT next_id() FROM generate_series(1, $1)"

_INCOMING = """
    CREATE TEMP TABLE IF NOT EXISTS incoming_cards (
        card_id bigint, set_id bigint, creator_id bigint, created_at bigint, updated_at bigint, number text, name text,
        rarity text, description text, traits jsonb, edition int, images text[], model_3d text, document tsvector
    ) ON COMMIT DELETE ROWS
"""
_MERGED = f"""
    WITH done AS (
        INSERT INTO cards ({", ".join(COLUMNS)}) SELECT {", ".join(COLUMNS)} FROM incoming_cards
        ORDER BY set_id, number
        ON CONFLICT (set_id, number) DO UPDATE SET name = excluded.name, description = excluded.description,
            rarity = excluded.rarity, traits = excluded.traits, edition = excluded.edition, images = excluded.images,
            model_3d = excluded.model_3d, updated_at = greatest(excluded.updated_at, cards.updated_at + 1),
            document = excluded.document
        WHERE NOT $1::bool
            AND (cards.name, cards.description, cards.rarity, cards.traits, cards.edition, cards.images, cards.model_3d,
                cards.document)
            IS DISTINCT FROM (excluded.name, excluded.description, excluded.rarity, excluded.traits, excluded.edition,
                excluded.images, excluded.model_3d, excluded.document)
        RETURNING old.card_id IS NULL AS created
    ) SELECT count(*) FILTER (WHERE created), count(*) FROM done
"""

_WORDS = """
    INSERT INTO card_words (word, trigrams)
    SELECT word, string_to_array(grams, E'\\n') FROM unnest($1::text[], $2::text[]) AS u (word, grams) ORDER BY word
    ON CONFLICT DO NOTHING
"""


class CatalogWriting:
    """The tables ``card_sets``, ``cards`` and ``card_words``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._known_words: set[str] = set()

    async def put(self, rows: Sequence[CardRow], creator: int, now_ms: int) -> Written:
        """Up to PAGE_ROWS_MAX cards, no two the same, in one transaction. Done again, nothing changes."""
        return await self.put_page(page_of(rows), creator, now_ms)

    async def put_page(self, page: Page, creator: int, now_ms: int, *, only_new: bool = False) -> Written:
        """The same, of a page made ready before; with ``only_new``, cards and names of sets that are there stay."""
        # The guard is outside: within the tries it would have made an outage of a deadlock.
        async with guard():
            for attempt in range(1, TRIES_MAX + 1):
                try:
                    async with self._pool.acquire() as connection, connection.transaction():
                        written, words = await self._put(connection, page, creator, now_ms, attempt > 1, only_new)
                except (asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError):
                    if attempt == TRIES_MAX:
                        raise
                else:
                    self._remember(words)
                    return written
        raise AssertionError("the last try returns or raises")

    async def put_within(self, connection: PoolConnectionProxy, page: Page, creator: int, now_ms: int) -> None:
        """The new cards of a page, as a part of a transaction; cards and names of sets that are there stay."""
        await self._put(connection, page, creator, now_ms, all_merged=False, only_new=True)

    async def _put(
        self, connection: PoolConnectionProxy, page: Page, creator: int, now_ms: int, all_merged: bool, only_new: bool
    ) -> tuple[Written, set[str]]:
        if len(page.keys) >= BULK_ROWS_MIN:
            await connection.execute(_BULK)
        sets = await _put_sets(connection, page.set_names, only_new)
        there = set(range(len(page.keys))) if all_merged else await _there(connection, page, sets)
        ids = [row[0] for row in await connection.fetch(_IDS, len(page.keys))]
        new = [place for place in range(len(page.keys)) if place not in there]
        if new:
            await _copy(connection, "cards", lines(page, new, ids[: len(new)], sets, creator, now_ms))
        created, touched = len(new), len(new)
        if there:
            await connection.execute(_INCOMING)
            content = lines(page, sorted(there), ids[len(new) :], sets, creator, now_ms)
            await _copy(connection, "incoming_cards", content)
            merged = await connection.fetchrow(_MERGED, only_new, timeout=PAGE_TIMEOUT_S)
            assert merged is not None, "an aggregate gives a row"
            created, touched = created + merged[0], touched + merged[1]
        words = (page.words | _set_words(sets)) - self._known_words
        await _put_words(connection, sorted(words))
        return Written(created, touched - created, len(page.keys) - touched), words

    def _remember(self, words: set[str]) -> None:
        """These are in the vocabulary for good."""
        if len(self._known_words) + len(words) > KNOWN_WORDS_MAX:
            self._known_words.clear()
        self._known_words |= words

    async def settle(self) -> None:
        """After very many cards: let the database know what there is, so that it reads it the right way."""
        async with guard():
            await self._pool.execute("SELECT gin_clean_pending_list('cards_document')", timeout=SETTLE_TIMEOUT_S)
            await self._pool.execute(
                "VACUUM (ANALYZE) card_sets, cards, card_words, card_sample", timeout=SETTLE_TIMEOUT_S
            )


async def _put_sets(
    connection: PoolConnectionProxy, names: dict[str, str | None], only_new: bool
) -> dict[str, SetKnown]:
    """The sets of a page, made and named where they have to be; with ``only_new``, none is renamed."""
    rows = await connection.fetch(_SETS, list(names))
    sets = {row["code"]: SetKnown(row["set_id"], row["name"], False) for row in rows}
    if only_new:
        # A set that is called by its code has no name yet.
        names = {code: None if code in sets and sets[code].name != code else name for code, name in names.items()}
    if all(code in sets and name in (None, sets[code].name) for code, name in names.items()):
        return sets
    rows = await connection.fetch(_PUT_SETS, list(names), list(names.values()))
    for row in rows:
        if row["old_name"] not in (None, row["name"]):
            await _write_set_name(connection, row["set_id"], row["name"])
    return {row["code"]: SetKnown(row["set_id"], row["name"], row["old_name"] is None) for row in rows}


async def _write_set_name(connection: PoolConnectionProxy, set_id: int, name: str) -> None:
    """Into the words of all its cards."""
    of_set, last = set_document(name)[0], 0
    while cards := await connection.fetch(_CARDS_OF_SET, set_id, last, PAGE_ROWS_MAX, timeout=PAGE_TIMEOUT_S):
        documents = [
            card_document(its_name, number, rarity, msgspec.json.decode(traits, type=dict[str, str]), description)[0]
            + of_set
            for _, its_name, number, rarity, traits, description in cards
        ]
        await connection.execute(_DOCUMENTS, [card[0] for card in cards], documents, timeout=PAGE_TIMEOUT_S)
        last = cards[-1]["card_id"]


async def _there(connection: PoolConnectionProxy, page: Page, sets: dict[str, SetKnown]) -> set[int]:
    """The places of the cards which are there already."""
    asked = [(sets[code].set_id, number, place) for place, (code, number) in enumerate(page.keys)
             if not sets[code].fresh]  # fmt: skip
    if not asked:
        return set()
    rows = await connection.fetch(_THERE, *map(list, zip(*asked, strict=True)), timeout=PAGE_TIMEOUT_S)
    return {row[0] for row in rows}


async def _put_words(connection: PoolConnectionProxy, words: list[str]) -> None:
    if words:
        grams = ["\n".join(sorted(trigrams(word))) for word in words]
        await connection.execute(_WORDS, words, grams, timeout=PAGE_TIMEOUT_S)


async def _copy(connection: PoolConnectionProxy, table: str, content: bytes) -> None:
    async def source() -> AsyncIterator[bytes]:
        yield content

    await connection.copy_to_table(table, source=source(), columns=COLUMNS, format="text", timeout=PAGE_TIMEOUT_S)


def _set_words(sets: dict[str, SetKnown]) -> set[str]:
    return vocabulary(word for its in sets.values() for word in set_document(its.name)[1])
