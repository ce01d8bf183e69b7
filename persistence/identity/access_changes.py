"""Changes of what users may do, and ends of sessions, for gateways: see gateway/identity/access_changes.py."""

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from persistence.postgres.guard import guarded
from persistence.postgres.purging import delete_some

CHANGES_MAX = 100_000
FORGOTTEN_AT_ONCE_MAX = 10_000

_ADD = """
    WITH changed AS (
        UPDATE users SET access_version = access_version + 1 WHERE user_id = $1 AND $2::bigint IS NULL
        RETURNING access_version
    )
    INSERT INTO access_changes (user_id, key_id, version)
    SELECT $1, $2, coalesce((SELECT access_version FROM changed), 0)
"""
# By the database's clock alone: gateways need not agree on the time.
_RECENT = """
    SELECT at, user_id, key_id, version, session FROM access_changes WHERE at > clock_ms() - $1::bigint
    ORDER BY at DESC LIMIT $2
"""
_FORGET = """
    DELETE FROM access_changes WHERE change_id IN
        (SELECT change_id FROM access_changes WHERE at < clock_ms() - $1::bigint ORDER BY at LIMIT $2)
"""


class AccessChange(msgspec.Struct, frozen=True):
    """The roles of a user have changed; or, with ``key``, that key was revoked; or, with ``session``, it has ended.

    ``at`` in milliseconds, by the database's clock; ``version``: the user's ``access_version`` from then on.
    """

    at: int
    user: int | None = None
    key: int | None = None
    version: int = 0
    session: str | None = None


async def add_change(connection: PoolConnectionProxy, user: int, key: int | None = None) -> None:
    """Note a change of roles, or a revoked key, in the caller's transaction. A trigger notes ends of sessions."""
    await connection.execute(_ADD, user, key)


class AccessChanges:
    """The table ``access_changes``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def recent(self, within_ms: int) -> list[AccessChange]:
        """The newest first, at most CHANGES_MAX."""
        return [AccessChange(*row) for row in await guarded(self._pool.fetch(_RECENT, within_ms, CHANGES_MAX))]

    async def forget(self, older_ms: int) -> int:
        """Delete some of those that are older than this; how many."""
        return await delete_some(self._pool, _FORGET, older_ms, FORGOTTEN_AT_ONCE_MAX)
