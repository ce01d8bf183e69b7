"""Public acts of users: of one of them, and of all whom a user follows.

Triggers write the rows (migration 0046). Whether others see a kind depends on the preferences of whose act it is, at
the time of reading.
"""

import asyncpg
import msgspec

from persistence.postgres.guard import guarded
from persistence.postgres.purging import delete_some

PAGE_MAX = 100
FORGOTTEN_AT_ONCE_MAX = 10_000
# Which preference hides which kinds of acts.
HIDDEN_BY = {
    "private_collection": ("won", "traded", "minted"),
    "private_wins": ("won",),
    "private_follows": ("followed",),
}


class Activity(msgspec.Struct, frozen=True):
    """One act. ``title`` is that of the auction, ``other`` the name of whom the user followed. Time in milliseconds."""

    id: int
    user: int
    username: str
    kind: str
    subject: int
    at: int
    title: str | None
    other: str | None


def _kinds_shown() -> str:
    """The kinds of ``p``'s acts that others may see."""
    hidden = (
        f"CASE WHEN (p.preferences->>'{name}')::boolean THEN '{{{','.join(kinds)}}}'::text[] ELSE '{{}}' END"
        for name, kinds in HIDDEN_BY.items()
    )
    return f"a.kind <> ALL({' || '.join(hidden)})"


_SHOWN = f"(p.user_id IS NULL OR {_kinds_shown()})"


def _named(acts: str) -> str:
    return f"""
        SELECT a.activity_id, a.user_id, u.username, a.kind, a.subject_id, a.at, t.title, o.username
        FROM ({acts}) AS a JOIN users u ON u.user_id = a.user_id
        LEFT JOIN auctions t ON t.auction_id = a.subject_id AND a.kind IN ('listed', 'sold', 'won')
        LEFT JOIN users o ON o.user_id = a.subject_id AND a.kind = 'followed'
        ORDER BY a.activity_id DESC
    """


_OF_USER = _named(f"""
    SELECT a.* FROM activities a LEFT JOIN profiles p ON p.user_id = a.user_id
    WHERE a.user_id = $1 AND ($2::bigint IS NULL OR a.activity_id < $2) AND ($4 OR {_SHOWN})
    ORDER BY a.activity_id DESC LIMIT $3
""")
# Of each of those who are followed, the ids of their newest acts: an index-only scan each, of a page at the most.
_FEED = _named(f"""
    SELECT a.* FROM (
        SELECT newest.activity_id FROM (
            SELECT f.followed_id, p.user_id, p.preferences
            FROM follows f LEFT JOIN profiles p ON p.user_id = f.followed_id
            WHERE f.follower_id = $1
                AND NOT EXISTS (SELECT FROM user_mutes m WHERE m.user_id = $1 AND m.muted_id = f.followed_id)
                AND NOT EXISTS (SELECT FROM user_blocks b
                    WHERE (b.user_id, b.blocked_id) IN (($1, f.followed_id), (f.followed_id, $1)))
        ) AS p CROSS JOIN LATERAL (
            SELECT a.activity_id FROM activities a
            WHERE a.user_id = p.followed_id AND ($2::bigint IS NULL OR a.activity_id < $2) AND {_SHOWN}
            ORDER BY a.activity_id DESC LIMIT $3
        ) AS newest
        ORDER BY newest.activity_id DESC LIMIT $3
    ) AS page JOIN activities a USING (activity_id)
""")
_FORGET = """
    DELETE FROM activities WHERE activity_id IN
        (SELECT activity_id FROM activities WHERE activity_id < $1 ORDER BY activity_id LIMIT $2)
"""


class Activities:
    """The table ``activities``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def of(self, user: int, own: bool, before: int | None, limit: int) -> list[Activity]:
        """A user's acts, the newest first; ``own``: as the user sees them."""
        rows = await guarded(self._pool.fetch(_OF_USER, user, before, min(limit, PAGE_MAX + 1), own))
        return [Activity(*row) for row in rows]

    async def feed(self, user: int, before: int | None, limit: int) -> list[Activity]:
        """The acts of those whom a user follows and has not muted, the newest first."""
        rows = await guarded(self._pool.fetch(_FEED, user, before, min(limit, PAGE_MAX + 1)))
        return [Activity(*row) for row in rows]

    async def forget(self, before_id: int) -> int:
        """Delete some of those that are older than this id; how many."""
        return await delete_some(self._pool, _FORGET, before_id, FORGOTTEN_AT_ONCE_MAX)
