"""What users are open to trade and what they want, the links that they share, and how all of this fits together."""

import secrets
from collections.abc import Sequence

import asyncpg
import msgspec

from domain.errors import COPY_NOT_FOUND, NOT_YOUR_COPY, TRADE_LIST_FULL
from domain.trade.matching import Match
from domain.trade.terms import Condition
from persistence.postgres.errors import StoreError
from persistence.postgres.guard import guard, guarded

HAVES_MAX = 1_000
WANTS_MAX = 1_000
LINKS_MAX = 100
PAGE_MAX = 100
# Of each step of the search for trades.
MATCHES_MAX = 2_000
PARTNERS_MAX = 200
CURRENCY = "USDC"
TOKEN_BYTES = 18


class TradeListFull(StoreError):
    """Nobody can keep so many of these: remove some."""

    code = TRADE_LIST_FULL


class Have(msgspec.Struct, frozen=True):
    """A copy that its owner is open to trade."""

    copy: int
    card: int
    name: str
    set_code: str
    rarity: str
    at: int


class Want(msgspec.Struct, frozen=True):
    """What a user wants. ``id`` is its position in the list."""

    id: int
    condition: Condition
    at: int


class Link(msgspec.Struct, frozen=True):
    """A trade link. ``copies`` that are not its user's any more, or not free, are left out."""

    id: int
    token: str
    user: int
    username: str
    copies: tuple[int, ...]
    message: str
    at: int
    expires_at: int


# One's own row of `users`: what one user adds is counted one after the other.
_LOCK = "SELECT FROM users WHERE user_id = $1 FOR NO KEY UPDATE"
_OWNER = "SELECT owner_id FROM copies WHERE copy_id = $1"
# Nobody sees them: without this they would fill the list of whoever trades much.
_FORGET_MOVED = """
    DELETE FROM trade_haves h USING copies c WHERE h.user_id = $1 AND c.copy_id = h.copy_id AND c.owner_id <> $1
"""
# What is in a list already can be added again also where that is full.
_ADD_HAVE = """
    INSERT INTO trade_haves (copy_id, user_id, card_id, set_id, rarity, at)
    SELECT copy_id, $2, card_id, set_id, rarity, $3 FROM copies JOIN cards USING (card_id)
    WHERE copy_id = $1 AND owner_id = $2 AND ((SELECT count(*) FROM trade_haves WHERE user_id = $2) < $4
        OR EXISTS (SELECT FROM trade_haves WHERE copy_id = $1 AND user_id = $2))
    ON CONFLICT (copy_id) DO UPDATE SET user_id = excluded.user_id, at = excluded.at RETURNING true
"""
_REMOVE_HAVE = "DELETE FROM trade_haves WHERE copy_id = $1 AND user_id = $2"
_HAVES = """
    SELECT h.copy_id, h.card_id, k.name, s.code, k.rarity, h.at
    FROM trade_haves h JOIN copies c ON c.copy_id = h.copy_id AND c.owner_id = h.user_id AND c.place = 'free'
    JOIN cards k ON k.card_id = h.card_id JOIN card_sets s ON s.set_id = k.set_id
    WHERE h.user_id = $1 AND ($2::bigint IS NULL OR h.copy_id < $2) ORDER BY h.copy_id DESC LIMIT $3
"""
_ADD_WANT = """
    INSERT INTO trade_wants (want_id, user_id, card_id, set_id, rarity, at)
    SELECT $1, $2, $3, $4, $5, $6 WHERE (SELECT count(*) FROM trade_wants WHERE user_id = $2) < $7
        OR EXISTS (SELECT FROM trade_wants WHERE user_id = $2
            AND (card_id, set_id, rarity) IS NOT DISTINCT FROM ($3::bigint, $4::bigint, $5::text))
    ON CONFLICT (user_id, card_id, set_id, rarity) DO UPDATE SET at = trade_wants.at
    RETURNING want_id, card_id, set_id, rarity, at
"""
_EXISTS = """
    SELECT ($1::bigint IS NULL OR EXISTS (SELECT FROM cards WHERE card_id = $1))
        AND ($2::bigint IS NULL OR EXISTS (SELECT FROM card_sets WHERE set_id = $2))
"""
_REMOVE_WANT = "DELETE FROM trade_wants WHERE want_id = $1 AND user_id = $2"
_WANTS = """
    SELECT want_id, card_id, set_id, rarity, at FROM trade_wants
    WHERE user_id = $1 AND ($2::bigint IS NULL OR want_id < $2) ORDER BY want_id DESC LIMIT $3
"""
_FORGET_EXPIRED = "DELETE FROM trade_links WHERE user_id = $1 AND expires_at <= $2"
_ADD_LINK = """
    INSERT INTO trade_links (link_id, token, user_id, copies, message, at, expires_at)
    SELECT $1, $2, $3, $4, $5, $6, $7
    WHERE (SELECT count(*) FROM trade_links WHERE user_id = $3) < $8
        OR EXISTS (SELECT FROM trade_links WHERE link_id = $1)
    ON CONFLICT (link_id) DO UPDATE SET at = trade_links.at RETURNING true
"""
_LINKS = """
    SELECT link_id, token, user_id, username,
        ARRAY(SELECT copy_id FROM copies c WHERE c.copy_id = ANY(l.copies) AND c.owner_id = l.user_id
            AND c.place = 'free' ORDER BY copy_id), message, at, expires_at
    FROM trade_links l JOIN users USING (user_id)
"""
_LINK = f"{_LINKS} WHERE token = $1 AND expires_at > $2"
_LINKS_OF = f"{_LINKS} WHERE user_id = $1 AND expires_at > $2 ORDER BY link_id DESC"
_REMOVE_LINK = "DELETE FROM trade_links WHERE token = $1 AND user_id = $2"

