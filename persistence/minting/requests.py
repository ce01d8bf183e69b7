"""Requests to mint: copies that exist, new copies of a card, or one copy of each card of a set.

One transaction makes the copies, the jobs that mint them, and those that create their collections. A request is
identified by its id: done again it changes nothing.
"""

from collections.abc import Sequence

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.errors import (
    ALREADY_MINTED,
    CARD_NOT_FOUND,
    COPY_NOT_FOUND,
    COPY_NOT_FREE,
    EDITION_FULL,
    NOT_FOUND,
    NOT_YOUR_CARD,
    NOT_YOUR_COPY,
    NOTHING_TO_MINT,
    TOO_MANY_MINTS,
)
from domain.minting.landing import BATCH_MAX
from persistence.chain.rows import NEVER_MS
from persistence.postgres.guard import guard

MINT = "mint"
CREATE_COLLECTION = "create_collection"
# Copies of one request.
COPIES_MAX = 10_000
REQUEST_TIMEOUT_S = 30.0


class MintOrder(msgspec.Struct, frozen=True):
    """Who asks for what, and when. ``id`` names the request."""

    id: int
    requester: int
    standard: str
    now_ms: int


class MintRefused(msgspec.Struct, frozen=True):
    """Nothing was done. ``subject``: the copy or card that the code is about."""

    code: str
    subject: int | None = None


