"""What an auction's bidders may lose: what has to be reserved of their balances before a decision counts."""

import msgspec

from domain.auction.events import BID_EVENTS, Event
from domain.auction.state import Auction


class Reservation(msgspec.Struct, frozen=True):
    """``amount`` base units of a user's balance; a ``final`` one may be posted at any time, so it is never raised."""

    amount: int
    final: bool = False


def reserved(auction: Auction | None) -> dict[int, Reservation]:
    """What is to be reserved in this state, by user: the leader's maximum, until it is paid or nothing is owed."""
    if auction is None or auction.leader is None:
        return {}
    if auction.ended and (auction.winner is None or auction.settled):
        return {}
    return {auction.leader: Reservation(auction.leader_maximum, final=auction.ended)}


def required(event: Event) -> tuple[int, int] | None:
    """Who must be able to pay how much for this event to count, though nothing of it may have to stay reserved."""
    return (event.bidder, event.maximum) if isinstance(event, BID_EVENTS) else None
