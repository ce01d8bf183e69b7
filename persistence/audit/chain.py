"""The chain of the audit trail: made by a job, read by ``ece audit verify``."""

from collections.abc import AsyncIterator

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from domain.audit import Entry, Finding, Head, Link, check, follow
from persistence.audit.trail import COLUMNS
from persistence.postgres.guard import guard, guarded

BATCH_MAX = 1_000
# Entries without a link are findings when they are older than this (ms): the job chains them within seconds.
PENDING_MAX_MS = 600_000
FINDINGS_MAX = 200
# One writer at a time, also where a worker's lease has ended; any number that nobody else locks.
_LOCK = "SELECT pg_advisory_xact_lock(718203941)"
_HEAD = "SELECT position, hash FROM audit_chain ORDER BY position DESC LIMIT 1"
_TAKE = f"""
    WITH taken AS (
        DELETE FROM audit_pending WHERE entry_id IN (SELECT entry_id FROM audit_pending ORDER BY entry_id LIMIT $1)
        RETURNING entry_id
    )
    SELECT {COLUMNS} FROM taken JOIN audit_entries e USING (entry_id) ORDER BY e.entry_id
"""
_LINK = "INSERT INTO audit_chain SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[])"
_LINKS = f"""
    SELECT c.position, c.entry_id, c.hash, {COLUMNS} FROM audit_chain c LEFT JOIN audit_entries e USING (entry_id)
    WHERE c.position > $1 ORDER BY c.position LIMIT $2
"""
_UNCHAINED = """
    SELECT e.entry_id FROM audit_entries e LEFT JOIN audit_chain c USING (entry_id)
    WHERE c.entry_id IS NULL
        AND (e.at < $1 OR NOT EXISTS (SELECT FROM audit_pending p WHERE p.entry_id = e.entry_id))
    ORDER BY e.entry_id LIMIT $2
"""


class AuditChain:
    """The table ``audit_chain``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def extend(self) -> int:
        """Chain the oldest entries that are not; returns how many they were, BATCH_MAX at most."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_LOCK)
            rows = await connection.fetch(_TAKE, BATCH_MAX)
            head = await _head(connection)
            columns: list[tuple[int, int, bytes]] = []
            for entry in (Entry(*row) for row in rows):
                head = follow(head, entry)
                columns.append((head.position, entry.entry_id, head.hash))
            if columns:
                await connection.execute(_LINK, *zip(*columns, strict=True))
        return len(columns)

    async def head(self) -> Head:
        """The end of the chain."""
        async with guard(), self._pool.acquire() as connection:
            return await _head(connection)

    async def links(self, after: int, limit: int) -> list[Link]:
        """The next links by position."""
        rows = await guarded(self._pool.fetch(_LINKS, after, limit))
        return [Link(row[0], row[1], row[2], None if row[3] is None else Entry(*row[3:])) for row in rows]

    async def unchained(self, now_ms: int) -> list[int]:
        """Entries that are not in the chain, and do not wait for it, or have for too long."""
        rows = await guarded(self._pool.fetch(_UNCHAINED, now_ms - PENDING_MAX_MS, FINDINGS_MAX))
        return [row[0] for row in rows]


async def findings_of(chain: AuditChain, now_ms: int, noted: Head | None = None) -> AsyncIterator[Finding | Head]:
    """All that is wrong, then the end of the chain. ``noted``: an end that was written down earlier."""
    head, seen = Head(), noted is None or noted.position == 0
    while links := await chain.links(head.position, BATCH_MAX):
        for link in links:
            for finding in check(head, link):
                yield finding
            head = Head(link.position, link.hash)
            if noted is not None and head.position == noted.position:
                seen = True
                if head.hash != noted.hash:
                    yield Finding("head", link.entry_id, f"link {link.position} has another hash than was noted")
    if not seen:
        assert noted is not None, "without a noted end nothing is looked for"
        yield Finding("head", None, f"the chain ends at link {head.position}, before the noted one {noted.position}")
    for entry_id in await chain.unchained(now_ms):
        yield Finding("unchained", entry_id, "the entry is not in the chain")
    yield head


async def _head(connection: PoolConnectionProxy) -> Head:
    row = await connection.fetchrow(_HEAD)
    return Head() if row is None else Head(*row)
