"""Assets and collections: what to mint, and what became of it on the chain."""

from collections.abc import Sequence

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from persistence.chain.rows import DoneJob, PoisonedJob
from persistence.postgres.guard import guarded

# The most assets of a collection one of whose cards has no edition.
OPEN_COLLECTION_MAX = 1_000_000


class CopyToMint(msgspec.Struct, frozen=True):
    """A copy with what its asset needs. ``metadata_uri``: of an earlier attempt."""

    job: int
    copy: int
    standard: str
    owner: int
    set_id: int
    metadata_uri: str | None
    address: str | None


class SetToCreate(msgspec.Struct, frozen=True):
    """A set with what its collection needs. ``size``: how many assets it may ever have."""

    job: int
    set_id: int
    code: str
    name: str
    standard: str
    size: int
    cards: int
    image: str | None
    metadata_uri: str | None


class Collection(msgspec.Struct, frozen=True):
    """A collection. ``address``: None before it is signed; ``final``: on the chain for good; ``failed``: poisoned."""

    address: str | None
    final: bool
    failed: bool


class SignedAsset(msgspec.Struct, frozen=True):
    """An asset that a signed transaction creates, for ``holder``."""

    job: int
    address: str
    collection: str | None
    metadata_uri: str
    holder: str


class SignedCollection(msgspec.Struct, frozen=True):
    """A collection that a signed transaction creates."""

    job: int
    address: str
    metadata_uri: str


class MintedAsset(msgspec.Struct, frozen=True):
    """An asset of a copy on the chain, and the wallet that holds it, as far as is known."""

    copy: int
    standard: str
    address: str
    collection: str | None
    holder: str
    metadata_uri: str | None


class Changed(msgspec.Struct, frozen=True):
    """A request to mint that has changed, and its user; ``finished``: none of its jobs is left."""

    mint: int
    requester: int
    finished: bool


_COPIES = """
    SELECT a.job_id, a.copy_id, a.standard, c.owner_id, k.set_id, a.metadata_uri, a.address
    FROM assets a JOIN copies c USING (copy_id) JOIN cards k USING (card_id) WHERE a.job_id = ANY($1::bigint[])
"""
_SETS = f"""
    SELECT l.job_id, s.set_id, s.code, s.name, l.standard,
        CASE WHEN n.bounded THEN n.editions ELSE {OPEN_COLLECTION_MAX} END, n.cards, n.image, l.metadata_uri
    FROM collections l JOIN card_sets s USING (set_id), LATERAL (
        SELECT bool_and(edition IS NOT NULL) AS bounded, sum(edition)::bigint AS editions, count(*) AS cards,
            min(images[1]) AS image
        FROM cards k WHERE k.set_id = s.set_id
    ) AS n
    WHERE l.job_id = ANY($1::bigint[])
"""
_COLLECTIONS = """
    SELECT c.set_id, c.address, c.created_slot IS NOT NULL, j.state = 'poisoned'
    FROM collections c JOIN chain_jobs j USING (job_id) WHERE c.standard = $2 AND c.set_id = ANY($1::bigint[])
"""
_SIGNED = """
    UPDATE assets SET address = given.address, collection = given.collection, metadata_uri = given.metadata_uri,
        holder = given.holder
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[])
        AS given (job_id, address, collection, metadata_uri, holder)
    WHERE assets.job_id = given.job_id AND state = 'minting'
"""
_SIGNED_COLLECTIONS = """
    UPDATE collections SET address = given.address, metadata_uri = given.metadata_uri
    FROM unnest($1::bigint[], $2::text[], $3::text[]) AS given (job_id, address, metadata_uri)
    WHERE collections.job_id = given.job_id
"""
_MINTED = """
    UPDATE assets SET state = 'minted', holder_slot = given.slot
    FROM unnest($1::bigint[], $2::bigint[]) AS given (job_id, slot)
    WHERE assets.job_id = given.job_id AND state = 'minting'
"""
_CREATED = """
    UPDATE collections SET created_slot = given.slot FROM unnest($1::bigint[], $2::bigint[]) AS given (job_id, slot)
    WHERE collections.job_id = given.job_id
"""
_COUNT = """
    UPDATE mints SET done = mints.done + given.done, poisoned = mints.poisoned + given.poisoned, seq = seq + 1,
        updated_at = (extract(epoch FROM statement_timestamp()) * 1000)::bigint
    FROM unnest($1::bigint[], $2::int[], $3::int[]) AS given (mint_id, done, poisoned)
    WHERE mints.mint_id = given.mint_id
    RETURNING mints.mint_id, requester_id, mints.done + mints.poisoned = total
"""
_LOCK = "SELECT FROM mints WHERE mint_id = ANY($1::bigint[]) ORDER BY mint_id FOR NO KEY UPDATE"
# Two that notify the same user wait for each other at the row of notification_heads.
_NOTIFY = """
    WITH finished AS (
        SELECT requester_id AS user_id, format('mint %s %s', mint_id, seq) AS about, jsonb_build_object('mint',
            jsonb_build_object('id', id_text(mint_id), 'total', total, 'done', done, 'poisoned', poisoned)) AS data,
            row_number() OVER (PARTITION BY requester_id ORDER BY mint_id) AS place,
            count(*) OVER (PARTITION BY requester_id) AS all_of_them
        FROM mints WHERE mint_id = ANY($1::bigint[])
    ), heads AS (
        INSERT INTO notification_heads (user_id, seq)
        SELECT user_id, count(*) FROM finished GROUP BY user_id ORDER BY user_id
        ON CONFLICT (user_id) DO UPDATE SET seq = notification_heads.seq + excluded.seq
        RETURNING user_id, seq
    )
    INSERT INTO notifications (user_id, seq, kind, about, data, at)
    SELECT f.user_id, h.seq - f.all_of_them + f.place, 'mint_finished', f.about, f.data,
        (extract(epoch FROM statement_timestamp()) * 1000)::bigint
    FROM finished f JOIN heads h USING (user_id)
"""
_ASSET = """
    SELECT copy_id, standard, address, collection, holder, metadata_uri FROM assets
    WHERE copy_id = ANY($1::bigint[]) AND state = 'minted'
"""


