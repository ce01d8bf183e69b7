"""What gateways and hosts say to each other on a command stream. Version 1.

A frame is four bytes of length (big-endian) and msgpack. After the handshake a gateway sends batches
``[[request_id, request], …]`` and a host answers ``[[request_id, answer], …]``, in any order.
"""

from typing import Any

import msgspec

from domain.auction.commands import Settle
from domain.auction.terms import Terms
from domain.auction.views import PublicState

STREAM_VERSION = 1
STREAM_FRAME_MAX = 32 * 1024 * 1024


class Bid(msgspec.Struct, frozen=True, array_like=True, tag="b"):
    """Bid up to ``amount`` (base units) for ``bidder``, whose public name is ``name``."""

    auction: int
    bidder: int
    name: str
    amount: int
    key: str


class Buy(msgspec.Struct, frozen=True, array_like=True, tag="n"):
    """Take the auction at its buy-now price."""

    auction: int
    bidder: int
    name: str
    key: str


class GetState(msgspec.Struct, frozen=True, array_like=True, tag="g"):
    """The auction's public state and position."""

    auction: int


class Create(msgspec.Struct, frozen=True, array_like=True, tag="c"):
    """List the auction that these terms name; done before by the same seller: its state, ``duplicate``."""

    auction: int
    terms: Terms


class Withdraw(msgspec.Struct, frozen=True, array_like=True, tag="w"):
    """Cancel before the first bid. ``by_operator``: also another's auction."""

    auction: int
    by: int
    by_operator: bool = False


class CloseNow(msgspec.Struct, frozen=True, array_like=True, tag="e"):
    """End the auction now. For operators; done before: its state, ``duplicate``."""

    auction: int
    by: int


class SaleSettled(msgspec.Struct, frozen=True, array_like=True, tag="p"):
    """Money and copies have changed hands, the log is to say so. For workers; answered with the state."""

    auction: int
    paid: Settle


Request = Bid | Buy | GetState | Create | Withdraw | CloseNow | SaleSettled


class BidAnswer(msgspec.Struct, frozen=True, array_like=True, tag="a"):
    """The bid is in the log, at ``(epoch, seq)``. ``outcome``: ``leading``, ``outbid`` or ``won``."""

    epoch: int
    seq: int
    at: int
    outcome: str
    price: int
    minimum: int
    ends_at: int
    duplicate: bool = False


class StateAnswer(msgspec.Struct, frozen=True, array_like=True, tag="s"):
    """The auction as everyone may see it, after the event at ``(epoch, seq)``."""

    epoch: int
    seq: int
    state: PublicState
    duplicate: bool = False


class Refused(msgspec.Struct, frozen=True, array_like=True, tag="r"):
    """Nothing happened, or, with ``unavailable`` alone, nobody knows: send the same key again."""

    code: str
    server_time: int
    price: int | None = None
    minimum: int | None = None
    retry_after_ms: int | None = None
    available: int | None = None
    required: int | None = None

    def known(self) -> dict[str, Any]:
        """All that it was decided on, by the names that clients know."""
        known = msgspec.structs.asdict(self)
        del known["code"]
        return known


Answer = BidAnswer | StateAnswer | Refused

# Beside the codes of domain/errors.py.
MOVED = "moved"  # between host and gateway only: another host keeps this slot


class AnnouncedEvent(msgspec.Struct, frozen=True, array_like=True):
    """One event as the public may see it."""

    seq: int
    at: int
    type: str
    data: msgspec.Raw


class News(msgspec.Struct, frozen=True, array_like=True):
    """What became of one auction in one commit: its newest state and the events that led there.

    ``events`` may lack the oldest of a large commit; none at all is a mere reminder of where the auction stands.
    """

    auction: int
    epoch: int
    seq: int
    at: int
    state: PublicState
    events: list[AnnouncedEvent] = []
