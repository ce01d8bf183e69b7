"""Sessions: the log-ins of users as they list and end them. A trigger notes what ends in ``access_changes``."""

import asyncpg
import msgspec

from persistence.audit.trail import Act, record_within
from persistence.postgres.guard import guard, guarded

# More than anybody looks through; the newest are shown.
LISTED_MAX = 100
# More are not counted.
COUNTED_MAX = 100_000


class StoredSession(msgspec.Struct, frozen=True):
    """A log-in. ``refreshed_at`` is None before its first refresh. Times in milliseconds."""

    session: str
    device: str
    address: str
    started_at: int
    refreshed_at: int | None


_OF_USER = f"""
    SELECT family, device, address, started_at, refreshed_at FROM log_ins
    WHERE user_id = $1 AND expires_at > $2 ORDER BY started_at DESC, family LIMIT {LISTED_MAX}
"""
_OPEN = f"SELECT count(*) FROM (SELECT FROM log_ins WHERE expires_at > $1 LIMIT {COUNTED_MAX}) AS live"
_END = "DELETE FROM log_ins WHERE user_id = $1 AND family = $2 RETURNING family"
_END_OTHERS = "DELETE FROM log_ins WHERE user_id = $1 AND family IS DISTINCT FROM $2 RETURNING family"


class SessionStore:
    """The table ``log_ins``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def of_user(self, user_id: int, now_ms: int) -> list[StoredSession]:
        """The sessions of a user, the newest first, LISTED_MAX at most."""
        return [StoredSession(*row) for row in await guarded(self._pool.fetch(_OF_USER, user_id, now_ms))]

    async def count(self, now_ms: int) -> int:
        """How many there are of all users, COUNTED_MAX at most."""
        return int(await guarded(self._pool.fetchval(_OPEN, now_ms)))

    async def end(self, user_id: int, session: str) -> bool:
        """End one session of a user; False if they have no such one."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            ended = await connection.fetchval(_END, user_id, session)
            if ended is not None:
                await record_within(connection, Act("session.ended", user_id, subject=session))
        return ended is not None

    async def end_others(self, user_id: int, kept: str | None) -> list[str]:
        """End all sessions of a user but ``kept`` (None: all), in one transaction; those that it ended."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            ended = [str(row["family"]) for row in await connection.fetch(_END_OTHERS, user_id, kept)]
            if ended:
                await record_within(connection, Act("session.others_ended", user_id, details={"count": len(ended)}))
        return ended
