"""Which host keeps which slot, and where it listens. A hint: the log's sequence is what keeps writers apart."""

from collections.abc import Sequence

import asyncpg
import msgspec

from persistence.guard import guard, guarded

CONNECT_TIMEOUT_S = 10.0


class HostAddress(msgspec.Struct, frozen=True):
    """A host's command stream, the slots it keeps, and when it last said that it can commit (ms)."""

    host_id: str
    incarnation: int
    address: str
    port: int
    alive_at: int
    slots: tuple[int, ...]


class DueAuction(msgspec.Struct, frozen=True):
    """An auction that time alone will change."""

    auction: int
    slot: int
    due_at: int


class Superseded(Exception):
    """Another incarnation of this host has registered: this one must step down."""


async def agree_on_slots(database_url: str, slots: int) -> int:
    """The number of slots of this database: this one, if none was set before. Raises StoreUnavailable."""
    async with guard():
        connection = await asyncpg.connect(database_url, timeout=CONNECT_TIMEOUT_S)
        try:
            agreed: int = await connection.fetchval(
                "UPDATE cluster SET slots = coalesce(slots, $1) RETURNING slots", slots, timeout=CONNECT_TIMEOUT_S
            )
        finally:
            await connection.close(timeout=CONNECT_TIMEOUT_S)
    return agreed


def slot_of(auction: int, slots: int) -> int:
    """The slot of an auction: its id's counter spreads evenly, its time alone would not."""
    return (auction * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF) * slots >> 64


class Directory:
    """The tables ``hosts`` and ``slots``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def register(self, host_id: str, address: str, port: int, now_ms: int) -> int:
        """Enter this host, over any earlier incarnation of it, which thereby loses its slots; returns its number."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "WITH before AS (SELECT alive_at FROM hosts WHERE host_id = $1 FOR UPDATE)"
                " UPDATE slots SET host_id = NULL, kept_until = before.alive_at FROM before WHERE host_id = $1",
                host_id,
            )
            incarnation: int = await connection.fetchval(
                "INSERT INTO hosts AS h (host_id, incarnation, address, port, alive_at) VALUES ($1, 1, $2, $3, $4)"
                " ON CONFLICT (host_id) DO UPDATE SET incarnation = h.incarnation + 1, address = excluded.address,"
                " port = excluded.port, alive_at = excluded.alive_at RETURNING incarnation",
                host_id,
                address,
                port,
                now_ms,
            )
        return incarnation

    async def claim(self, host_id: str, incarnation: int, slots: Sequence[int]) -> dict[int, int]:
        """Take these slots, from whoever kept them; returns until when (ms) each was kept, for those that were.

        Raises Superseded when this is no longer the incarnation that is entered.
        """
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            entered = await connection.fetchval("SELECT incarnation FROM hosts WHERE host_id = $1 FOR SHARE", host_id)
            if entered != incarnation:
                raise Superseded(host_id)
            rows = await connection.fetch(
                "WITH taken AS (INSERT INTO slots AS s (slot, host_id) SELECT slot, $1 FROM unnest($2::int[]) slot"
                " ON CONFLICT (slot) DO UPDATE SET host_id = excluded.host_id, kept_until = NULL"
                " RETURNING new.slot, old.host_id AS keeper, old.kept_until)"
                " SELECT slot, coalesce(kept_until, alive_at) FROM taken LEFT JOIN hosts ON host_id = keeper",
                host_id,
                slots,
            )
        return {row[0]: row[1] for row in rows if row[1] is not None}

    async def heartbeat(self, host_id: str, incarnation: int, now_ms: int) -> frozenset[int]:
        """Say that this host can commit; returns its slots. Raises Superseded when it is not entered any more."""
        rows = await guarded(
            self._pool.fetch(
                "WITH beat AS (UPDATE hosts SET alive_at = $3"
                " WHERE host_id = $1 AND incarnation = $2 RETURNING host_id)"
                " SELECT slot FROM beat LEFT JOIN slots USING (host_id)",
                host_id,
                incarnation,
                now_ms,
            )
        )
        if not rows:
            raise Superseded(host_id)
        return frozenset(row[0] for row in rows if row[0] is not None)

    async def hosts(self) -> list[HostAddress]:
        """All hosts with the slots they keep."""
        rows = await guarded(
            self._pool.fetch(
                "SELECT h.host_id, h.incarnation, h.address, h.port, h.alive_at,"
                " coalesce(array_agg(s.slot ORDER BY s.slot) FILTER (WHERE s.slot IS NOT NULL), '{}')"
                " FROM hosts h LEFT JOIN slots s USING (host_id) GROUP BY h.host_id ORDER BY h.host_id"
            )
        )
        return [HostAddress(r[0], r[1], r[2], r[3], r[4], tuple(r[5])) for r in rows]

    async def due(self, slots: Sequence[int]) -> list[DueAuction]:
        """The auctions in these slots that time alone will change. ``due_at`` may be too early, never too late."""
        rows = await guarded(
            self._pool.fetch(
                "SELECT auction_id, slot, due_at FROM auctions WHERE due_at IS NOT NULL AND slot = ANY($1::int[])",
                slots,
            )
        )
        return [DueAuction(r[0], r[1], r[2]) for r in rows]
