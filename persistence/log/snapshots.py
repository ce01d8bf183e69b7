"""Snapshots of entities: recovery reads the newest one and the log's tail after it."""

from collections.abc import Sequence

import asyncpg
import msgspec

from persistence.postgres.guard import guarded


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """An entity's encoded state after (epoch, seq), the chain's hash there and the time of that event (ms)."""

    entity: int
    kind: str
    seq: int
    epoch: int
    at: int
    hash: bytes
    state: bytes


class SnapshotStore:
    """One row an entity, the newest; an older one never replaces a newer."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def save(self, snapshots: Sequence[Snapshot]) -> None:
        """Keep these. Raises StoreUnavailable."""
        await guarded(
            self._pool.execute(
                "INSERT INTO entity_snapshots AS s (entity_id, kind, seq, epoch, at, hash, state) SELECT * FROM"
                " unnest($1::bigint[], $2::text[], $3::bigint[], $4::int[], $5::bigint[], $6::bytea[], $7::bytea[])"
                " ON CONFLICT (entity_id) DO UPDATE SET seq = excluded.seq, epoch = excluded.epoch,"
                " at = excluded.at, hash = excluded.hash, state = excluded.state WHERE s.seq < excluded.seq",
                *zip(*map(msgspec.structs.astuple, snapshots), strict=True),
            )
        )

    async def load(self, entity: int) -> Snapshot | None:
        """The newest snapshot of an entity. Raises StoreUnavailable."""
        row = await guarded(
            self._pool.fetchrow(
                "SELECT entity_id, kind, seq, epoch, at, hash, state FROM entity_snapshots WHERE entity_id = $1", entity
            )
        )
        return None if row is None else Snapshot(*row)

    async def load_many(self, entities: Sequence[int]) -> dict[int, Snapshot]:
        """The newest snapshots of those of these entities that have one, with one query. Raises StoreUnavailable."""
        rows = await guarded(
            self._pool.fetch(
                "SELECT entity_id, kind, seq, epoch, at, hash, state FROM entity_snapshots"
                " WHERE entity_id = ANY($1::bigint[])",
                entities,
            )
        )
        return {row[0]: Snapshot(*row) for row in rows}
