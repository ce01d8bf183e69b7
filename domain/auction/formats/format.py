"""The base of all auction formats: how an auction is listed, opens, closes, is cancelled and is settled.

A format decides bids. One that needs other events or state than the shared ones defines its own (``event_types``,
``state_type``) and overrides the methods that read them.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from domain.auction import views
from domain.auction.commands import BuyNow, Cancel, CloseEarly, Command, PlaceBid, Settle
from domain.auction.events import (
    BID_EVENTS,
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
    Settled,
)
from domain.auction.refusal import NOT_SOLD, refused
from domain.auction.state import Auction, Status, apply
from domain.auction.terms import Terms, terms_fault
from domain.entity import Receipt, Refusal, Reservation, Rules, Tick
from domain.errors import AUCTION_CLOSED, AUCTION_NOT_OPEN, BUY_NOW_GONE, FORBIDDEN, HAS_BIDS

REFRESH_MARKET = "refresh_market"
"""The job that updates the catalog's market data of an auction's cards."""


class Format(Rules[Auction, Command, Event]):
    """One auction format. ``name`` is the ``format`` of the terms."""

    kind = "auction"
    name: str
    terms_type = Terms
    command_type = Command
    state_type: Any = Auction
    event_types: tuple[type, ...] = ()
    """Events of this format alone."""

    @abstractmethod
    def place_bid(self, auction: Auction, bid: PlaceBid, now_ms: int) -> list[Event] | Refusal:
        """Decide one bid."""

    def buy_now(self, auction: Auction, order: BuyNow, now_ms: int) -> list[Event] | Refusal:
        """Decide whether the auction can be bought at once."""
        return refused(BUY_NOW_GONE, auction.price)

    @abstractmethod
    def minimum(self, auction: Auction, now_ms: int) -> int:
        """The least that a bid must be now (base units)."""

    # -- life cycle

    def terms_fault(self, terms: Terms) -> str | None:
        return terms_fault(terms)

    def open(self, terms: Terms, now_ms: int) -> list[Event]:
        """Opens immediately if the start time has passed."""
        return [Listed(terms), Opened()] if terms.starts_at <= now_ms else [Listed(terms)]

    def opening(self, event: Event) -> tuple[int, Terms] | None:
        return (event.terms.auction, event.terms) if isinstance(event, Listed) else None

    def terms(self, state: Auction) -> Terms:
        return state.terms

    def decide(self, state: Auction, command: Command | Tick, now_ms: int) -> list[Event] | Refusal:
        match command:
            case PlaceBid():
                return self.place_bid(state, command, now_ms)
            case Tick():
                return self.tick(state, command, now_ms)
            case BuyNow():
                return self.buy_now(state, command, now_ms)
            case CloseEarly():
                return self.close_early(state)
            case Cancel():
                return self.cancel(state, command)
            case Settle():
                return self.settle(state, command)

    def tick(self, auction: Auction, tick: Tick, now_ms: int) -> list[Event]:
        """Open or close what is due."""
        if auction.ended:
            return []
        events: list[Event] = []
        if auction.status is Status.SCHEDULED:
            if now_ms < auction.terms.starts_at:
                return []
            events.append(Opened())
        if now_ms < auction.ends_at:
            return events
        if tick.outage is not None and tick.outage[0] < auction.ends_at <= tick.outage[1]:
            # Nobody could bid during the outage: the end moves by its length.
            events.append(Extended(auction.ends_at + tick.outage[1] - tick.outage[0], "outage"))
        else:
            events.append(self.closing(auction, "time"))
        return events

    def cancel(self, auction: Auction, order: Cancel) -> list[Event] | Refusal:
        """Accepted only before the first bid."""
        if order.by != auction.terms.seller and not order.by_operator:
            return refused(FORBIDDEN)
        if auction.ended:
            return [] if auction.status is Status.CANCELLED else refused(AUCTION_CLOSED)
        return [Cancelled(order.by)] if auction.bids == 0 else refused(HAS_BIDS)

    def close_early(self, auction: Auction) -> list[Event] | Refusal:
        """Close as at the end time."""
        if auction.status is Status.CLOSED:
            return []
        return [self.closing(auction, "operator")] if auction.status is Status.OPEN else not_open(auction)

    def settle(self, auction: Auction, paid: Settle) -> list[Event] | Refusal:
        """Accepted only for the winner and the price of the log."""
        if auction.winner is None or (paid.winner, paid.price) != (auction.winner, auction.price):
            return refused(NOT_SOLD, auction.price)
        return [] if auction.settled else [Settled(paid.winner, paid.price, paid.fee, paid.royalties)]

    def closing(self, auction: Auction, reason: str) -> Closed:
        """The end: sold to the leader, if there is one and the reserve is met."""
        sold = auction.leader is not None and (auction.terms.reserve_price is None or auction.reserve_met)
        winner, name = (auction.leader, auction.leader_name) if sold else (None, None)
        return Closed(reason, winner, name, auction.price)

    def apply(self, state: Auction | None, event: Event) -> Auction:
        return apply(state, event)

    def due_at(self, state: Auction) -> int | None:
        return state.due_at

    def ended(self, state: Auction) -> bool:
        return state.ended

    def placement(self, state: Auction) -> str:
        return state.terms.placement

    # -- retries

    def fingerprint(self, command: Command) -> int | str | None:
        return command.amount if isinstance(command, PlaceBid) else None

    def receipt(self, event: Event) -> Receipt | None:
        if not isinstance(event, BID_EVENTS):
            return None
        maximum = None if isinstance(event, BoughtNow) else event.maximum
        result = views.BidResult(views.outcome_of(event), event.price, event.minimum, event.ends_at)
        return Receipt(event.bidder, event.key, maximum, result)

    # -- funds

    def reserved(self, state: Auction | None) -> Mapping[int, Reservation]:
        """The leader's maximum, until it is paid or the auction ends unsold."""
        if state is None or state.leader is None:
            return {}
        if state.ended and (state.winner is None or state.settled):
            return {}
        return {state.leader: Reservation(state.leader_maximum, final=state.ended)}

    def required(self, event: Event) -> Sequence[tuple[int, int]]:
        return ((event.bidder, event.maximum),) if isinstance(event, BID_EVENTS) else ()

    # -- views

    def public_state(self, state: Auction, now_ms: int, placement: str) -> views.PublicState:
        return views.public_state(state, now_ms, placement, self.minimum(state, now_ms))

    def public_event(self, event: Event) -> tuple[str, dict[str, Any]]:
        return views.public_event(event)

    def status(self, state: Auction) -> Any:
        return state.status, state.settled

    def summary(self, state: Auction, at_ms: int, placement: str) -> tuple[Any, ...]:
        return views.summary(state, self.public_state(state, at_ms, placement))

    def summary_jobs(self, state: Auction) -> Sequence[str]:
        """The catalog has the prices of the open auctions of a card's copies."""
        return (REFRESH_MARKET,) if state.terms.copies else ()

    # -- verification

    def command_behind(self, state: Auction, event: Event) -> Command | Tick | None:
        match event:
            case LeadTaken() | LeadRaised() | LeadDefended():
                return PlaceBid(event.bidder, event.name, event.maximum, event.key)
            case BoughtNow():
                return BuyNow(event.bidder, event.name, event.key)
            case Opened() | Closed(reason="time"):
                return Tick()
            case Closed(reason="operator"):
                return CloseEarly(by=0)
            case Cancelled(by):
                return Cancel(by, by_operator=True)
            case Settled(winner, price, fee, royalties):
                return Settle(winner, price, fee, royalties)
            case Extended(ends_at, "outage") if ends_at > state.ends_at:
                # The log has only the length of the outage: any outage of this length that includes the end will do.
                began = state.ends_at - 1
                return Tick((began, began + ends_at - state.ends_at))
            case _:
                return None


def not_open(auction: Auction) -> Refusal:
    """The refusal of a bid on an auction that is not open."""
    if auction.status is Status.SCHEDULED:
        return refused(AUCTION_NOT_OPEN)
    return refused(AUCTION_CLOSED, auction.price)
