"""Commands to one auction, as they travel on the stream: msgpack arrays, the tag first."""

import msgspec


class PlaceBid(msgspec.Struct, frozen=True, array_like=True, tag="bid"):
    """Bid up to ``amount`` (base units) on behalf of ``bidder``. ``key`` is made by the client: same key, same bid."""

    bidder: int
    name: str
    amount: int
    key: str


class BuyNow(msgspec.Struct, frozen=True, array_like=True, tag="buy"):
    """Take the auction at its buy-now price."""

    bidder: int
    name: str
    key: str


class Cancel(msgspec.Struct, frozen=True, array_like=True, tag="cancel"):
    """Withdraw the auction before the first bid. For its seller; ``by_operator``: also another's auction."""

    by: int
    by_operator: bool = False


class CloseEarly(msgspec.Struct, frozen=True, array_like=True, tag="close"):
    """End the auction now, selling to the leader as if its time had run out. For operators."""

    by: int


class Settle(msgspec.Struct, frozen=True, array_like=True, tag="settle"):
    """The sale has been paid for: ``fee`` and ``royalties`` are parts of ``price`` (base units)."""

    winner: int
    price: int
    fee: int
    royalties: int


Command = PlaceBid | BuyNow | Cancel | CloseEarly | Settle
