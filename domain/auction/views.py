"""The public view of an auction: without hidden maxima and reserves until it has ended."""

from typing import Any

import msgspec

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
from domain.auction.state import Auction
from domain.ids import id_text


class PublicState(msgspec.Struct, frozen=True, omit_defaults=True):
    """An auction's ``state`` on the wire. Prices in base units, times in ms; ``leader`` is a public name."""

    id: str
    format: str
    title: str
    seller: str
    status: str
    price: int
    minimum: int
    leader: str | None
    bids: int
    reserve: str
    starts_at: int
    ends_at: int
    server_time: int
    placement: str
    buy_now: int | None = None
    closed_reason: str | None = None
    winner: str | None = None
    copies: tuple[str, ...] = ()
    settled: bool = False


class BidResult(msgspec.Struct, frozen=True, array_like=True):
    """The result of an accepted bid. ``outcome``: ``leading``, ``outbid`` or ``won``."""

    outcome: str
    price: int
    minimum: int
    ends_at: int


def public_state(auction: Auction, now_ms: int, placement: str, minimum: int) -> PublicState:
    """The public state of the auction now. The reserve is ``none``, ``unmet`` or ``met``, never a number.

    ``placement`` is the kind of its host now: ``shared`` or ``dedicated``.
    """
    terms = auction.terms
    return PublicState(
        id=id_text(terms.auction),
        format=terms.format,
        title=terms.title,
        seller=terms.seller_name,
        status=auction.status.value,
        price=auction.price,
        minimum=minimum,
        leader=auction.leader_name,
        bids=auction.bids,
        # A buy-now price is at least the reserve: a sold auction never has "unmet".
        reserve="none" if terms.reserve_price is None else "met" if auction.reserve_met or auction.winner else "unmet",
        starts_at=terms.starts_at,
        ends_at=auction.ends_at,
        server_time=now_ms,
        placement=placement,
        buy_now=auction.buy_now_price,
        closed_reason=auction.closed_reason,
        winner=auction.leader_name if auction.winner is not None else None,
        copies=tuple(map(id_text, terms.copies)),
        settled=auction.settled,
    )


def outcome_of(event: BidEvent) -> str:
    """The outcome of a bid when it was decided: ``leading``, ``outbid`` or ``won``."""
    if isinstance(event, BoughtNow):
        return "won"
    return "outbid" if isinstance(event, LeadDefended) else "leading"


def public_event(event: Event) -> tuple[str, dict[str, Any]]:
    """The ``type`` and ``data`` of an event on the wire, the same in updates, resume and replay; no hidden amounts."""
    match event:
        case LeadTaken() | LeadRaised() | LeadDefended() | BoughtNow():
            return "bid", {
                "bidder": event.name,
                "price": event.price,
                "minimum": event.minimum,
                "outcome": outcome_of(event),
            }
        case Listed(terms):
            return "listed", {
                "title": terms.title,
                "seller": terms.seller_name,
                "starting_price": terms.starting_price,
                "starts_at": terms.starts_at,
                "ends_at": terms.ends_at,
            }
        case Opened():
            return "opened", {}
        case ReserveMet():
            return "reserve_met", {}
        case Extended(ends_at, reason):
            return "extended", {"ends_at": ends_at, "reason": reason}
        case Closed(reason, winner, winner_name, price):
            return "closed", {"reason": reason, "sold": winner is not None, "winner": winner_name, "price": price}
        case Cancelled():
            return "cancelled", {}
        case Settled(_, price):
            return "settled", {"price": price}


def summary(auction: Auction, public: PublicState) -> tuple[Any, ...]:
    """The columns of the table ``auctions`` (``persistence.auctions.summary``)."""
    terms = auction.terms
    return (
        terms.seller, terms.seller_name, terms.title, terms.format, public.status, public.placement, public.price,
        public.minimum, auction.leader, auction.leader_name, auction.winner, auction.bids, public.reserve,
        public.buy_now, terms.starts_at, auction.ends_at, auction.closed_reason,
    )  # fmt: skip
