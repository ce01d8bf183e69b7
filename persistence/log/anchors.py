"""Anchors in PostgreSQL: collects ended entities into Merkle trees, and records what becomes of them on the chain.

An anchor, its leaves and the chain job that writes it are one transaction, which also deletes the rows of
``unanchored`` that it is made of. Only rows that were read are deleted, so one that is committed late stays.
"""

from collections.abc import Sequence

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.ids import id_text, parse_id
from domain.log.anchors import AnchorClaim, AnchorMemo, Leaf, memo_of
from domain.log.codec import HASH_BYTES
from domain.log.merkle import tree_of
from persistence.chain.rows import ChainJobRow, insert_chain_jobs
from persistence.postgres.guard import guard, guarded

# The kind of chain job that writes the memo of an anchor; its key is the anchor's id.
ANCHOR = "anchor"
LEAVES_MAX = 1_024
ERROR_MAX = 500
STATEMENT_TIMEOUT_S = 30.0

# What is old enough: `count` up to the maximum, and whether one has waited too long.
_DUE = """
    SELECT count(*), coalesce(min(since) <= $2, false) FROM (
        SELECT since FROM unanchored WHERE since <= $1 ORDER BY number LIMIT $3
    ) AS old
"""
_TAKE = """
    WITH picked AS MATERIALIZED (
        SELECT number FROM unanchored WHERE since <= $1 ORDER BY number LIMIT $2 FOR UPDATE SKIP LOCKED
    )
    DELETE FROM unanchored u USING picked WHERE u.number = picked.number RETURNING u.entity_id
"""
_LEAVES = """
    SELECT last.kind, ended.entity_id, last.seq, last.hash FROM unnest($1::bigint[]) AS ended (entity_id), LATERAL (
        SELECT kind, seq, hash FROM entity_events WHERE entity_id = ended.entity_id ORDER BY seq DESC LIMIT 1
    ) AS last
    WHERE NOT EXISTS (SELECT FROM anchor_leaves a WHERE a.entity_id = ended.entity_id AND a.seq = last.seq)
    ORDER BY ended.entity_id
"""
_INSERT = """
    INSERT INTO anchors (anchor_id, root, leaves, memo, created_at) VALUES ($1, $2, $3, $4, $5)
"""
_INSERT_LEAVES = """
    INSERT INTO anchor_leaves (entity_id, seq, kind, hash, path, place, anchor_id)
    SELECT entity_id, seq, kind, hash, path, place - 1, $6::bigint
    FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bytea[], $5::bytea[])
        WITH ORDINALITY AS u (entity_id, seq, kind, hash, path, place)
"""
_WRITTEN = """
    UPDATE anchors a SET state = 'final', signature = given.signature, slot = given.slot, signer = $4, finished_at = $5,
        error = NULL
    FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS given (anchor_id, signature, slot)
    WHERE a.anchor_id = given.anchor_id AND a.state <> 'final'
"""
_FAILED = """
    UPDATE anchors a SET state = 'failed', error = given.error
    FROM unnest($1::bigint[], $2::text[]) AS given (anchor_id, error)
    WHERE a.anchor_id = given.anchor_id AND a.state = 'pending'
"""
_OF_ENTITY = """
    SELECT l.kind, l.entity_id, l.seq, l.hash, l.place, l.path, a.anchor_id, a.root, a.leaves, a.memo, a.state,
        a.signature, a.slot, a.signer
    FROM anchor_leaves l JOIN anchors a USING (anchor_id) WHERE l.entity_id = $1 ORDER BY l.seq DESC LIMIT 1
"""


class AnchorOrder(msgspec.Struct, frozen=True):
    """The payload of the chain job: a text for the chain."""

    memo: str


class Anchored(msgspec.Struct, frozen=True):
    """The newest leaf of an entity, and its anchor. ``signature``, ``slot`` and ``signer`` are None until it is final.

    ``state``: pending, final, or failed.
    """

    claim: AnchorClaim
    anchor: int
    memo: str
    state: str
    signature: str | None
    slot: int | None
    signer: str | None