# Up to $3 matches from these givers to these receivers, NULL for anybody; wants of single cards come first.
_MATCHES = """
    SELECT m.giver, m.receiver, m.copy_id, m.card_id, coalesce(p.last_price, k.lowest_price) FROM (
        SELECT t.* FROM trade_matches t JOIN copies c USING (copy_id)
        WHERE t.giver <> t.receiver AND c.owner_id = t.giver AND c.place = 'free'
            AND ($1::bigint[] IS NULL OR t.giver = ANY($1)) AND ($2::bigint[] IS NULL OR t.receiver = ANY($2))
            AND NOT EXISTS (SELECT FROM user_blocks b
                WHERE (b.user_id, b.blocked_id) IN ((t.giver, t.receiver), (t.receiver, t.giver)))
            AND NOT EXISTS (SELECT FROM trade_settings s
                WHERE s.user_id IN (t.giver, t.receiver) AND NOT s.open_to_trade)
        LIMIT $3
    ) AS m LEFT JOIN card_prices p ON p.card_id = m.card_id AND p.currency = $4
    LEFT JOIN card_market k ON k.card_id = m.card_id AND k.open_auctions > 0
"""


class TradeLists:
    """The tables of this module's migration. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def add_have(self, user: int, copy: int, now_ms: int) -> str | None:
        """Be open to trade a copy of one's own. Returns the code of the error, or None. Raises TradeListFull."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_LOCK, user)
            owner = await connection.fetchval(_OWNER, copy)
            if owner != user:
                return COPY_NOT_FOUND if owner is None else NOT_YOUR_COPY
            await connection.execute(_FORGET_MOVED, user)
            if not await connection.fetchval(_ADD_HAVE, copy, user, now_ms, HAVES_MAX):
                raise TradeListFull(f"a user is open to trade at most {HAVES_MAX:,} copies")
        return None

    async def remove_have(self, user: int, copy: int) -> None:
        """Nothing happens where it is not in the list."""
        await guarded(self._pool.execute(_REMOVE_HAVE, copy, user))

    async def haves(self, user: int, before: int | None, limit: int) -> list[Have]:
        """The free copies that a user is open to trade, the newest first."""
        rows = await guarded(self._pool.fetch(_HAVES, user, before, min(limit, PAGE_MAX + 1)))
        return [Have(*row) for row in rows]

    async def add_want(self, user: int, want: int, condition: Condition, now_ms: int) -> Want:
        """Want any copy that meets the condition; one that is there already stays. Raises TradeListFull."""
        asked = (condition.card, condition.card_set, condition.rarity)
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_LOCK, user)
            row = await connection.fetchrow(_ADD_WANT, want, user, *asked, now_ms, WANTS_MAX)
        if row is None:
            raise TradeListFull(f"a user wants at most {WANTS_MAX:,} things")
        return _want(row)

    async def exists(self, card: int | None, card_set: int | None) -> bool:
        """Whether there are this card and this set, where they are given."""
        found: bool = await guarded(self._pool.fetchval(_EXISTS, card, card_set))
        return found

    async def remove_want(self, user: int, want: int) -> None:
        """Nothing happens where there is no such want."""
        await guarded(self._pool.execute(_REMOVE_WANT, want, user))

    async def wants(self, user: int, before: int | None, limit: int) -> list[Want]:
        """What a user wants, the newest first."""
        rows = await guarded(self._pool.fetch(_WANTS, user, before, min(limit, PAGE_MAX + 1)))
        return [_want(row) for row in rows]

    async def add_link(
        self, user: int, link: int, copies: Sequence[int], message: str, now_ms: int, expires_at: int
    ) -> str:
        """Make a link, and return its token; again with the same id: the same. Raises TradeListFull."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_LOCK, user)
            await connection.execute(_FORGET_EXPIRED, user, now_ms)
            values = (link, token, user, list(copies), message, now_ms, expires_at, LINKS_MAX)
            if not await connection.fetchval(_ADD_LINK, *values):
                raise TradeListFull(f"a user has at most {LINKS_MAX} trade links")
            made: str = await connection.fetchval("SELECT token FROM trade_links WHERE link_id = $1", link)
        return made

    async def link(self, token: str, now_ms: int) -> Link | None:
        """A link that has not expired."""
        row = await guarded(self._pool.fetchrow(_LINK, token, now_ms))
        return None if row is None else _link(row)

    async def links(self, user: int, now_ms: int) -> list[Link]:
        """The links of a user that have not expired, the newest first."""
        return [_link(row) for row in await guarded(self._pool.fetch(_LINKS_OF, user, now_ms))]

    async def remove_link(self, user: int, token: str) -> None:
        """Nothing happens where there is no such link."""
        await guarded(self._pool.execute(_REMOVE_LINK, token, user))

    async def matches_around(self, user: int) -> list[Match]:
        """What ``domain.trade.matching.proposals`` needs: who could give whom what, up to two steps from this user."""
        given = await self._matches([user], None)
        wanted = await self._matches(None, [user])
        receivers = list(dict.fromkeys(match.receiver for match in given))[:PARTNERS_MAX]
        givers = list(dict.fromkeys(match.giver for match in wanted))[:PARTNERS_MAX]
        between = await self._matches(receivers, givers) if receivers and givers else []
        return [*given, *wanted, *between]

    async def _matches(self, givers: list[int] | None, receivers: list[int] | None) -> list[Match]:
        rows = await guarded(self._pool.fetch(_MATCHES, givers, receivers, MATCHES_MAX, CURRENCY))
        return [Match(*row) for row in rows]


def _want(row: asyncpg.Record) -> Want:
    return Want(row[0], Condition(row[1], row[2], row[3]), row[4])


def _link(row: asyncpg.Record) -> Link:
    id_, token, user, username, copies, message, at, expires_at = row
    return Link(id_, token, user, username, tuple(copies), message, at, expires_at)
