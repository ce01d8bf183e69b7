"""What a gateway looks up before it sends a command about a trade: one query for all of it."""

from collections.abc import Sequence

import asyncpg
import msgspec

from domain.log.codec import command_key
from persistence.postgres.batched_reads import BatchedReads
from persistence.postgres.guard import guarded

# Users may not be locked out by a count that is a moment old: the limit is about orders of magnitude.
_FACTS = """
    SELECT json_build_object(
        'users', (SELECT json_agg(json_build_array(u.user_id, u.username, coalesce(s.open_to_trade, true),
                coalesce(s.cool_down_ms, 0)))
            FROM users u LEFT JOIN trade_settings s USING (user_id) WHERE u.user_id = ANY($1)),
        'copies', (SELECT json_agg(json_build_array(c.copy_id, c.owner_id, c.place, c.card_id, k.set_id, k.rarity))
            FROM copies c JOIN cards k USING (card_id) WHERE c.copy_id = ANY($2)),
        'blocked', EXISTS (SELECT FROM user_blocks WHERE user_id = ANY($1) AND blocked_id = ANY($1)),
        'open_offers', (SELECT count(*) FROM (
            SELECT FROM trades WHERE proposer_id = $3 AND status = 'open' LIMIT $4
        ) AS open)
    )
"""
_COOL_DOWNS = "SELECT user_id, cool_down_ms FROM trade_settings WHERE user_id = ANY($1::bigint[])"
_KNOWN = "SELECT EXISTS (SELECT FROM entity_events WHERE entity_id = $1 AND command_key = $2)"


class TradeUser(msgspec.Struct, frozen=True, array_like=True):
    """A user as a party of a trade."""

    user: int
    name: str
    open_to_trade: bool
    cool_down_ms: int


class TradeCopy(msgspec.Struct, frozen=True, array_like=True):
    """A copy, and what conditions are about."""

    copy: int
    owner: int
    place: str
    card: int
    card_set: int
    rarity: str


class TradeFacts(msgspec.Struct, frozen=True):
    """``blocked``: one of the users has blocked another. ``open_offers``: of the proposer, up to the limit asked for.

    Users and copies that don't exist are missing.
    """

    users: list[TradeUser] | None
    copies: list[TradeCopy] | None
    blocked: bool
    open_offers: int

    def user(self, user: int) -> TradeUser | None:
        """The user with this id."""
        return next((one for one in self.users or () if one.user == user), None)


_decode = msgspec.json.Decoder(TradeFacts).decode


class TradeChecks:
    """Look-ups for the checks. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._cool_downs = BatchedReads(self._read_cool_downs)

    async def facts(
        self, users: Sequence[int], copies: Sequence[int], proposer: int | None = None, offers_max: int = 0
    ) -> TradeFacts:
        """About these users and copies. The open offers of the proposer are counted up to ``offers_max``."""
        text = await guarded(self._pool.fetchval(_FACTS, list(users), list(copies), proposer, offers_max))
        return _decode(text)

    async def cool_down_ms(self, user: int) -> int:
        """The cool-down that a user has set for themself."""
        return await self._cool_downs.get(user) or 0

    async def _read_cool_downs(self, users: Sequence[int]) -> dict[int, int]:
        rows = await guarded(self._pool.fetch(_COOL_DOWNS, users))
        return {row[0]: row[1] for row in rows}

    async def is_known(self, trade: int, user: int, key: str) -> bool:
        """Whether a command of this user with this key is in the trade's log."""
        found: bool = await guarded(self._pool.fetchval(_KNOWN, trade, command_key(user, key)))
        return found
