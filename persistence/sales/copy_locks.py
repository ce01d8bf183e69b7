"""Locks of copies for entities of a host, over a connection of its own: one round trip for all of a commit."""

from collections.abc import Mapping, Sequence

import asyncpg

from persistence.postgres.errors import StoreUnavailable
from persistence.postgres.guard import UNAVAILABLE, guarded
from persistence.postgres.planner import LOOK_UPS
from persistence.postgres.writers import new_name, prefix_of

TIMEOUT_S = 5.0
SERVER_SETTINGS = {"synchronous_commit": "off", **LOOK_UPS}

Lock = tuple[int, int, int]
"""(entity, owner, copy)."""

# Rows are locked in the order of their ids, as everywhere. Of two entities that want a copy, the first one has it. One
# that has ended has none: a host may be late that does not know of it. Its end waits for this statement, or is seen.
_LOCK = """
    WITH wanted AS MATERIALIZED (
        SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS u (entity, owner, copy, nth)
    ), ended AS MATERIALIZED (
        SELECT trade_id, status NOT IN ('open', 'agreed', 'confirmed') AS over FROM trades
        WHERE trade_id = ANY($1::bigint[]) ORDER BY trade_id FOR SHARE
    ), first AS MATERIALIZED (
        SELECT DISTINCT ON (copy) * FROM wanted
        WHERE NOT EXISTS (SELECT FROM ended WHERE trade_id = entity AND over) ORDER BY copy, nth
    ), ordered AS MATERIALIZED (
        SELECT c.copy_id FROM first JOIN copies c ON c.copy_id = copy ORDER BY c.copy_id FOR NO KEY UPDATE OF c
    ), locked AS (
        UPDATE copies c SET place = 'trade', locked_by = f.entity, locked_at = $4
        FROM first f JOIN ordered o ON o.copy_id = f.copy
        WHERE c.copy_id = f.copy AND c.owner_id = f.owner
            AND (c.place = 'free' OR (c.place = 'trade' AND c.locked_by = f.entity))
        RETURNING c.copy_id, c.locked_by
    )
    SELECT nth - 1 FROM wanted w
    WHERE NOT EXISTS (SELECT FROM locked l WHERE l.copy_id = w.copy AND l.locked_by = w.entity)
"""
# A host that wakes up late does not unlock what the next owner of the entity has locked since.
_UNLOCK = """
    WITH ordered AS MATERIALIZED (
        SELECT c.copy_id, u.entity, u.at FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS u (entity, copy, at)
        JOIN copies c ON c.copy_id = copy WHERE c.place = 'trade' AND c.locked_by = u.entity
        ORDER BY c.copy_id FOR NO KEY UPDATE OF c
    )
    UPDATE copies c SET place = 'free', locked_by = NULL, locked_at = NULL FROM ordered o
    WHERE c.copy_id = o.copy_id AND c.place = 'trade' AND c.locked_by = o.entity AND c.locked_at <= o.at
"""
_LOCKED_BY = """
    SELECT locked_by, owner_id, copy_id FROM copies WHERE locked_by = ANY($1::bigint[]) AND place = 'trade'
"""


class CopyLocks:
    """The locks of one host. Methods are called one after the other, and raise StoreUnavailable.

    Commits are asynchronous: the log's commit that follows in the same database makes them durable. A lock that is lost
    in a crash was for a command that was not acknowledged.
    """

    def __init__(self, database_url: str, *, writer: str = "") -> None:
        """``writer``: the host, as for ``EventLog``."""
        self._url = database_url
        self._prefix = prefix_of("copies", writer)
        self._connection: asyncpg.Connection | None = None

    async def close(self) -> None:
        """End the connection; the next call opens another."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def lock(self, wanted: Sequence[Lock], now_ms: int) -> set[int]:
        """Lock these in one call. Returns the indexes of those that are not their owner's, or not free.

        What its entity has locked already is locked again, as of now.
        """
        rows = await self._fetch(_LOCK, *_columns(wanted), now_ms)
        return {row[0] for row in rows}

    async def unlock(self, locks: Mapping[Lock, int]) -> None:
        """Free these where these entities have them locked, and have not locked them again after this time (ms)."""
        if locks:
            entities, _, copies = _columns(list(locks))
            await self._fetch(_UNLOCK, entities, copies, list(locks.values()))

    async def locked_by(self, entities: Sequence[int]) -> list[Lock]:
        """All that these entities have locked."""
        return [(row[0], row[1], row[2]) for row in await self._fetch(_LOCKED_BY, list(entities))]

    async def _fetch(self, statement: str, *values: object) -> list[asyncpg.Record]:
        if self._connection is None or self._connection.is_closed():
            try:
                settings = {"application_name": new_name(self._prefix), **SERVER_SETTINGS}
                self._connection = await asyncpg.connect(
                    self._url, timeout=TIMEOUT_S, command_timeout=TIMEOUT_S, server_settings=settings
                )
            except UNAVAILABLE as error:
                raise StoreUnavailable(str(error) or type(error).__name__) from error
        try:
            rows: list[asyncpg.Record] = await guarded(self._connection.fetch(statement, *values))
        except StoreUnavailable:
            await self.close()
            raise
        return rows


def _columns(locks: Sequence[Lock]) -> tuple[list[int], list[int], list[int]]:
    entities, owners, copies = ([lock[part] for lock in locks] for part in range(3))
    return entities, owners, copies