_KNOWN = "SELECT true FROM mints WHERE mint_id = $1"
_COPIES = """
    SELECT w.copy_id, c.owner_id, c.place, a.copy_id IS NOT NULL
    FROM unnest($1::bigint[]) AS w (copy_id) LEFT JOIN copies c USING (copy_id) LEFT JOIN assets a USING (copy_id)
"""
# Sales and gifts of these copies wait until the jobs exist.
_LOCK_COPIES = "SELECT FROM copies WHERE copy_id = ANY($1::bigint[]) ORDER BY copy_id FOR NO KEY UPDATE"
_CARD = "SELECT creator_id, edition FROM cards WHERE card_id = $1 FOR NO KEY UPDATE"
_SET_CREATORS = "SELECT DISTINCT creator_id FROM cards WHERE set_id = $1 LIMIT 2"
_SET = "SELECT set_id FROM card_sets WHERE code = $1"
# Cards of which nothing is minted: with a copy that the requester has, or with the serial of a new one.
_CARDS_OF_SET = """
    SELECT card_id, (
        SELECT copy_id FROM copies c WHERE c.card_id = k.card_id AND c.owner_id = $2 AND c.place = 'free'
        ORDER BY serial LIMIT 1
    ) FROM cards k
    WHERE set_id = $1 AND NOT EXISTS (
        SELECT FROM copies c JOIN assets a USING (copy_id) WHERE c.card_id = k.card_id
    )
    ORDER BY card_id LIMIT $3 FOR NO KEY UPDATE OF k
"""
_MAKE = """
    WITH wanted AS (
        SELECT card_id, last.serial + nth AS serial FROM unnest($1::bigint[], $2::int[]) AS w (card_id, count),
            LATERAL (SELECT coalesce(max(serial), 0) AS serial FROM copies c WHERE c.card_id = w.card_id) AS last,
            LATERAL generate_series(1, w.count) AS nth
    ), made AS (
        INSERT INTO copies (card_id, serial, owner_id, acquired_at) SELECT card_id, serial, $3, $4 FROM wanted
        RETURNING copy_id, card_id, serial
    ), recorded AS (
        INSERT INTO provenance (copy_id, seq, at, reason, to_owner) SELECT copy_id, 1, $4, 'made', $3 FROM made
    )
    SELECT copy_id FROM made ORDER BY card_id, serial
"""
_FULL = """
    SELECT card_id FROM unnest($1::bigint[], $2::int[]) AS w (card_id, count) JOIN cards k USING (card_id)
    WHERE k.edition IS NOT NULL
        AND k.edition < w.count + (SELECT coalesce(max(serial), 0) FROM copies c WHERE c.card_id = w.card_id)
    LIMIT 1
"""
_MINT = """
    INSERT INTO mints (mint_id, requester_id, standard, total, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)
"""
_SETS_OF = """
    SELECT DISTINCT k.set_id FROM copies c JOIN cards k USING (card_id) WHERE c.copy_id = ANY($1::bigint[])
    ORDER BY k.set_id
"""
_COLLECTIONS = f"""
    WITH jobs AS (
        INSERT INTO chain_jobs (kind, key) SELECT '{CREATE_COLLECTION}', $2 || ':' || id_text(set_id)
        FROM unnest($1::bigint[]) AS s (set_id)
        ON CONFLICT (kind, key) DO NOTHING RETURNING job_id, key
    )
    INSERT INTO collections (set_id, standard, job_id)
    SELECT set_id, $2, job_id FROM unnest($1::bigint[]) AS s (set_id) JOIN jobs ON key = $2 || ':' || id_text(set_id)
"""
# While it is locked no collection is finished, so none of these jobs misses its end.
_COLLECTION_JOBS = """
    SELECT c.set_id, j.job_id, j.state FROM collections c JOIN chain_jobs j USING (job_id)
    WHERE c.standard = $2 AND c.set_id = ANY($1::bigint[]) ORDER BY j.job_id FOR SHARE OF j
"""
_COLLECTIONS_AGAIN = """
    UPDATE chain_jobs SET state = 'queued', transaction_id = NULL, faults = 0, not_before = 0, finished_at = NULL
    WHERE job_id = ANY($1::bigint[]) AND state = 'poisoned'
"""
_JOBS = f"""
    WITH given AS (
        SELECT next_id() AS job_id, copy_id, nth, s.after_job, s.signed
        FROM unnest($1::bigint[]) WITH ORDINALITY AS g (copy_id, nth)
        JOIN copies c USING (copy_id) JOIN cards k USING (card_id)
        LEFT JOIN unnest($2::bigint[], $3::bigint[], $4::bool[]) AS s (set_id, after_job, signed) ON s.set_id = k.set_id
    ), jobs AS (
        INSERT INTO chain_jobs (job_id, kind, key, batch_max, not_before, after_job, mint_id)
        SELECT job_id, '{MINT}', id_text(copy_id), {BATCH_MAX},
            CASE WHEN after_job IS NULL OR signed THEN 0 ELSE {NEVER_MS} END, after_job, $5
        FROM given ORDER BY nth
    )
    INSERT INTO assets (copy_id, standard, job_id) SELECT copy_id, $6, job_id FROM given
"""


