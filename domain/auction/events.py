"""Events of one auction, as stored in the log: msgpack arrays, the tag first.

New fields go to the end with a default, so that old rows can always be read. Bids have the bidder's hidden maximum
and never leave the server as they are; ``views.public_event`` makes their public form.
"""

import msgspec

from domain.auction.terms import Terms


class Listed(msgspec.Struct, frozen=True, array_like=True, tag="listed"):
    """The auction was listed on these terms."""

    terms: Terms


class Opened(msgspec.Struct, frozen=True, array_like=True, tag="opened"):
    """The auction accepts bids from now on."""


class LeadTaken(msgspec.Struct, frozen=True, array_like=True, tag="taken"):
    """A bidder took the lead (or the first place). ``price``, ``minimum`` and ``ends_at`` hold after the bid."""

    bidder: int
    name: str
    maximum: int
    price: int
    minimum: int
    ends_at: int
    key: str


class LeadRaised(msgspec.Struct, frozen=True, array_like=True, tag="raised"):
    """The leader raised their own maximum; the price moves only where that meets the reserve."""

    bidder: int
    name: str
    maximum: int
    price: int
    minimum: int
    ends_at: int
    key: str


class LeadDefended(msgspec.Struct, frozen=True, array_like=True, tag="defended"):
    """A bid was outbid at once by the leader's maximum: it raised the price."""

    bidder: int
    name: str
    maximum: int
    price: int
    minimum: int
    ends_at: int
    key: str


class BoughtNow(msgspec.Struct, frozen=True, array_like=True, tag="bought"):
    """A bidder took the auction at its buy-now price; ``Closed`` follows."""

    bidder: int
    name: str
    maximum: int
    price: int
    minimum: int
    ends_at: int
    key: str


class ReserveMet(msgspec.Struct, frozen=True, array_like=True, tag="reserve_met"):
    """The leader's maximum reached the hidden reserve; the price stands at it or above."""


class Extended(msgspec.Struct, frozen=True, array_like=True, tag="extended"):
    """The end moved. ``reason`` is ``soft_close`` or ``outage``."""

    ends_at: int
    reason: str


class Closed(msgspec.Struct, frozen=True, array_like=True, tag="closed"):
    """No more bids. ``reason``: ``time``, ``buy_now`` or ``operator``. ``winner`` is None when unsold."""

    reason: str
    winner: int | None
    winner_name: str | None
    price: int


class Cancelled(msgspec.Struct, frozen=True, array_like=True, tag="cancelled"):
    """Withdrawn before the first bid."""

    by: int


class Settled(msgspec.Struct, frozen=True, array_like=True, tag="settled"):
    """The winner has paid ``price`` and got the copies. ``fee`` and ``royalties`` are parts of ``price``."""

    winner: int
    price: int
    fee: int
    royalties: int


BidEvent = LeadTaken | LeadRaised | LeadDefended | BoughtNow
BID_EVENTS = (LeadTaken, LeadRaised, LeadDefended, BoughtNow)
Event = (
    Listed
    | Opened
    | LeadTaken
    | LeadRaised
    | LeadDefended
    | BoughtNow
    | ReserveMet
    | Extended
    | Closed
    | Cancelled
    | Settled
)
