"""The directory: which host owns which slot, and its address. Only a hint: the log's sequence is the fence."""

from collections.abc import Mapping, Sequence

import asyncpg
import msgspec

from domain.ledger.ids import REFERENCE_KIND_BYTES, held_for_auction
from persistence.postgres.guard import guard, guarded

CONNECT_TIMEOUT_S = 10.0

Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy


class HostAddress(msgspec.Struct, frozen=True):
    """The address of a host's command stream, what it owns, and the time of its last heartbeat (ms).

    It owns ``slots`` but for entities with a dedicated host; ``entities`` are dedicated to it. ``load_report`` is
    JSON: see actors/hosting/load_report.py.
    """

    host_id: str
    incarnation: int
    address: str
    port: int
    alive_at: int
    slots: tuple[int, ...]
    entities: tuple[int, ...] = ()
    node: str = ""
    load_report: bytes = b"{}"

    @property
    def owns_something(self) -> bool:
        """Whether it owns slots or entities."""
        return bool(self.slots or self.entities)


class Former(msgspec.Struct, frozen=True):
    """A host that has lost what it owned, and may not know it. Its process, while it lives, listens at this address."""

    host_id: str
    address: str
    port: int


class Revoked(msgspec.Struct, frozen=True):
    """Whom slots or dedicated entities were revoked from.

    ``slots``: the host that owned each of them, and its last heartbeat before (ms); with a later one it has owned the
    slot again.
    """

    formers: frozenset[Former] = frozenset()
    slots: dict[int, tuple[str, int]] = {}


class Registered(msgspec.Struct, frozen=True):
    """A host's incarnation, and the one before it, if there was one."""

    incarnation: int
    former: Former | None = None


class Claimed(msgspec.Struct, frozen=True):
    """The result of a claim: until when (ms) each slot or entity was owned, and excluded entities.

    ``refused``: slots that another host has acquired meanwhile.
    """

    owned_until: dict[int, int]
    excluded: frozenset[int] = frozenset()
    refused: frozenset[int] = frozenset()


class Owned(msgspec.Struct, frozen=True):
    """What a host owns, as the directory has it."""

    slots: frozenset[int] = frozenset()
    entities: frozenset[int] = frozenset()
    excluded: frozenset[int] = frozenset()


class DueEntity(msgspec.Struct, frozen=True):
    """An entity with a due time (ms)."""

    entity: int
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


def slot_of(entity: int, slots: int) -> int:
    """The slot of an entity: its id's counter spreads evenly, its time alone would not."""
    return (entity * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF) * slots >> 64


# A host that claims something locks its own row, so that no other incarnation registers meanwhile.
_INCARNATION = "SELECT incarnation FROM hosts WHERE host_id = $1 FOR SHARE"

# What has a time until which it was owned is owned by nobody: the host that it names may not know it yet.
_REVOKE_SLOTS = """
    UPDATE slots SET owned_until = coalesce(owned_until, alive_at) FROM hosts h
    WHERE slots.host_id = h.host_id AND slots.host_id <> $1 AND slot = ANY($2::int[])
    RETURNING h.host_id, address, port, slot, owned_until
"""
_REVOKE_ENTITIES = """
    UPDATE dedicated SET owned_until = coalesce(owned_until, alive_at) FROM hosts h
    WHERE dedicated.host_id = h.host_id AND dedicated.host_id <> $1 AND entity_id = ANY($2::bigint[])
    RETURNING h.host_id, address, port
"""

# $3: whatever they are now; otherwise as they were revoked, at $6 with the owner $5, or owned by nobody or this host.
_CLAIM_SLOTS = """
    WITH taken AS (
        INSERT INTO slots AS s (slot, host_id) SELECT slot, $1 FROM unnest($2::int[]) slot
        ON CONFLICT (slot) DO UPDATE SET host_id = excluded.host_id, owned_until = NULL
        WHERE $3 OR s.host_id IS NULL OR s.host_id = $1 OR EXISTS (
            SELECT FROM unnest($4::int[], $5::text[], $6::bigint[]) AS r (slot, host_id, owned_until)
            WHERE r.slot = s.slot AND r.host_id = s.host_id AND r.owned_until = s.owned_until
        )
        RETURNING new.slot, old.host_id AS owner, old.owned_until
    ) SELECT slot, coalesce(owned_until, alive_at) FROM taken LEFT JOIN hosts ON host_id = owner
"""

_CLAIM_ENTITIES = """
    INSERT INTO dedicated (entity_id, slot, host_id) SELECT a, s, $1 FROM unnest($2::bigint[], $3::int[]) AS w (a, s)
    ON CONFLICT (entity_id) DO UPDATE SET host_id = excluded.host_id, owned_until = NULL
"""

_RECLAIM = """
    WITH back AS (
        DELETE FROM dedicated WHERE entity_id = ANY($1::bigint[]) RETURNING entity_id, host_id, owned_until
    ) SELECT entity_id, coalesce(owned_until, alive_at) FROM back LEFT JOIN hosts USING (host_id)
"""

