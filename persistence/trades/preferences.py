"""What users have set for their trades, and whom they have blocked."""

import asyncpg
import msgspec

from persistence.postgres.errors import StoreError
from persistence.postgres.guard import guarded

PAGE_MAX = 100
BLOCKS_MAX = 10_000

_SETTINGS = "SELECT cool_down_ms, open_to_trade FROM trade_settings WHERE user_id = $1"
_SET = """
    INSERT INTO trade_settings (user_id, cool_down_ms, open_to_trade) VALUES ($1, $2, $3)
    ON CONFLICT (user_id) DO UPDATE SET cool_down_ms = excluded.cool_down_ms, open_to_trade = excluded.open_to_trade
"""
_BLOCK = """
    INSERT INTO user_blocks (user_id, blocked_id, at)
    SELECT $1, $2, $3 WHERE (SELECT count(*) FROM user_blocks WHERE user_id = $1) < $4 ON CONFLICT DO NOTHING
    RETURNING true
"""
_IS_BLOCKED = "SELECT EXISTS (SELECT FROM user_blocks WHERE user_id = $1 AND blocked_id = $2)"
_EITHER_BLOCKED = """
    SELECT EXISTS (SELECT FROM user_blocks WHERE (user_id, blocked_id) IN (($1::bigint, $2::bigint), ($2, $1)))
"""
_UNBLOCK = "DELETE FROM user_blocks WHERE user_id = $1 AND blocked_id = $2"
_BLOCKS = """
    SELECT blocked_id, username, at FROM user_blocks b JOIN users u ON u.user_id = b.blocked_id
    WHERE b.user_id = $1 AND ($2::bigint IS NULL OR blocked_id > $2) ORDER BY blocked_id LIMIT $3
"""


class BlocksFull(StoreError):
    """Nobody can block so many users."""

    code = "trade_list_full"


class TradeSettings(msgspec.Struct, frozen=True):
    """A user's own cool-down, and whether others may make them offers."""

    cool_down_ms: int = 0
    open_to_trade: bool = True


class Block(msgspec.Struct, frozen=True):
    """A blocked user, and since when (ms)."""

    user: int
    username: str
    at: int


class TradePreferences:
    """The tables ``trade_settings`` and ``user_blocks``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def settings(self, user: int) -> TradeSettings:
        """What a user has set, or the defaults."""
        row = await guarded(self._pool.fetchrow(_SETTINGS, user))
        return TradeSettings() if row is None else TradeSettings(*row)

    async def set(self, user: int, settings: TradeSettings) -> None:
        """Replace what a user has set."""
        await guarded(self._pool.execute(_SET, user, settings.cool_down_ms, settings.open_to_trade))

    async def block(self, user: int, blocked: int, now_ms: int) -> None:
        """Block a user; nothing happens where they are blocked already. Raises BlocksFull."""
        added = await guarded(self._pool.fetchval(_BLOCK, user, blocked, now_ms, BLOCKS_MAX))
        if not added and not await guarded(self._pool.fetchval(_IS_BLOCKED, user, blocked)):
            raise BlocksFull(f"a user blocks at most {BLOCKS_MAX:,} others")

    async def blocked(self, user: int, other: int) -> bool:
        """Whether one of these two has blocked the other."""
        found: bool = await guarded(self._pool.fetchval(_EITHER_BLOCKED, user, other))
        return found

    async def unblock(self, user: int, blocked: int) -> None:
        """Nothing happens where they are not blocked."""
        await guarded(self._pool.execute(_UNBLOCK, user, blocked))

    async def blocks(self, user: int, after: int | None, limit: int) -> list[Block]:
        """Whom a user has blocked, by id."""
        return [Block(*row) for row in await guarded(self._pool.fetch(_BLOCKS, user, after, min(limit, PAGE_MAX + 1)))]
