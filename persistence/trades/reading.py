"""Reading trades: the summary rows for lists, and the log's versions and messages."""

from collections.abc import Sequence
from typing import Any

import asyncpg
import msgspec

from domain.kinds import kind_of
from domain.trade import events
from domain.trade.state import NEGOTIATING
from domain.trade.views import awaited
from persistence.log.history import LoggedEvent
from persistence.postgres.guard import guarded

PAGE_MAX = 100
TRADE = "trade"


class ListedTrade(msgspec.Struct, frozen=True, array_like=True):
    """A trade's summary row. ``parties`` are (id, name); ``awaited`` are the ids of those who have to answer next."""

    trade: int
    proposer: int
    status: str
    version: int
    money: int
    expires_at: int
    reason: str | None
    stage: str | None
    updated_at: int
    parties: Sequence[tuple[int, str]]
    awaited: Sequence[int] = ()


_COLUMNS = """
    trade_id, proposer_id, status, version, money, expires_at, reason, stage, updated_at,
    ARRAY(SELECT (user_id, username) FROM users WHERE user_id = ANY(string_to_array(parties, ',')::bigint[]))
"""
_OWN = f"""
    SELECT {_COLUMNS} FROM trade_parties p JOIN trades t USING (trade_id)
    WHERE p.user_id = $1 AND ($2::text IS NULL OR t.status = $2) AND ($3::bigint IS NULL OR p.trade_id < $3)
    ORDER BY p.trade_id DESC LIMIT $4
"""
_DISPUTED = f"""
    SELECT {_COLUMNS} FROM trades
    WHERE status = 'disputed' AND ($1::text IS NULL OR stage = $1) AND ($2::bigint IS NULL OR trade_id > $2)
    ORDER BY trade_id LIMIT $3
"""

# The body of an event is a msgpack array whose first item is the tag: others are not read.
_TAGGED = """
    SELECT epoch, seq, at, body FROM entity_events e
    WHERE entity_id = $1 AND seq > $2
        AND EXISTS (SELECT FROM unnest($4::bytea[]) AS tag WHERE substring(body FROM 2 FOR length(tag)) = tag)
    ORDER BY seq LIMIT $3
"""
# The same of several entities.
_TAGGED_OF_ALL = """
    SELECT entity_id, body FROM entity_events e
    WHERE entity_id = ANY($1::bigint[])
        AND EXISTS (SELECT FROM unnest($2::bytea[]) AS tag WHERE substring(body FROM 2 FOR length(tag)) = tag)
    ORDER BY entity_id, seq
"""
# What decides whose turn it is.
_ANSWERS = (events.Offered, events.Countered, events.Accepted, events.Confirmed)


class TradeReading:
    """The table ``trades``, and the log. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def of_user(self, user: int, status: str | None, before: int | None, limit: int) -> list[ListedTrade]:
        """The trades that a user is a party of, the newest first. Raises Unreadable."""
        rows = await guarded(self._pool.fetch(_OWN, user, status, before, min(limit, PAGE_MAX + 1)))
        found = [ListedTrade(*row) for row in rows]
        waiting = await self._awaited([one.trade for one in found if one.status in NEGOTIATING])
        return [msgspec.structs.replace(one, awaited=waiting.get(one.trade, ())) for one in found]

    async def _awaited(self, trades: list[int]) -> dict[int, tuple[int, ...]]:
        """Who has to answer next, by trade: from the log, since summary rows do not say who has accepted."""
        if not trades:
            return {}
        kind, states = kind_of(TRADE), dict[int, Any]()
        for trade, body in await guarded(self._pool.fetch(_TAGGED_OF_ALL, trades, _tags(_ANSWERS))):
            states[trade] = kind.rules.apply(states.get(trade), kind.codec.decode_event(body))
        return {trade: awaited(state) for trade, state in states.items()}

    async def disputed(self, stage: str | None, after: int | None, limit: int) -> list[ListedTrade]:
        """Trades with an open dispute, the oldest first."""
        rows = await guarded(self._pool.fetch(_DISPUTED, stage, after, min(limit, PAGE_MAX + 1)))
        return [ListedTrade(*row) for row in rows]

    async def versions(self, trade: int, after_seq: int, limit: int) -> list[LoggedEvent]:
        """The offers of a trade, the first one first. Raises Unreadable."""
        return await self._events(trade, after_seq, limit, events.Offered, events.Countered)

    async def messages(self, trade: int, after_seq: int, limit: int) -> list[LoggedEvent]:
        """The messages of a trade, the first one first. Raises Unreadable."""
        return await self._events(trade, after_seq, limit, events.MessageSent)

    async def _events(self, trade: int, after_seq: int, limit: int, *kinds: type[msgspec.Struct]) -> list[LoggedEvent]:
        rows = await guarded(self._pool.fetch(_TAGGED, trade, after_seq, min(limit, PAGE_MAX + 1), _tags(kinds)))
        kind = kind_of(TRADE)
        found = [(row, kind.codec.decode_event(row[3])) for row in rows]
        return [LoggedEvent(row[0], row[1], row[2], event, *kind.rules.public_event(event)) for row, event in found]


def _tags(kinds: Sequence[type[msgspec.Struct]]) -> list[bytes]:
    return [msgspec.msgpack.encode(kind.__struct_config__.tag) for kind in kinds]
