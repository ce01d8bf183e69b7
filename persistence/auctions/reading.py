"""Reading auctions: the read model for lists and look-ups, and the log's events by range."""

from collections.abc import Sequence

import asyncpg
import msgspec

from domain.auction.events import BidEvent, Event
from domain.log.codec import decode_event
from persistence.log.event_log import HeadRow
from persistence.postgres.guard import guarded

PAGE_MAX = 100
EVENTS_MAX = 5_000


class AuctionFilter(msgspec.Struct, frozen=True):
    """Which auctions, and after which. ``after`` is (ends_at, auction) for those ending soon, else (0, auction)."""

    status: str | None = None
    seller: int | None = None
    ending: bool = False
    after: tuple[int, int] | None = None


class ListedAuction(HeadRow, frozen=True, array_like=True):
    """A row of the read model, with the copies that are sold, and whether they have been paid for."""

    copies: Sequence[int] = ()
    settled: bool = False


class LoggedEvent(msgspec.Struct, frozen=True):
    """An event with its place in the log."""

    epoch: int
    seq: int
    at: int
    event: Event


class LoggedBid(msgspec.Struct, frozen=True):
    """A bid with its place in the log. Holds the bidder's hidden maximum."""

    epoch: int
    seq: int
    at: int
    event: BidEvent


HEAD_COLUMNS = (
    "auction_id, slot, seller_id, seller_name, title, format, status, placement, price, minimum, leader_id,"
    " leader_name, winner_id, bids, reserve, buy_now, starts_at, ends_at, closed_reason, due_at, epoch, seq,"
    " ARRAY(SELECT copy_id FROM listed_copies l WHERE l.auction_id = auctions.auction_id ORDER BY copy_id),"
    " settlement IN ('paid', 'done') AND winner_id IS NOT NULL"
)
_HEAD = f"SELECT {HEAD_COLUMNS} FROM auctions"

_NEWEST = f"""{_HEAD}
    WHERE ($1::text IS NULL OR status = $1) AND ($2::bigint IS NULL OR seller_id = $2)
        AND ($3::bigint IS NULL OR auction_id < $3)
    ORDER BY auction_id DESC LIMIT $4
"""

# Only what is open has an end that comes: `status = 'open'` lets the partial index serve.
_ENDING = f"""{_HEAD}
    WHERE status = 'open' AND ($1::bigint IS NULL OR seller_id = $1)
        AND ($2::bigint IS NULL OR (ends_at, auction_id) > ($2, $3::bigint))
    ORDER BY ends_at, auction_id LIMIT $4
"""

_EVENTS = """
    SELECT epoch, seq, at, body FROM auction_events WHERE auction_id = $1 AND seq > $2 ORDER BY seq LIMIT $3
"""

# Only bids have keys that clients made.
_BIDS = """
    SELECT epoch, seq, at, body FROM auction_events
    WHERE auction_id = $1 AND seq > $2 AND command_key IS NOT NULL ORDER BY seq LIMIT $3
"""

# Every auction that has rows or should have: one index look-up for each, however many rows it has.
_AUCTIONS = """
    WITH RECURSIVE logged AS (
        SELECT min(auction_id) AS auction_id FROM auction_events WHERE auction_id > $1
        UNION ALL
        SELECT (SELECT min(e.auction_id) FROM auction_events e WHERE e.auction_id > logged.auction_id)
        FROM logged WHERE logged.auction_id IS NOT NULL
    )
    SELECT auction_id FROM (
        (SELECT auction_id FROM logged WHERE auction_id IS NOT NULL LIMIT $2)
        UNION
        (SELECT auction_id FROM auctions WHERE auction_id > $1 ORDER BY auction_id LIMIT $2)
    ) AS both_of_them ORDER BY auction_id LIMIT $2
"""


class AuctionListing:
    """The table ``auctions``, which follows the log within a second. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def get(self, auction: int) -> ListedAuction | None:
        """One auction."""
        row = await guarded(self._pool.fetchrow(f"{_HEAD} WHERE auction_id = $1", auction))
        return None if row is None else ListedAuction(*row)

    async def page(self, wanted: AuctionFilter, limit: int) -> list[ListedAuction]:
        """Up to ``limit`` auctions: the newest first, or, of the open ones, those that end soonest."""
        limit = min(limit, PAGE_MAX + 1)
        ends_at, auction = wanted.after or (None, None)
        if wanted.ending:
            rows = await guarded(self._pool.fetch(_ENDING, wanted.seller, ends_at, auction, limit))
        else:
            rows = await guarded(self._pool.fetch(_NEWEST, wanted.status, wanted.seller, auction, limit))
        return [ListedAuction(*row) for row in rows]


class AuctionHistory:
    """The log, read by range. Every method may raise StoreUnavailable, and UnreadableEvent for a damaged row."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def events_after(self, auction: int, after_seq: int, limit: int) -> list[LoggedEvent]:
        """The next events of an auction, in order, as they are: with hidden amounts."""
        rows = await guarded(self._pool.fetch(_EVENTS, auction, after_seq, min(limit, EVENTS_MAX)))
        return [LoggedEvent(row[0], row[1], row[2], decode_event(row[3])) for row in rows]

    async def bids(self, auction: int, after_seq: int, limit: int) -> list[LoggedBid]:
        """The next bids of an auction, in order, as they are: with hidden amounts."""
        rows = await guarded(self._pool.fetch(_BIDS, auction, after_seq, min(limit, EVENTS_MAX)))
        decoded = ((row, decode_event(row[3])) for row in rows)
        return [LoggedBid(row[0], row[1], row[2], event) for row, event in decoded if isinstance(event, BidEvent)]

    async def auctions_after(self, auction: int, limit: int) -> list[int]:
        """The next auctions by id, in the log or in the read model: for going through all of them."""
        return [row[0] for row in await guarded(self._pool.fetch(_AUCTIONS, auction, limit))]

    async def auctions_count(self) -> int:
        """About how many auctions there are."""
        count: int = await guarded(self._pool.fetchval("SELECT count(*) FROM auctions"))
        return count
