"""Who has bid how often in auctions that have ended: counted from their logs, which alone have the bids."""

from collections import Counter

from asyncpg.pool import PoolConnectionProxy

from domain.auction.events import BidEvent
from domain.kinds import kind_of
from domain.sales.portfolio import day_of
from persistence.analytics.models import STATEMENT_TIMEOUT_S

EVENTS_AT_ONCE = 5_000

# Only bids have keys that clients made.
_BIDS = """
    SELECT seq, at, body FROM entity_events
    WHERE entity_id = $1 AND seq > $2 AND command_key IS NOT NULL ORDER BY seq LIMIT $3
"""
_CLEAR = "DELETE FROM auction_bidders WHERE auction_id = $1"
_PUT = """
    INSERT INTO auction_bidders (auction_id, ended_day, user_id, day, bids)
    SELECT $1, $2, * FROM unnest($3::bigint[], $4::int[], $5::int[])
"""


async def count_bids(connection: PoolConnectionProxy, auction: int, ended_at: int) -> None:
    """Count the bids of an auction that has ended, in place of an earlier count."""
    counted: Counter[tuple[int, int]] = Counter()
    decode, after = kind_of("auction").codec.decode_event, 0
    while rows := await connection.fetch(_BIDS, auction, after, EVENTS_AT_ONCE, timeout=STATEMENT_TIMEOUT_S):
        for _, at, body in rows:
            event = decode(body)
            if isinstance(event, BidEvent):
                counted[event.bidder, day_of(at)] += 1
        after = rows[-1][0]
    await connection.execute(_CLEAR, auction, timeout=STATEMENT_TIMEOUT_S)
    if counted:
        bidders, days = zip(*counted, strict=True)
        put = (auction, day_of(ended_at), bidders, days, list(counted.values()))
        await connection.execute(_PUT, *put, timeout=STATEMENT_TIMEOUT_S)
