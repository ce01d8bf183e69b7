"""Overrides of operators for placement: drained nodes and pinned slots. The director follows them."""

import asyncpg

from persistence.postgres.guard import guarded


class OperatorOverrides:
    """The tables ``node_drains`` and ``slot_wishes``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def drains(self) -> frozenset[str]:
        """The nodes that are to be drained."""
        rows = await guarded(self._pool.fetch("SELECT node FROM node_drains"))
        return frozenset(row[0] for row in rows)

    async def drain(self, node: str) -> None:
        """Drain a node: everything moves off it, and nothing is placed there."""
        await guarded(self._pool.execute("INSERT INTO node_drains (node) VALUES ($1) ON CONFLICT DO NOTHING", node))

    async def undrain(self, node: str) -> bool:
        """End the drain of a node; False if it was not drained."""
        done = await guarded(self._pool.execute("DELETE FROM node_drains WHERE node = $1", node))
        return bool(done == "DELETE 1")

    async def slots(self) -> dict[int, str]:
        """Pinned slots, with their hosts."""
        rows = await guarded(self._pool.fetch("SELECT slot, host_id FROM slot_wishes"))
        return {row[0]: row[1] for row in rows}

    async def pin_slots(self, slots: list[int], host_id: str) -> None:
        """Pin these slots to this host, as long as it lives."""
        await guarded(
            self._pool.execute(
                "INSERT INTO slot_wishes (slot, host_id) SELECT slot, $2 FROM unnest($1::int[]) slot"
                " ON CONFLICT (slot) DO UPDATE SET host_id = excluded.host_id",
                slots,
                host_id,
            )
        )

    async def unpin_slots(self) -> None:
        """Remove all pins."""
        await guarded(self._pool.execute("DELETE FROM slot_wishes"))
