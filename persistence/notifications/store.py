"""Notifications: for each user one sequence, 1, 2, 3, …"""

from collections.abc import Sequence

import asyncpg
import msgspec

from persistence.postgres.guard import guarded
from persistence.postgres.purging import delete_some

PAGE_MAX = 100
FORGOTTEN_AT_ONCE_MAX = 10_000


class Notification(msgspec.Struct, frozen=True):
    """A notification of one user. ``data`` is JSON; times in milliseconds."""

    user: int
    seq: int
    id: int
    kind: str
    data: str
    at: int
    read_at: int | None


class Inbox(msgspec.Struct, frozen=True):
    """How far a user's sequence goes, and how many of it are unread."""

    epoch: int
    seq: int
    unread: int


_COLUMNS = "user_id, seq, notification_id, kind, data::text, at, read_at"
_PAGE = f"""
    SELECT {_COLUMNS} FROM notifications WHERE user_id = $1 AND ($2::bigint IS NULL OR seq < $2)
    ORDER BY seq DESC LIMIT $3
"""
_UNREAD = f"""
    SELECT {_COLUMNS} FROM notifications WHERE user_id = $1 AND read_at IS NULL AND ($2::bigint IS NULL OR seq < $2)
    ORDER BY seq DESC LIMIT $3
"""
_AFTER = f"""
    SELECT {_COLUMNS} FROM unnest($1::bigint[], $2::bigint[]) AS w (its_user, after_seq), LATERAL (
        SELECT * FROM notifications WHERE user_id = w.its_user AND seq > w.after_seq ORDER BY seq LIMIT $3
    ) n ORDER BY user_id, seq
"""
_INBOX = """
    SELECT (SELECT epoch FROM cluster),
        coalesce((SELECT seq FROM notification_heads WHERE user_id = $1), 0),
        (SELECT count(*) FROM notifications WHERE user_id = $1 AND read_at IS NULL)
"""
_HEADS = "SELECT user_id, seq FROM notification_heads WHERE user_id = ANY($1::bigint[])"
_READ = """
    UPDATE notifications SET read_at = $2 WHERE user_id = $1 AND read_at IS NULL AND notification_id = ANY($3::bigint[])
"""
_READ_UP_TO = "UPDATE notifications SET read_at = $2 WHERE user_id = $1 AND read_at IS NULL AND seq <= $3"
_FORGET = """
    DELETE FROM notifications WHERE notification_id IN
        (SELECT notification_id FROM notifications WHERE notification_id < $1 ORDER BY notification_id LIMIT $2)
"""


class Notifications:
    """The table ``notifications``, which Alerts fills. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def page(self, user: int, unread: bool, before: int | None, limit: int) -> list[Notification]:
        """Up to ``limit`` of a user's notifications, the newest first; with ``unread`` only those."""
        statement = _UNREAD if unread else _PAGE
        rows = await guarded(self._pool.fetch(statement, user, before, min(limit, PAGE_MAX + 1)))
        return [Notification(*row) for row in rows]

    async def inbox(self, user: int) -> Inbox:
        """The position of a user's sequence."""
        row = await guarded(self._pool.fetchrow(_INBOX, user))
        assert row is not None, "there is one row"
        return Inbox(*row)

    async def after(self, positions: Sequence[tuple[int, int]], limit_each: int) -> dict[int, list[Notification]]:
        """The next ones of each (user, after this seq), in order; who has none is not in the result."""
        users, seqs = [user for user, _ in positions], [seq for _, seq in positions]
        found: dict[int, list[Notification]] = {}
        for row in await guarded(self._pool.fetch(_AFTER, users, seqs, limit_each)):
            found.setdefault(row[0], []).append(Notification(*row))
        return found

    async def heads(self, users: Sequence[int]) -> dict[int, int]:
        """How far the sequences of these users go; a user without notifications is not in the result."""
        return {row[0]: row[1] for row in await guarded(self._pool.fetch(_HEADS, list(users)))}

    async def read(self, user: int, ids: Sequence[int], now_ms: int) -> int:
        """These were read, where they are this user's; how many were unread before."""
        return _count(await guarded(self._pool.execute(_READ, user, now_ms, list(ids))))

    async def read_up_to(self, user: int, seq: int, now_ms: int) -> int:
        """All were read up to this one; how many were unread before."""
        return _count(await guarded(self._pool.execute(_READ_UP_TO, user, now_ms, seq)))

    async def forget(self, before_id: int) -> int:
        """Delete some of those that are older than this id; how many."""
        return await delete_some(self._pool, _FORGET, before_id, FORGOTTEN_AT_ONCE_MAX)


def _count(status: str) -> int:
    return int(status.rpartition(" ")[2])
