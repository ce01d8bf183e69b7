"""Operations on auctions: ``bid`` and ``buy_now``."""

import msgspec

from actors.stream.messages import Accepted, Command, command
from domain.auction.commands import BuyNow, PlaceBid
from domain.ids import parse_id
from domain.permissions import Permission
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


def _bid(frame: BidFrame, bidder: Identity) -> Command:
    bid = PlaceBid(bidder.user_id, bidder.name, frame.amount, frame.key)
    return command(parse_id(frame.auction), "auction", bid, (bidder.user_id, frame.key))


def _buy_now(frame: BuyNowFrame, bidder: Identity) -> Command:
    purchase = BuyNow(bidder.user_id, bidder.name, frame.key)
    return command(parse_id(frame.auction), "auction", purchase, (bidder.user_id, frame.key))


def _reply(frame: BidFrame | BuyNowFrame, answer: Accepted) -> BidReply:
    outcome, price, minimum, ends_at = answer.result
    return BidReply(
        frame.id, True, frame.auction, answer.epoch, answer.seq, answer.at, outcome, price, minimum, ends_at,
        answer.duplicate,
    )  # fmt: skip


BID = CommandOperation(BidFrame, Permission.BID, "auction", _bid, _reply)
BUY_NOW = CommandOperation(BuyNowFrame, Permission.BID, "auction", _buy_now, _reply)