_REGISTER = """
    INSERT INTO hosts AS h (host_id, incarnation, address, port, alive_at, node) VALUES ($1, 1, $2, $3, $4, $5)
    ON CONFLICT (host_id) DO UPDATE SET incarnation = h.incarnation + 1, address = excluded.address,
        port = excluded.port, alive_at = excluded.alive_at, node = excluded.node, load_report = '{}'
    RETURNING new.incarnation, old.address, old.port, old.alive_at
"""

_REVOKE_INCARNATION = """
    WITH entities AS (UPDATE dedicated SET owned_until = coalesce(owned_until, $2) WHERE host_id = $1)
    UPDATE slots SET owned_until = coalesce(owned_until, $2) WHERE host_id = $1
"""

_FREE = """
    WITH entities AS (UPDATE dedicated SET host_id = NULL WHERE host_id = $1 AND owned_until IS NOT NULL)
    UPDATE slots SET host_id = NULL WHERE host_id = $1 AND owned_until IS NOT NULL
"""

_HEARTBEAT = """
    WITH beat AS (
        UPDATE hosts SET alive_at = $3, load_report = $4 WHERE host_id = $1 AND incarnation = $2 RETURNING host_id
    ) SELECT (SELECT coalesce(array_agg(slot), '{}') FROM slots JOIN beat USING (host_id) WHERE owned_until IS NULL),
             (SELECT coalesce(array_agg(entity_id), '{}') FROM dedicated JOIN beat USING (host_id)
              WHERE owned_until IS NULL),
             (SELECT coalesce(array_agg(d.entity_id), '{}') FROM dedicated d JOIN slots s USING (slot)
              JOIN beat ON beat.host_id = s.host_id
              WHERE s.owned_until IS NULL AND d.host_id IS DISTINCT FROM beat.host_id)
      FROM beat
"""

_HOSTS = """
    SELECT h.host_id, h.incarnation, h.address, h.port, h.alive_at,
           coalesce(s.slots, '{}'), coalesce(d.entities, '{}'), h.node, h.load_report::text
    FROM hosts h
    LEFT JOIN (
        SELECT host_id, array_agg(slot ORDER BY slot) AS slots FROM slots WHERE owned_until IS NULL GROUP BY host_id
    ) s USING (host_id)
    LEFT JOIN (
        SELECT host_id, array_agg(entity_id ORDER BY entity_id) AS entities FROM dedicated
        WHERE owned_until IS NULL GROUP BY host_id
    ) d USING (host_id)
    ORDER BY h.host_id
"""


# Only a leader's funds are held while nobody waits for a release; after an auction that was not sold nobody's.
_LEFT_HELD = f"""
    WITH held AS (
        SELECT ('x' || encode(substr(reference, {REFERENCE_KIND_BYTES + 1}), 'hex'))::bit(64)::bigint AS entity_id,
            count(*) AS holds
        FROM ledger_holds WHERE substr(reference, 1, {REFERENCE_KIND_BYTES}) = $2 GROUP BY reference
    )
    SELECT entity_id, slot FROM held JOIN entities USING (entity_id)
    WHERE slot = ANY($1::int[]) AND (holds > 1 OR ended) ORDER BY entity_id
"""


