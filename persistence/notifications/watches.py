"""What users watch: auctions and cards, each with its present state."""

import asyncpg
import msgspec

from persistence.auctions.reading import SUMMARY_COLUMNS, ListedAuction
from persistence.catalog.reading import CARD_COLUMNS, Card
from persistence.postgres.errors import StoreError
from persistence.postgres.guard import guard, guarded

PAGE_MAX = 100
WATCHES_MAX = 1_000


class WatchListFull(StoreError):
    """Nobody can watch so many things: stop watching some of them."""

    code = "watch_list_full"


class Watch(msgspec.Struct, frozen=True):
    """A watched auction or card, if it still exists. ``id`` is its position in the list."""

    id: int
    kind: str
    target: int
    at: int
    auction: ListedAuction | None
    card: Card | None


# One's own row of `users`: what one user adds is counted one after the other.
_LOCK = "SELECT FROM users WHERE user_id = $1 FOR NO KEY UPDATE"
_THERE = {
    "auction": "SELECT EXISTS (SELECT FROM auctions WHERE auction_id = $1)",
    "card": "SELECT EXISTS (SELECT FROM cards WHERE card_id = $1)",
}
_ADD = """
    INSERT INTO watches (user_id, kind, target_id, at)
    SELECT $1, $2, $3, $4 WHERE (SELECT count(*) FROM watches WHERE user_id = $1) < $5
    ON CONFLICT DO NOTHING RETURNING true
"""
_HAS = "SELECT EXISTS (SELECT FROM watches WHERE user_id = $1 AND kind = $2 AND target_id = $3)"
_REMOVE = "DELETE FROM watches WHERE user_id = $1 AND kind = $2 AND target_id = $3"

_PAGE = f"""
    SELECT w.watch_id, w.kind, w.target_id, w.at, {SUMMARY_COLUMNS}, {CARD_COLUMNS}, 0
    FROM watches w
    LEFT JOIN auctions ON w.kind = 'auction' AND auctions.auction_id = w.target_id
    LEFT JOIN cards c ON w.kind = 'card' AND c.card_id = w.target_id
    LEFT JOIN card_sets s ON s.set_id = c.set_id
    LEFT JOIN card_market m ON m.card_id = c.card_id
    WHERE w.user_id = $1 AND ($2::text IS NULL OR w.kind = $2) AND ($3::bigint IS NULL OR w.watch_id < $3)
    ORDER BY w.watch_id DESC LIMIT $4
"""
_AUCTION_AT, _CARD_AT = 4, 4 + len(ListedAuction.__struct_fields__)


class Watches:
    """The table ``watches``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def add(self, user: int, kind: str, target: int, now_ms: int) -> bool:
        """Watch it; watched already, nothing changes. False where there is no such thing. Raises WatchListFull."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            if not await connection.fetchval(_THERE[kind], target):
                return False
            await connection.execute(_LOCK, user)
            if await connection.fetchval(_ADD, user, kind, target, now_ms, WATCHES_MAX):
                return True
            if not await connection.fetchval(_HAS, user, kind, target):
                raise WatchListFull(f"a user watches at most {WATCHES_MAX:,} auctions and cards")
        return True

    async def remove(self, user: int, kind: str, target: int) -> None:
        """Don't watch it any more; nothing happens where it is not watched."""
        await guarded(self._pool.execute(_REMOVE, user, kind, target))

    async def page(self, user: int, kind: str | None, before: int | None, limit: int) -> list[Watch]:
        """Up to ``limit`` of what a user watches, the newest first, each with its present state."""
        rows = await guarded(self._pool.fetch(_PAGE, user, kind, before, min(limit, PAGE_MAX + 1)))
        return [_watch(tuple(row)) for row in rows]


def _watch(row: tuple[object, ...]) -> Watch:
    id_, kind, target, at = row[:_AUCTION_AT]
    auction, card = row[_AUCTION_AT:_CARD_AT], row[_CARD_AT:]
    return Watch(
        id_, kind, target, at,  # type: ignore[arg-type]
        None if auction[0] is None else ListedAuction(*auction),  # type: ignore[arg-type]
        None if card[0] is None else Card(*card),  # type: ignore[arg-type]
    )  # fmt: skip
