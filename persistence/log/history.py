"""Reads the log of any kind by range, and lists entities."""

from typing import Any

import asyncpg
import msgspec

from domain.kinds import kind_of
from persistence.postgres.guard import guarded

EVENTS_MAX = 5_000

_EVENTS = """
    SELECT kind, epoch, seq, at, body FROM entity_events WHERE entity_id = $1 AND seq > $2 ORDER BY seq LIMIT $3
"""

# Every entity that has rows or should have: one index look-up for each, however many rows it has.
_ENTITIES = """
    WITH RECURSIVE logged AS (
        (SELECT entity_id, kind FROM entity_events WHERE entity_id > $1 ORDER BY entity_id, seq LIMIT 1)
        UNION ALL
        SELECT next_one.entity_id, next_one.kind FROM logged, LATERAL (
            SELECT e.entity_id, e.kind FROM entity_events e WHERE e.entity_id > logged.entity_id
            ORDER BY e.entity_id, e.seq LIMIT 1
        ) next_one
    )
    SELECT entity_id, min(kind) FROM (
        (SELECT entity_id, kind FROM logged LIMIT $2)
        UNION ALL
        (SELECT entity_id, kind FROM entities WHERE entity_id > $1 ORDER BY entity_id LIMIT $2)
    ) AS both_of_them GROUP BY entity_id ORDER BY entity_id LIMIT $2
"""
_KIND = """
    SELECT coalesce((SELECT kind FROM entities WHERE entity_id = $1),
        (SELECT kind FROM entity_events WHERE entity_id = $1 ORDER BY seq LIMIT 1))
"""


class LoggedEvent(msgspec.Struct, frozen=True):
    """An event with its position in the log, and its public form."""

    epoch: int
    seq: int
    at: int
    event: Any
    type: str
    data: dict[str, Any]


class EntityHistory:
    """Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def events_after(self, entity: int, after_seq: int, limit: int) -> list[LoggedEvent]:
        """The next events, in order. ``event`` has hidden amounts. Raises Unreadable for a damaged row, UnknownKind."""
        rows = await guarded(self._pool.fetch(_EVENTS, entity, after_seq, min(limit, EVENTS_MAX)))
        events = []
        for name, epoch, seq, at, body in rows:
            kind = kind_of(name)
            event = kind.codec.decode_event(body)
            events.append(LoggedEvent(epoch, seq, at, event, *kind.rules.public_event(event)))
        return events

    async def kind(self, entity: int) -> str | None:
        """The kind of an entity; None where there is none of this id."""
        found: str | None = await guarded(self._pool.fetchval(_KIND, entity))
        return found

    async def entities_after(self, entity: int, limit: int) -> list[tuple[int, str]]:
        """The next entities by id, with their kinds, in the log or in the read model: for going through all of them."""
        return [(row[0], row[1]) for row in await guarded(self._pool.fetch(_ENTITIES, entity, limit))]

    async def entities_count(self) -> int:
        """About how many entities there are."""
        count: int = await guarded(self._pool.fetchval("SELECT count(*) FROM entities"))
        return count