class Directory:
    """The tables ``hosts``, ``slots`` and ``dedicated``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def register(self, host_id: str, address: str, port: int, now_ms: int, node: str = "") -> Registered:
        """Register this host. An earlier incarnation loses all that it owned; see ``free``."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(_REGISTER, host_id, address, port, now_ms, node)
            assert row is not None, "an upsert returns its row"
            incarnation, *former, alive_at = row
            if alive_at is not None:
                await connection.execute(_REVOKE_INCARNATION, host_id, alive_at)
        return Registered(incarnation, None if alive_at is None else Former(host_id, *former))

    async def free(self, host_id: str, incarnation: int) -> None:
        """Nobody is named any longer for what earlier incarnations owned: they have ended. Raises Superseded."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await _must_be_registered(connection, host_id, incarnation)
            await connection.execute(_FREE, host_id)

    async def revoke(self, host_id: str, slots: Sequence[int], entities: Sequence[int] = ()) -> Revoked:
        """Have nobody own these slots and dedicated entities, but for those of this host.

        Heartbeats confirm the ownership no longer. The result has also what an earlier call has revoked, if nobody has
        acquired it since.
        """
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(_REVOKE_SLOTS, host_id, slots)
            of_entities = await connection.fetch(_REVOKE_ENTITIES, host_id, entities)
        formers = frozenset(Former(*row) for row in [*(row[:3] for row in rows), *of_entities])
        return Revoked(formers, {row[3]: (row[0], row[4]) for row in rows})

    async def claim(
        self, host_id: str, incarnation: int, slots: Sequence[int], revoked: Revoked | None = None
    ) -> Claimed:  # fmt: skip
        """Acquire these slots. Raises Superseded if another incarnation is registered.

        ``revoked``: only those that no other host has acquired since.
        """
        before = {} if revoked is None else revoked.slots
        owners, until = [one[0] for one in before.values()], [one[1] for one in before.values()]
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await _must_be_registered(connection, host_id, incarnation)
            rows = await connection.fetch(
                _CLAIM_SLOTS, host_id, slots, revoked is None, list(before), owners, until
            )  # fmt: skip
            excluded = await connection.fetch(
                "SELECT entity_id FROM dedicated WHERE slot = ANY($1::int[]) AND host_id IS DISTINCT FROM $2",
                slots,
                host_id,
            )
        return Claimed(
            _owned_until(rows), frozenset(row[0] for row in excluded), frozenset(slots) - {row[0] for row in rows}
        )

    async def claim_entities(self, host_id: str, incarnation: int, entities: Mapping[int, int]) -> None:
        """Become the dedicated host of these entities (with their slots). Raises Superseded as ``claim`` does."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await _must_be_registered(connection, host_id, incarnation)
            await connection.execute(_CLAIM_ENTITIES, host_id, list(entities), list(entities.values()))

    async def reclaim(self, host_id: str, incarnation: int, entities: Sequence[int]) -> Claimed:
        """Acquire entities with their slot again, which this host owns. Raises Superseded as ``claim`` does."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await _must_be_registered(connection, host_id, incarnation)
            rows = await connection.fetch(_RECLAIM, entities)
        return Claimed(_owned_until(rows))

    async def heartbeat(self, host_id: str, incarnation: int, now_ms: int, load_report: bytes = b"{}") -> Owned:
        """Record that this host can commit; returns what it owns. Raises Superseded if it is not registered."""
        row = await guarded(self._pool.fetchrow(_HEARTBEAT, host_id, incarnation, now_ms, load_report.decode()))
        if row is None:
            raise Superseded(host_id)
        return Owned(frozenset(row[0]), frozenset(row[1]), frozenset(row[2]))

    async def hosts(self) -> list[HostAddress]:
        """All hosts with what they own."""
        rows = await guarded(self._pool.fetch(_HOSTS))
        return [HostAddress(r[0], r[1], r[2], r[3], r[4], tuple(r[5]), tuple(r[6]), r[7], r[8].encode()) for r in rows]

    async def remove_host(self, host_id: str) -> bool:
        """Remove a host that was ended on purpose; False, and nothing happens, if it still owns something."""
        done = await guarded(
            self._pool.execute(
                "DELETE FROM hosts h WHERE host_id = $1"
                " AND NOT EXISTS (SELECT FROM slots s WHERE s.host_id = h.host_id)"
                " AND NOT EXISTS (SELECT FROM dedicated d WHERE d.host_id = h.host_id)",
                host_id,
            )
        )
        return bool(done == "DELETE 1")

    async def dedicated(self) -> dict[int, str | None]:
        """Every entity that is not owned with its slot, and its dedicated host; None if that has lost it."""
        rows = await guarded(
            self._pool.fetch("SELECT entity_id, CASE WHEN owned_until IS NULL THEN host_id END FROM dedicated")
        )
        return {row[0]: row[1] for row in rows}

    async def due(self, slots: Sequence[int]) -> list[DueEntity]:
        """The entities in these slots with a due time. ``due_at`` may be too early, never too late."""
        rows = await guarded(
            self._pool.fetch(
                "SELECT entity_id, slot, due_at FROM entities WHERE due_at IS NOT NULL AND slot = ANY($1::int[])",
                slots,
            )
        )
        return [DueEntity(r[0], r[1], r[2]) for r in rows]

    async def left_held(self, slots: Sequence[int], now_ms: int) -> list[DueEntity]:
        """The auctions in these slots for which funds of several users are held, or any though they ended, as due now.

        Their host may have died, or lost them, before it released what was not needed any more.
        """
        rows = await guarded(self._pool.fetch(_LEFT_HELD, slots, held_for_auction(0)[:REFERENCE_KIND_BYTES]))
        return [DueEntity(row[0], row[1], now_ms) for row in rows]

    async def due_entities(self, entities: Sequence[int]) -> list[DueEntity]:
        """Those of these entities with a due time, as ``due``."""
        rows = await guarded(
            self._pool.fetch(
                "SELECT entity_id, slot, due_at FROM entities WHERE due_at IS NOT NULL"
                " AND entity_id = ANY($1::bigint[])",
                entities,
            )
        )
        return [DueEntity(r[0], r[1], r[2]) for r in rows]


async def _must_be_registered(connection: Connection, host_id: str, incarnation: int) -> None:
    if await connection.fetchval(_INCARNATION, host_id) != incarnation:
        raise Superseded(host_id)


def _owned_until(rows: Sequence[asyncpg.Record]) -> dict[int, int]:
    return {row[0]: row[1] for row in rows if row[1] is not None}