class MintRequests:
    """Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def copies(self, order: MintOrder, copies: Sequence[int]) -> MintRefused | None:
        """Mint these copies of the requester."""
        assert 0 < len(copies) <= COPIES_MAX, "requests have a maximum"
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            if await connection.fetchval(_KNOWN, order.id):
                return None
            wanted = sorted(set(copies))
            await connection.execute(_LOCK_COPIES, wanted, timeout=REQUEST_TIMEOUT_S)
            for copy, owner, place, minted in await connection.fetch(_COPIES, wanted, timeout=REQUEST_TIMEOUT_S):
                code = _copy_fault(owner == order.requester, owner is None, place, minted)
                if code is not None:
                    return MintRefused(code, copy)
            await _queue(connection, order, wanted)
        return None

    async def card(self, order: MintOrder, card: int, count: int) -> MintRefused | None:
        """Make new copies of a card for its creator, who asks for it, and mint them."""
        assert 0 < count <= COPIES_MAX, "requests have a maximum"
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            if await connection.fetchval(_KNOWN, order.id):
                return None
            found = await connection.fetchrow(_CARD, card)
            if found is None:
                return MintRefused(CARD_NOT_FOUND, card)
            if found[0] != order.requester:
                return MintRefused(NOT_YOUR_CARD, card)
            made = await _make(connection, order, {card: count})
            if isinstance(made, MintRefused):
                return made
            await _queue(connection, order, made)
        return None

    async def card_set(self, order: MintOrder, code: str) -> MintRefused | None:
        """Mint one copy of each card of a set of which nothing is minted: one that its creator has, or a new one."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            if await connection.fetchval(_KNOWN, order.id):
                return None
            set_id = await connection.fetchval(_SET, code)
            if set_id is None:
                return MintRefused(NOT_FOUND)
            creators = [row[0] for row in await connection.fetch(_SET_CREATORS, set_id)]
            if creators and creators != [order.requester]:
                return MintRefused(NOT_YOUR_CARD)
            rows = await connection.fetch(
                _CARDS_OF_SET, set_id, order.requester, COPIES_MAX + 1, timeout=REQUEST_TIMEOUT_S
            )
            if not rows:
                return MintRefused(NOTHING_TO_MINT)
            if len(rows) > COPIES_MAX:
                return MintRefused(TOO_MANY_MINTS)
            made = await _make(connection, order, {row[0]: 1 for row in rows if row[1] is None})
            if isinstance(made, MintRefused):
                return made
            kept = await _still_free(connection, order, [row[1] for row in rows if row[1] is not None])
            if not kept and not made:
                return MintRefused(NOTHING_TO_MINT)
            await _queue(connection, order, [*kept, *made])
        return None


def _copy_fault(own: bool, missing: bool, place: str | None, minted: bool) -> str | None:
    if missing:
        return COPY_NOT_FOUND
    if not own:
        return NOT_YOUR_COPY
    if minted:
        return ALREADY_MINTED
    return None if place == "free" else COPY_NOT_FREE


async def _still_free(connection: PoolConnectionProxy, order: MintOrder, copies: Sequence[int]) -> list[int]:
    """Those of these that the requester may mint, locked: one may have been sold, or minted, since it was found."""
    await connection.execute(_LOCK_COPIES, copies, timeout=REQUEST_TIMEOUT_S)
    rows = await connection.fetch(_COPIES, copies, timeout=REQUEST_TIMEOUT_S)
    return [
        copy
        for copy, owner, place, minted in rows
        if _copy_fault(owner == order.requester, owner is None, place, minted) is None
    ]


async def _make(connection: PoolConnectionProxy, order: MintOrder, counts: dict[int, int]) -> list[int] | MintRefused:
    """New copies of cards that are locked."""
    cards, numbers = list(counts), list(counts.values())
    full = await connection.fetchval(_FULL, cards, numbers, timeout=REQUEST_TIMEOUT_S)
    if full is not None:
        return MintRefused(EDITION_FULL, full)
    rows = await connection.fetch(_MAKE, cards, numbers, order.requester, order.now_ms, timeout=REQUEST_TIMEOUT_S)
    return [row[0] for row in rows]


async def _queue(connection: PoolConnectionProxy, order: MintOrder, copies: Sequence[int]) -> None:
    """The request and its jobs. Those whose collection is not even signed wait until it is seen in a block.

    Those whose collection is signed find out themselves whether it is there.
    """
    await connection.execute(_MINT, order.id, order.requester, order.standard, len(copies), order.now_ms)
    sets = [row[0] for row in await connection.fetch(_SETS_OF, copies, timeout=REQUEST_TIMEOUT_S)]
    await connection.execute(_COLLECTIONS, sets, order.standard)
    rows = await connection.fetch(_COLLECTION_JOBS, sets, order.standard)
    poisoned = [row[1] for row in rows if row[2] == "poisoned"]
    if poisoned:
        await connection.execute(_COLLECTIONS_AGAIN, poisoned)
    waiting = [row for row in rows if row[2] != "done"]
    await connection.execute(
        _JOBS, copies, [row[0] for row in waiting], [row[1] for row in waiting],
        [row[2] == "signed" for row in waiting], order.id, order.standard,
        timeout=REQUEST_TIMEOUT_S,
    )  # fmt: skip