class AnchorOutcome(msgspec.Struct, frozen=True):
    """Where the memo of an anchor is, for good."""

    key: str
    signature: str
    slot: int


class Anchors:
    """The tables ``unanchored``, ``anchors`` and ``anchor_leaves``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool, leaves_max: int = LEAVES_MAX) -> None:
        self._pool = pool
        self._leaves_max = leaves_max

    async def collect(self, now_ms: int, rest_ms: int, longest_ms: int) -> int:
        """Make an anchor of entities that ended at least ``rest_ms`` ago; returns how many.

        None is made while there are fewer than a full tree, and the first has not waited for ``longest_ms``.
        """
        before_ms = now_ms - rest_ms
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            due = await connection.fetchrow(_DUE, before_ms, now_ms - longest_ms, self._leaves_max)
            assert due is not None, "an aggregate has a row"
            count, waited = due
            if not (waited or count == self._leaves_max):
                return 0
            rows = await connection.fetch(_TAKE, before_ms, self._leaves_max, timeout=STATEMENT_TIMEOUT_S)
            ended = sorted({row[0] for row in rows})
            found = await connection.fetch(_LEAVES, ended, timeout=STATEMENT_TIMEOUT_S)
            if found:
                await _add(connection, [Leaf(*row) for row in found], now_ms)
            return len(rows)

    async def of_entity(self, entity: int) -> Anchored | None:
        """The newest anchor of an entity; None if it has none."""
        row = await guarded(self._pool.fetchrow(_OF_ENTITY, entity))
        if row is None:
            return None
        kind, number, seq, digest, place, path, anchor, root, leaves, *of_anchor = tuple(row)
        hashes = tuple(path[first : first + HASH_BYTES] for first in range(0, len(path), HASH_BYTES))
        claim = AnchorClaim(Leaf(kind, number, seq, digest), place, leaves, hashes, root)
        return Anchored(claim, anchor, *of_anchor)


async def _add(connection: PoolConnectionProxy, leaves: Sequence[Leaf], now_ms: int) -> None:
    tree = tree_of([leaf.data for leaf in leaves])
    memo: AnchorMemo = memo_of(tree.root, leaves)
    anchor: int = await connection.fetchval("SELECT next_id()")
    await connection.execute(_INSERT, anchor, tree.root, len(leaves), memo.text, now_ms)
    columns = (
        [leaf.entity for leaf in leaves], [leaf.seq for leaf in leaves], [leaf.kind for leaf in leaves],
        [leaf.hash for leaf in leaves], [b"".join(path) for path in tree.paths],
    )  # fmt: skip
    await connection.execute(_INSERT_LEAVES, *columns, anchor, timeout=STATEMENT_TIMEOUT_S)
    job = ChainJobRow(ANCHOR, id_text(anchor), msgspec.json.encode(AnchorOrder(memo.text)))
    await connection.execute(insert_chain_jobs(), [job.kind], [job.key], [job.payload])


async def anchors_written(
    connection: PoolConnectionProxy, written: Sequence[AnchorOutcome], signer: str, now_ms: int
) -> None:
    """Record where these anchors are, in the transaction that ends their jobs."""
    columns = (
        [parse_id(one.key) for one in written],
        [one.signature for one in written],
        [one.slot for one in written],
    )
    await guarded(connection.execute(_WRITTEN, *columns, signer, now_ms))


async def anchors_failed(connection: PoolConnectionProxy, reasons: Sequence[tuple[str, str]]) -> None:
    """Record that the jobs with these keys are poisoned, and why."""
    columns = ([parse_id(key) for key, _ in reasons], [reason[:ERROR_MAX] for _, reason in reasons])
    await guarded(connection.execute(_FAILED, *columns))
