"""Reads everything about a user, table by table, as of one moment."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.auction.events import BidEvent
from domain.ids import id_text
from domain.kinds import kind_of
from persistence.accounts.personal_tables import HIDDEN, PERSONAL
from persistence.identity.emails import ADDRESS_COLUMNS, ALL_ADDRESSES, address_or_none_in
from persistence.keys.emails import EmailCipher
from persistence.postgres.guard import guard

ROWS_AT_ONCE = 1_000
STATEMENT_TIMEOUT_S = 120.0
LEDGER = ("currency", "seq", "at", "action", "kind", "about", "amount", "size", "posted", "held")
# Each has a file of its own form.
BY_HAND = ("ledger_transfers", "entity_events")

# Names of columns with ids that don't end with _id.
_IDS = frozenset(column for table in PERSONAL.values() for column in table.columns) | {"locked_by", "about"}
_LEDGER = """
    SELECT a.currency, e.seq, e.at, e.action, e.kind, e.about, e.amount, e.size, e.posted, e.held
    FROM ledger_accounts a JOIN ledger_entries e USING (account_id) WHERE a.owner_id = $1 ORDER BY a.account_id, e.seq
"""
# Tables with addresses, which may be encrypted.
_WITH_ADDRESS = frozenset(where.table for where in ALL_ADDRESSES)
# Bids have no table: they are read from the logs of the auctions that the user has bid in.
_BIDS = """
    SELECT e.entity_id, e.seq, e.at, e.body FROM (
        SELECT auction_id FROM auction_bidders WHERE user_id = $1
        UNION SELECT auction_id FROM auctions WHERE leader_id = $1 OR winner_id = $1
    ) AS mine JOIN entity_events e ON e.entity_id = mine.auction_id AND e.command_key IS NOT NULL
    ORDER BY e.entity_id, e.seq
"""


class UserData:
    """What the database has about a user, within one transaction."""

    def __init__(self, connection: PoolConnectionProxy, user: int, emails: EmailCipher | None = None) -> None:
        """``emails`` reads an encrypted address; without it the address is empty."""
        self._connection = connection
        self._user = user
        self._emails = emails

    async def rows(self, table: str) -> AsyncIterator[dict[str, Any]]:
        """The rows of a table that are about the user, without secrets; ids as clients know them."""
        address = f", {ADDRESS_COLUMNS}" if table in _WITH_ADDRESS else ""
        query = f"SELECT (to_jsonb(t) - $2::text[])::text{address} FROM {table} t WHERE {PERSONAL[table].where()}"
        async for row in self._cursor(query, list(HIDDEN)):
            shown = {name: _shown(name, value) for name, value in msgspec.json.decode(row[0]).items()}
            yield shown | {"email": address_or_none_in(row, self._emails)} if address else shown

    async def ledger(self) -> AsyncIterator[tuple[Any, ...]]:
        """The entries of the user's accounts: the columns LEDGER, amounts in base units."""
        async for row in self._cursor(_LEDGER):
            yield tuple(_shown(name, value) for name, value in zip(LEDGER, row, strict=True))

    async def bids(self) -> AsyncIterator[dict[str, Any]]:
        """The user's bids, with their maxima, in auctions that have ended and in those that the user leads."""
        decode = kind_of("auction").codec.decode_event
        async for auction, seq, at, body in self._cursor(_BIDS):
            event = decode(body)
            if isinstance(event, BidEvent) and event.bidder == self._user:
                yield {
                    "auction_id": id_text(auction), "seq": seq, "at": at, "amount": event.maximum, "price": event.price,
                }  # fmt: skip

    def _cursor(self, query: str, *arguments: object) -> Any:
        return self._connection.cursor(
            query, self._user, *arguments, prefetch=ROWS_AT_ONCE, timeout=STATEMENT_TIMEOUT_S
        )


@asynccontextmanager
async def user_data(pool: asyncpg.Pool, emails: EmailCipher | None, user: int) -> AsyncIterator[UserData]:
    """Everything about a user, as of now. Raises StoreUnavailable."""
    async with (
        guard(),
        pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        yield UserData(connection, user, emails)


def _shown(name: str, value: Any) -> Any:
    is_id = name in _IDS or name.endswith("_id") or name in ("copies_in_link",)
    return id_text(value) if is_id and isinstance(value, int) and value >= 0 else value
