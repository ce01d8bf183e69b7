"""Reading auctions: the summary rows for lists and look-ups, and the log's bids by range."""

from collections.abc import Sequence
from typing import Any

import asyncpg
import msgspec

from domain.auction.events import BidEvent
from domain.kinds import kind_of
from persistence.auctions.summary import AUCTIONS
from persistence.log.history import EntityHistory
from persistence.postgres.guard import guarded

PAGE_MAX = 100
BIDS_MAX = 5_000
BIDDERS_MAX = 5_000
AUCTION = "auction"


class AuctionFilter(msgspec.Struct, frozen=True):
    """A filter and a position. ``after`` is (ends_at, auction) in the order of ends, else (0, auction).

    ``card``: only auctions that sell a copy of it.
    """

    status: str | None = None
    seller: int | None = None
    card: int | None = None
    ending: bool = False
    after: tuple[int, int] | None = None


class ListedAuction(msgspec.Struct, frozen=True, array_like=True):
    """An auction's summary row, with the copies that are sold, and whether they have been paid for."""

    auction: int
    seller: int
    seller_name: str
    title: str
    format: str
    status: str
    placement: str
    price: int
    minimum: int
    leader: int | None
    leader_name: str | None
    winner: int | None
    bids: int
    reserve: str
    buy_now: int | None
    starts_at: int
    ends_at: int
    closed_reason: str | None
    epoch: int
    seq: int
    copies: Sequence[int] = ()
    settled: bool = False


class LoggedBid(msgspec.Struct, frozen=True):
    """A bid with its place in the log. Holds the bidder's hidden maximum."""

    epoch: int
    seq: int
    at: int
    event: BidEvent


# A sale that was given up is done, too, and nobody has paid.
SUMMARY_COLUMNS = (
    f"{AUCTIONS.key}, {', '.join(AUCTIONS.names)}, epoch, seq,"
    " ARRAY(SELECT copy_id FROM listed_copies l WHERE l.auction_id = auctions.auction_id ORDER BY copy_id),"
    " settlement IN ('paid', 'done') AND winner_id IS NOT NULL AND coalesce((SELECT s.outcome <> 'cancelled'"
    " FROM settlements s WHERE s.auction_id = auctions.auction_id AND s.round = 1), true)"
)
_SUMMARY = f"SELECT {SUMMARY_COLUMNS} FROM auctions"

# A statement of its own: a plan that has to suit both would not begin with the few auctions of one card.
_OF_CARD = "AND auction_id IN (SELECT auction_id FROM listed_copies WHERE card_id = $5)"

_NEWEST = """{summary}
    WHERE ($1::text IS NULL OR status = $1) AND ($2::bigint IS NULL OR seller_id = $2)
        AND ($3::bigint IS NULL OR auction_id < $3) {of_card}
    ORDER BY auction_id DESC LIMIT $4
"""

# Only what is open has an end that comes: `status = 'open'` lets the partial index serve.
_ENDING = """{summary}
    WHERE status = 'open' AND ($1::bigint IS NULL OR seller_id = $1)
        AND ($2::bigint IS NULL OR (ends_at, auction_id) > ($2, $3::bigint)) {of_card}
    ORDER BY ends_at, auction_id LIMIT $4
"""

# Only bids have keys that clients made.
_BIDS = """
    SELECT epoch, seq, at, body FROM entity_events
    WHERE entity_id = $1 AND seq > $2 AND command_key IS NOT NULL ORDER BY seq LIMIT $3
"""
_NEWEST_BIDS = """
    SELECT epoch, seq, at, body FROM entity_events
    WHERE entity_id = $1 AND ($2::bigint IS NULL OR seq < $2) AND command_key IS NOT NULL ORDER BY seq DESC LIMIT $3
"""


class AuctionListing:
    """The table ``auctions``, which follows the log within a second. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def get(self, auction: int) -> ListedAuction | None:
        """One auction."""
        row = await guarded(self._pool.fetchrow(f"{_SUMMARY} WHERE auction_id = $1", auction))
        return None if row is None else ListedAuction(*row)

    async def page(self, wanted: AuctionFilter, limit: int) -> list[ListedAuction]:
        """Up to ``limit`` auctions: the newest first, or, of the open ones, those that end soonest."""
        limit = min(limit, PAGE_MAX + 1)
        ends_at, auction = wanted.after or (None, None)
        given: tuple[Any, ...]
        if wanted.ending:
            sql, given = _ENDING, (wanted.seller, ends_at, auction, limit)
        else:
            sql, given = _NEWEST, (wanted.status, wanted.seller, auction, limit)
        of_card, card = ("", ()) if wanted.card is None else (_OF_CARD, (wanted.card,))
        rows = await guarded(self._pool.fetch(sql.format(summary=_SUMMARY, of_card=of_card), *given, *card))
        return [ListedAuction(*row) for row in rows]


class AuctionHistory(EntityHistory):
    """The log of auctions. Every method may raise StoreUnavailable, and Unreadable for a damaged row."""

    async def bids(self, auction: int, after_seq: int, limit: int) -> list[LoggedBid]:
        """The next bids of an auction, in order, as they are: with hidden amounts."""
        return await self._decoded(_BIDS, auction, after_seq, limit)

    async def newest_bids(self, auction: int, before_seq: int | None, limit: int) -> list[LoggedBid]:
        """As ``bids``, the newest first: those before this one."""
        return await self._decoded(_NEWEST_BIDS, auction, before_seq, limit)

    async def _decoded(self, query: str, auction: int, seq: int | None, limit: int) -> list[LoggedBid]:
        rows = await guarded(self._pool.fetch(query, auction, seq, min(limit, BIDS_MAX)))
        decode = kind_of(AUCTION).codec.decode_event
        decoded = ((row, decode(row[3])) for row in rows)
        return [LoggedBid(row[0], row[1], row[2], event) for row, event in decoded if isinstance(event, BidEvent)]

    async def bidders(self, auction: int) -> set[int]:
        """Those who have bid in an auction, BIDDERS_MAX at the most: the first ones."""
        found, after = set[int](), 0
        while len(found) < BIDDERS_MAX and (bids := await self.bids(auction, after, BIDS_MAX)):
            found.update(bid.event.bidder for bid in bids)
            after = bids[-1].seq
        return found
