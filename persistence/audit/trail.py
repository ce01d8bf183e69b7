"""The audit trail: who did what from where. Entries are only added, in the transaction of the act where it has one.

Where a request comes from is ambient, as in logs: the gateway sets ``ORIGIN``, so that acts need not pass it on.
"""

import json
from collections.abc import Mapping
from contextvars import ContextVar

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.audit import Entry
from persistence.postgres.guard import guarded

VALUE_LENGTH_MAX = 200
PAGE_MAX = 100


class Origin(msgspec.Struct, frozen=True):
    """Where an act comes from. ``actor`` is the name of who acts without an account, such as on a command line."""

    address: str | None = None
    request_id: str | None = None
    actor: str | None = None


ORIGIN: ContextVar[Origin] = ContextVar("audit_origin", default=Origin())  # noqa: B039 (it is frozen)


class Act(msgspec.Struct, frozen=True):
    """What was done. ``details`` never have secrets; texts are cut."""

    action: str
    actor_id: int | None = None
    actor: str | None = None
    subject: str = ""
    details: Mapping[str, object] = {}


class Filter(msgspec.Struct, frozen=True):
    """Which entries; None: all. ``since`` and ``until`` in milliseconds, ``before``: older than this id."""

    action: str | None = None
    actor_id: int | None = None
    subject: str | None = None
    since: int | None = None
    until: int | None = None
    before: int | None = None


class AuditCheck(msgspec.Struct, frozen=True):
    """The last periodic check: when (ms), and what is wrong."""

    at: int
    findings: tuple[str, ...]


_INSERT = """
    INSERT INTO audit_entries (action, actor_id, actor, subject, address, request_id, details)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
COLUMNS = "e.entry_id, e.at, e.action, e.actor_id, e.actor, e.subject, e.address, e.request_id, e.details"
_PAGE = f"""
    SELECT {COLUMNS} FROM audit_entries e
    WHERE ($1::text IS NULL OR action = $1) AND ($2::bigint IS NULL OR actor_id = $2)
        AND ($3::text IS NULL OR subject = $3) AND ($4::bigint IS NULL OR at >= $4) AND ($5::bigint IS NULL OR at < $5)
        AND ($6::bigint IS NULL OR entry_id < $6)
    ORDER BY entry_id DESC LIMIT $7
"""


async def record_within(connection: PoolConnectionProxy, act: Act) -> None:
    """Add an entry in the caller's transaction."""
    await guarded(connection.execute(_INSERT, *_values(act)))


class AuditTrail:
    """The table ``audit_entries``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def record(self, act: Act) -> None:
        """Add an entry about an act that is no transaction in this database."""
        await guarded(self._pool.execute(_INSERT, *_values(act)))

    async def page(self, wanted: Filter, limit: int) -> list[Entry]:
        """The newest first."""
        values = (*msgspec.structs.astuple(wanted), min(limit, PAGE_MAX + 1))
        return [Entry(*row) for row in await guarded(self._pool.fetch(_PAGE, *values))]

    async def last_check(self) -> AuditCheck | None:
        """The last periodic check (checks.py); None before the first."""
        row = await guarded(self._pool.fetchrow("SELECT checked_at, findings FROM audit_checks"))
        return None if row is None else AuditCheck(row[0], tuple(row[1]))


def _values(act: Act) -> tuple[object, ...]:
    origin = ORIGIN.get()
    details = {
        name: value[:VALUE_LENGTH_MAX] if isinstance(value, str) else value for name, value in act.details.items()
    }
    actor = act.actor or origin.actor
    subject = act.subject[:VALUE_LENGTH_MAX]
    # ASCII: what clients sent may have characters that can't be stored.
    text = json.dumps(details, sort_keys=True)
    return act.action, act.actor_id, actor, subject, origin.address, origin.request_id, text
