"""Why a command was refused. A refusal is a value: nothing happened."""

import msgspec


class Refusal(msgspec.Struct, frozen=True, array_like=True):
    """``code`` is stable (see docs/protocol.md); the prices say what a bid was decided on."""

    code: str
    price: int | None = None
    minimum: int | None = None


AUCTION_CLOSED = "auction_closed"
AUCTION_NOT_OPEN = "auction_not_open"
ALREADY_LEADING = "already_leading"
BID_TOO_LOW = "bid_too_low"
OWN_AUCTION = "own_auction"
HAS_BIDS = "has_bids"
BUY_NOW_GONE = "buy_now_gone"
# Told to the engine alone: it is no client who says that a sale is paid for.
NOT_SOLD = "not_sold"
