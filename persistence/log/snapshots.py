"""Snapshots of auctions: recovery reads the newest one and the log's tail after it."""

from collections.abc import Sequence

import asyncpg
import msgspec

from persistence.postgres.guard import guarded


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """An auction's encoded state after (epoch, seq), the chain's hash there and the time of that event (ms)."""

    auction: int
    seq: int
    epoch: int
    at: int
    hash: bytes
    state: bytes


class SnapshotStore:
    """One row an auction, the newest; an older one never replaces a newer."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def save(self, snapshots: Sequence[Snapshot]) -> None:
        """Keep these. Raises StoreUnavailable."""
        await guarded(
            self._pool.execute(
                "INSERT INTO auction_snapshots AS s (auction_id, seq, epoch, at, hash, state) SELECT * FROM"
                " unnest($1::bigint[], $2::bigint[], $3::int[], $4::bigint[], $5::bytea[], $6::bytea[])"
                " ON CONFLICT (auction_id) DO UPDATE SET seq = excluded.seq, epoch = excluded.epoch,"
                " at = excluded.at, hash = excluded.hash, state = excluded.state WHERE s.seq < excluded.seq",
                *zip(*map(msgspec.structs.astuple, snapshots), strict=True),
            )
        )

    async def load(self, auction: int) -> Snapshot | None:
        """The newest snapshot of an auction. Raises StoreUnavailable."""
        row = await guarded(
            self._pool.fetchrow(
                "SELECT auction_id, seq, epoch, at, hash, state FROM auction_snapshots WHERE auction_id = $1", auction
            )
        )
        return None if row is None else Snapshot(*row)

    async def load_many(self, auctions: Sequence[int]) -> dict[int, Snapshot]:
        """The newest snapshots of those of these auctions that have one, with one query. Raises StoreUnavailable."""
        rows = await guarded(
            self._pool.fetch(
                "SELECT auction_id, seq, epoch, at, hash, state FROM auction_snapshots"
                " WHERE auction_id = ANY($1::bigint[])",
                auctions,
            )
        )
        return {row[0]: Snapshot(*row) for row in rows}