class Assets:
    """The tables ``assets`` and ``collections``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def copies_of(self, jobs: Sequence[int]) -> dict[int, CopyToMint]:
        """The copies that these jobs mint."""
        return {row[0]: CopyToMint(*row) for row in await guarded(self._pool.fetch(_COPIES, jobs))}

    async def sets_of(self, jobs: Sequence[int]) -> dict[int, SetToCreate]:
        """The sets whose collections these jobs create."""
        return {row[0]: SetToCreate(*row) for row in await guarded(self._pool.fetch(_SETS, jobs))}

    async def collections(self, sets: Sequence[int], standard: str) -> dict[int, Collection]:
        """The collections of these sets."""
        rows = await guarded(self._pool.fetch(_COLLECTIONS, sets, standard))
        return {row[0]: Collection(*tuple(row)[1:]) for row in rows}

    async def minted(self, copies: Sequence[int]) -> dict[int, MintedAsset]:
        """The assets of those of these copies that are minted."""
        return {row[0]: MintedAsset(*row) for row in await guarded(self._pool.fetch(_ASSET, copies))}


async def record_signed(connection: PoolConnectionProxy, assets: Sequence[SignedAsset]) -> None:
    """What a signed transaction is about to create. In the transaction that stores it."""
    await connection.execute(_SIGNED, *_columns(assets, 5))


async def record_signed_collections(connection: PoolConnectionProxy, collections: Sequence[SignedCollection]) -> None:
    """The same for collections."""
    await connection.execute(_SIGNED_COLLECTIONS, *_columns(collections, 3))


async def record_created(connection: PoolConnectionProxy, jobs: Sequence[DoneJob]) -> None:
    """These collections are on the chain for good."""
    await connection.execute(_CREATED, [one.job.id for one in jobs], [one.slot for one in jobs])


async def record_minted(
    connection: PoolConnectionProxy, done: Sequence[DoneJob], poisoned: Sequence[PoisonedJob]
) -> list[Changed]:
    """Count what is minted for good and what can't be; requesters whose request is finished are notified."""
    if done:
        await connection.execute(_MINTED, [one.job.id for one in done], [one.slot for one in done])
    counts: dict[int, list[int]] = {}
    for place, jobs in enumerate(([one.job for one in done], [one.job for one in poisoned])):
        for job in jobs:
            if job.mint_id is not None:
                counts.setdefault(job.mint_id, [0, 0])[place] += 1
    mints = sorted(counts)
    await connection.execute(_LOCK, mints)
    rows = await connection.fetch(
        _COUNT, mints, [counts[mint][0] for mint in mints], [counts[mint][1] for mint in mints]
    )
    changed = [Changed(*row) for row in rows]
    finished = [one.mint for one in changed if one.finished]
    if finished:
        await connection.execute(_NOTIFY, finished)
    return changed


def _columns(rows: Sequence[msgspec.Struct], count: int) -> list[list[object]]:
    found = list(zip(*map(msgspec.structs.astuple, rows), strict=True)) or [()] * count
    return [list(column) for column in found]
