"""Who follows whom, and who has muted whom."""

import asyncpg
import msgspec

from persistence.postgres.errors import StoreError
from persistence.postgres.guard import guard, guarded

PAGE_MAX = 100
FOLLOWING_MAX = 1_000
MUTES_MAX = 1_000


class FollowRefused(StoreError):
    """One of the users has blocked the other."""

    code = "user_blocked"


class FollowsFull(StoreError):
    """Nobody follows or mutes so many users."""

    code = "follows_full"


class Follow(msgspec.Struct, frozen=True):
    """A user who follows or is followed, and since when (ms). ``id`` is the position in the list."""

    id: int
    user: int
    username: str
    at: int


_LOCK = "SELECT lock_pair($1, $2)"
_BLOCKED = "SELECT EXISTS (SELECT FROM user_blocks WHERE (user_id, blocked_id) IN (($1::bigint, $2::bigint), ($2, $1)))"
_FOLLOWS = "SELECT EXISTS (SELECT FROM follows WHERE follower_id = $1 AND followed_id = $2)"
_FOLLOW = """
    INSERT INTO follows (follower_id, followed_id, at)
    SELECT $1, $2, $3 WHERE (SELECT count(*) FROM follows WHERE follower_id = $1) < $4 RETURNING true
"""
_UNFOLLOW = "DELETE FROM follows WHERE follower_id = $1 AND followed_id = $2"
_MUTE = """
    INSERT INTO user_mutes (user_id, muted_id, at)
    SELECT $1, $2, $3 WHERE (SELECT count(*) FROM user_mutes WHERE user_id = $1) < $4
    ON CONFLICT (user_id, muted_id) DO UPDATE SET at = user_mutes.at RETURNING true
"""
_MUTES = "SELECT EXISTS (SELECT FROM user_mutes WHERE user_id = $1 AND muted_id = $2)"
_MUTED = """
    SELECT m.muted_id, m.muted_id, u.username, m.at FROM user_mutes m JOIN users u ON u.user_id = m.muted_id
    WHERE m.user_id = $1 AND ($2::bigint IS NULL OR m.muted_id > $2) ORDER BY m.muted_id LIMIT $3
"""
_UNMUTE = "DELETE FROM user_mutes WHERE user_id = $1 AND muted_id = $2"


def _page(of: str, other: str) -> str:
    return f"""
        SELECT f.follow_id, f.{other}, u.username, f.at FROM follows f JOIN users u ON u.user_id = f.{other}
        WHERE f.{of} = $1 AND ($2::bigint IS NULL OR f.follow_id < $2) ORDER BY f.follow_id DESC LIMIT $3
    """


_FOLLOWING, _FOLLOWERS = _page("follower_id", "followed_id"), _page("followed_id", "follower_id")


class Follows:
    """The tables ``follows`` and ``user_mutes``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def follow(self, user: int, followed: int, now_ms: int) -> None:
        """Nothing happens where they are followed already. Raises FollowRefused, FollowsFull."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_LOCK, user, followed)
            if await connection.fetchval(_BLOCKED, user, followed):
                raise FollowRefused("one of you has blocked the other")
            if await connection.fetchval(_FOLLOWS, user, followed):
                return
            if not await connection.fetchval(_FOLLOW, user, followed, now_ms, FOLLOWING_MAX):
                raise FollowsFull(f"a user follows at most {FOLLOWING_MAX:,} others")

    async def unfollow(self, user: int, followed: int) -> None:
        """Nothing happens where they are not followed."""
        await guarded(self._pool.execute(_UNFOLLOW, user, followed))

    async def following(self, user: int, before: int | None, limit: int) -> list[Follow]:
        """Whom a user follows, the newest first."""
        rows = await guarded(self._pool.fetch(_FOLLOWING, user, before, min(limit, PAGE_MAX + 1)))
        return [Follow(*row) for row in rows]

    async def followers(self, user: int, before: int | None, limit: int) -> list[Follow]:
        """Who follows a user, the newest first."""
        rows = await guarded(self._pool.fetch(_FOLLOWERS, user, before, min(limit, PAGE_MAX + 1)))
        return [Follow(*row) for row in rows]

    async def mute(self, user: int, muted: int, now_ms: int) -> None:
        """No notifications of what they list. Raises FollowsFull."""
        if await guarded(self._pool.fetchval(_MUTES, user, muted)):
            return
        if not await guarded(self._pool.fetchval(_MUTE, user, muted, now_ms, MUTES_MAX)):
            raise FollowsFull(f"a user mutes at most {MUTES_MAX:,} others")

    async def muted(self, user: int, after: int | None, limit: int) -> list[Follow]:
        """Whom a user has muted, by id; ``id`` is the muted user's."""
        rows = await guarded(self._pool.fetch(_MUTED, user, after, min(limit, PAGE_MAX + 1)))
        return [Follow(*row) for row in rows]

    async def unmute(self, user: int, muted: int) -> None:
        """Nothing happens where they are not muted."""
        await guarded(self._pool.execute(_UNMUTE, user, muted))
