"""Orders to one auction. Who sends them and how they travel is no concern of these."""

import msgspec


class PlaceBid(msgspec.Struct, frozen=True):
    """Bid up to ``amount`` (base units) on behalf of ``bidder``. ``key`` is made by the client: same key, same bid."""

    bidder: int
    name: str
    amount: int
    key: str


class BuyNow(msgspec.Struct, frozen=True):
    """Take the auction at its buy-now price."""

    bidder: int
    name: str
    key: str


class Cancel(msgspec.Struct, frozen=True):
    """Withdraw the auction; only before the first bid."""

    by: int


class CloseEarly(msgspec.Struct, frozen=True):
    """End the auction now, selling to the leader as if its time had run out. For operators."""

    by: int


class Settle(msgspec.Struct, frozen=True):
    """The sale has been paid for: ``fee`` and ``royalties`` are parts of ``price`` (base units)."""

    winner: int
    price: int
    fee: int
    royalties: int


class Tick(msgspec.Struct, frozen=True):
    """Time has passed: open or close what is due.

    ``outage`` is the span (from, to) in which the engine could take no bids, if the auction's end lies in one.
    """

    outage: tuple[int, int] | None = None


Command = PlaceBid | BuyNow | Cancel | CloseEarly | Settle | Tick
