"""Operations on auctions: ``bid`` and ``buy_now``."""

import msgspec

from actors.stream.messages import Bid, BidAnswer, Buy
from domain.ids import parse_id
from gateway.identity.tokens import Identity
from gateway.websocket.operations.operation import CommandOperation
from gateway.wire.frames import Amount, Frame, IdText, Key


class BidFrame(Frame, frozen=True, tag="bid"):
    auction: IdText
    amount: Amount
    key: Key


class BuyNowFrame(Frame, frozen=True, tag="buy_now"):
    auction: IdText
    key: Key


class BidReply(msgspec.Struct, frozen=True):
    """The bid is durable. Prices in base units, times in ms."""

    id: int | str
    ok: bool
    auction: str
    epoch: int
    seq: int
    at: int
    outcome: str
    price: int
    minimum: int
    ends_at: int
    duplicate: bool


def _bid(frame: BidFrame, bidder: Identity) -> Bid:
    return Bid(parse_id(frame.auction), bidder.user_id, bidder.name, frame.amount, frame.key)


def _buy_now(frame: BuyNowFrame, bidder: Identity) -> Buy:
    return Buy(parse_id(frame.auction), bidder.user_id, bidder.name, frame.key)


def _reply(frame: BidFrame | BuyNowFrame, answer: BidAnswer) -> BidReply:
    return BidReply(
        frame.id, True, frame.auction, answer.epoch, answer.seq, answer.at, answer.outcome, answer.price,
        answer.minimum, answer.ends_at, answer.duplicate,
    )  # fmt: skip


BID = CommandOperation(BidFrame, "auction", _bid, _reply)
BUY_NOW = CommandOperation(BuyNowFrame, "auction", _buy_now, _reply)
