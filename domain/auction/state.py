"""The state of one auction and how events change it. ``apply`` never refuses."""

from enum import StrEnum
from typing import assert_never

import msgspec
from msgspec.structs import replace

from domain.auction.events import (
    BidEvent,
    BoughtNow,
    Cancelled,
    Closed,
    Event,
    Extended,
    LeadDefended,
    LeadRaised,
    LeadTaken,
    Listed,
    Opened,
    ReserveMet,
    Settled,
)
from domain.auction.increments import increment_at
from domain.auction.terms import Terms


class Status(StrEnum):
    """The life of an auction. ``closed`` and ``cancelled`` are ends."""

    SCHEDULED = "scheduled"
    OPEN = "open"
    CLOSED = "closed"
    CANCELLED = "cancelled"


class Auction(msgspec.Struct, frozen=True, tag="auction"):
    """One auction after some number of events. Size does not grow with bids."""

    terms: Terms
    status: Status
    price: int
    ends_at: int
    leader: int | None = None
    leader_name: str | None = None
    leader_maximum: int = 0
    bids: int = 0
    reserve_met: bool = False
    extensions: int = 0
    closed_reason: str | None = None
    winner: int | None = None
    settled: bool = False

    @property
    def ended(self) -> bool:
        return self.status is Status.CLOSED or self.status is Status.CANCELLED

    @property
    def buy_now_price(self) -> int | None:
        """The buy-now price while it can be taken: until the first bid, or, with a reserve, until that is met."""
        terms = self.terms
        if terms.buy_now_price is None or self.ended:
            return None
        if terms.reserve_price is None:
            return terms.buy_now_price if self.bids == 0 else None
        return None if self.reserve_met else terms.buy_now_price

    @property
    def due_at(self) -> int | None:
        """When time alone changes this auction next (milliseconds), None once it has ended."""
        if self.status is Status.SCHEDULED:
            return self.terms.starts_at
        return self.ends_at if self.status is Status.OPEN else None


def minimum_bid(auction: Auction) -> int:
    """The least that a bid must be now: the starting price, then one step above the price."""
    if auction.bids == 0:
        return auction.terms.starting_price
    return auction.price + increment_at(auction.terms.increments, auction.price)


def apply(auction: Auction | None, event: Event) -> Auction:
    """The auction after this event. Pure: replaying the log gives the same state."""
    if auction is None:
        assert isinstance(event, Listed), "the first event of an auction is Listed"
        return Auction(event.terms, Status.SCHEDULED, event.terms.starting_price, event.terms.ends_at)
    match event:
        case LeadTaken() | LeadRaised() | LeadDefended() | BoughtNow():
            return _apply_bid(auction, event)
        case Opened():
            return replace(auction, status=Status.OPEN)
        case ReserveMet():
            return replace(auction, reserve_met=True)
        case Extended(ends_at, reason):
            counted = 1 if reason == "soft_close" else 0
            return replace(auction, ends_at=ends_at, extensions=auction.extensions + counted)
        case Closed(reason, winner, _, price):
            return replace(auction, status=Status.CLOSED, closed_reason=reason, winner=winner, price=price)
        case Cancelled():
            return replace(auction, status=Status.CANCELLED)
        case Settled():
            return replace(auction, settled=True)
        case Listed():
            raise AssertionError("an auction is listed once")
        case _:
            assert_never(event)


def _apply_bid(auction: Auction, event: BidEvent) -> Auction:
    if isinstance(event, LeadDefended):
        return replace(auction, price=event.price, bids=auction.bids + 1)
    return replace(
        auction,
        leader=event.bidder,
        leader_name=event.name,
        leader_maximum=event.maximum,
        price=event.price,
        bids=auction.bids + 1,
    )
