"""Exports of users' data: what was asked for, and the finished ZIP in pages, which any gateway can serve."""

from collections.abc import AsyncIterator

import asyncpg
import msgspec

from domain.ids import id_text
from persistence.audit.trail import Act, record_within
from persistence.jobs.rows import JobRow
from persistence.jobs.store import Claimed, add_within, complete_within
from persistence.keys.exports import ExportCipher, PageCipher
from persistence.postgres.guard import guard, guarded
from persistence.postgres.purging import delete_some

EXPORT_USER = "export_user"
KEPT_MS = 7 * 24 * 3600 * 1000
PAGE_BYTES = 256 * 1024
FORGOTTEN_AT_ONCE_MAX = 100


class Export(msgspec.Struct, frozen=True):
    """An export. ``state``: ``waiting``, ``ready`` or ``failed``; times in milliseconds."""

    id: int
    state: str
    requested_at: int
    finished_at: int | None
    expires_at: int | None
    size: int | None


_COLUMNS = "export_id, state, requested_at, finished_at, expires_at, bytes"
# One that waits stays; any other gives way to the new one.
_GIVE_WAY = "DELETE FROM user_exports WHERE user_id = $1 AND state <> 'waiting'"
_REQUEST = """
    INSERT INTO user_exports (export_id, user_id, requested_at) VALUES ($1, $2, $3)
    ON CONFLICT (user_id) DO NOTHING RETURNING true
"""
_OF = f"SELECT {_COLUMNS} FROM user_exports WHERE user_id = $1"
_USER = "SELECT user_id FROM user_exports WHERE export_id = $1 AND state = 'waiting'"
_LOCK = "SELECT true FROM user_exports WHERE export_id = $1 AND state = 'waiting' FOR UPDATE"
_PAGE = "INSERT INTO user_export_pages (export_id, page, body) VALUES ($1, $2, $3)"
_FINISH = """
    UPDATE user_exports SET state = $2, finished_at = $3, expires_at = $4, bytes = $5, key_id = $6, sealed = $7
    WHERE export_id = $1 AND state = 'waiting' RETURNING true
"""
_KEY = "SELECT key_id, sealed FROM user_exports WHERE export_id = $1"
_READ = "SELECT body FROM user_export_pages WHERE export_id = $1 AND page = $2"
_FORGET = """
    DELETE FROM user_exports WHERE export_id IN
        (SELECT export_id FROM user_exports WHERE expires_at <= $1 LIMIT $2)
"""
# Their job makes them again, as of then.
_MAKE_AGAIN = """
    WITH clear AS (
        UPDATE user_exports SET state = 'waiting', finished_at = NULL, expires_at = NULL, bytes = NULL
        WHERE export_id IN (SELECT export_id FROM user_exports WHERE state = 'ready' AND sealed IS NULL LIMIT $1)
        RETURNING export_id
    ), emptied AS (DELETE FROM user_export_pages p USING clear WHERE p.export_id = clear.export_id)
    SELECT export_id FROM clear
"""


class Exports:
    """The tables ``user_exports`` and ``user_export_pages``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool, cipher: ExportCipher | None = None) -> None:
        """``cipher`` encrypts what is stored, and reads what is encrypted."""
        self._pool = pool
        self._cipher = cipher

    async def request(self, user: int, export: int, now_ms: int) -> Export:
        """Have an export made, in place of an earlier one; one that is being made already is that one."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_GIVE_WAY, user)
            if await connection.fetchval(_REQUEST, export, user, now_ms):
                await add_within(connection, [JobRow(EXPORT_USER, id_text(export))])
                await record_within(connection, Act("account.export_requested", user, subject=id_text(user)))
            row = await connection.fetchrow(_OF, user)
        assert row is not None, "it was added, or was there"
        return Export(*row)

    async def of(self, user: int) -> Export | None:
        """The user's export; None if there is none, or it has expired and was deleted."""
        row = await guarded(self._pool.fetchrow(_OF, user))
        return None if row is None else Export(*row)

    async def user_of(self, export: int) -> int | None:
        """Whose export waits to be made; None if it does not wait any more."""
        user: int | None = await guarded(self._pool.fetchval(_USER, export))
        return user

    async def finish(self, job: Claimed, export: int, pages: AsyncIterator[bytes], now_ms: int) -> None:
        """Store the pages of a ZIP, and complete the job. May raise LeaseLost."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            size, number = 0, 0
            # Its owner may have been deleted meanwhile: then there is nothing to store.
            if await connection.fetchval(_LOCK, export):
                key_id, sealed, key = self._new_key(export)
                async for page in pages:
                    stored = page if key is None else key.seal(page, number)
                    await connection.execute(_PAGE, export, number, stored)
                    size, number = size + len(page), number + 1
                await connection.fetchval(_FINISH, export, "ready", now_ms, now_ms + KEPT_MS, size, key_id, sealed)
            await complete_within(connection, [job])

    async def give_up(self, job: Claimed, export: int, now_ms: int) -> None:
        """The export can't be made, such as one that is too large. May raise LeaseLost."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await connection.fetchval(_FINISH, export, "failed", now_ms, now_ms + KEPT_MS, None, None, None)
            await complete_within(connection, [job])

    async def pages(self, export: int) -> AsyncIterator[bytes]:
        """The pages of a finished export, in order. May raise an error of the keys."""
        row, key, number = await guarded(self._pool.fetchrow(_KEY, export)), None, 0
        if row is not None and row["sealed"] is not None:
            assert self._cipher is not None, "whoever serves exports has the keys"
            key = self._cipher.key_of(export, row["key_id"], row["sealed"])
        while (body := await guarded(self._pool.fetchval(_READ, export, number))) is not None:
            yield body if key is None else key.open(body, number)
            number += 1

    async def make_again(self, limit: int) -> int:
        """Have some of those made again that are not encrypted; how many."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(_MAKE_AGAIN, limit)
            await add_within(connection, [JobRow(EXPORT_USER, id_text(row["export_id"])) for row in rows])
        return len(rows)

    async def forget_expired(self, now_ms: int) -> int:
        """Delete some of those that have expired; how many."""
        return await delete_some(self._pool, _FORGET, now_ms, FORGOTTEN_AT_ONCE_MAX)

    def _new_key(self, export: int) -> tuple[str | None, bytes | None, PageCipher | None]:
        if self._cipher is None or not self._cipher.seals:
            return None, None, None
        return self._cipher.new_key(export)
