"""Requests about auctions as gateways send them, and the answers that hosts give."""

from typing import Any

import msgspec

from actors.stream.messages import Accepted, Command, GetState, Open, Refused, StateAnswer, command
from domain.auction.commands import BuyNow, Cancel, CloseEarly, PlaceBid
from domain.auction.state import Auction
from domain.auction.terms import Terms
from domain.auction.views import BidResult, PublicState
from domain.kinds import kind_of
from domain.log.codec import encode

AUCTION_KIND = "auction"


def bid_request(auction: int, bidder: int, name: str, amount: int, key: str) -> Command:
    return command(auction, AUCTION_KIND, PlaceBid(bidder, name, amount, key), (bidder, key))


def buy_request(auction: int, bidder: int, name: str, key: str) -> Command:
    return command(auction, AUCTION_KIND, BuyNow(bidder, name, key), (bidder, key))


def open_request(auction: int, terms: Terms) -> Open:
    return Open(auction, AUCTION_KIND, msgspec.Raw(encode(terms)))


def cancel_request(auction: int, by: int, by_operator: bool = False) -> Command:
    return command(auction, AUCTION_KIND, Cancel(by, by_operator))


def close_request(auction: int, by: int) -> Command:
    return command(auction, AUCTION_KIND, CloseEarly(by))


def state_request(auction: int) -> GetState:
    return GetState(auction, AUCTION_KIND)


def ordered(request: Any) -> Any:
    """The rules' command, or the terms, in a request."""
    codec = kind_of(request.kind).codec
    return codec.decode_terms(request.terms) if isinstance(request, Open) else codec.decode_command(request.payload)


def accepted(
    epoch: int, seq: int, at: int, outcome: str, price: int, minimum: int, ends_at: int, duplicate: bool = False
) -> Accepted:
    return Accepted(epoch, seq, at, BidResult(outcome, price, minimum, ends_at), duplicate)


def answered(*fields: Any) -> Accepted:
    """The same as a gateway reads it from a stream."""
    answer = accepted(*fields)
    return Accepted(answer.epoch, answer.seq, answer.at, list(msgspec.structs.astuple(answer.result)), answer.duplicate)


def result_of(answer: Any) -> BidResult:
    """What an accepted bid came to."""
    assert isinstance(answer, Accepted), answer
    return answer.result if isinstance(answer.result, BidResult) else msgspec.convert(answer.result, BidResult)


def refused(
    code: str, server_time: int, price: int | None = None, minimum: int | None = None, **details: int
) -> Refused:
    prices = {name: value for name, value in (("price", price), ("minimum", minimum)) if value is not None}
    return Refused(code, server_time, prices | details)


def state_answer(epoch: int, seq: int, state: PublicState, duplicate: bool = False) -> StateAnswer:
    final = state.status not in ("scheduled", "open")
    return StateAnswer(epoch, seq, state.server_time, msgspec.Raw(encode(state)), final, duplicate)


def state_in(answer: Any) -> PublicState:
    """The auction's public state in an answer or an update."""
    return msgspec.msgpack.decode(answer.state, type=PublicState)


def decode_event(body: bytes) -> Any:
    """The auction's event in a row of the log."""
    return kind_of(AUCTION_KIND).codec.decode_event(body)


def decode_auction(data: bytes) -> Any:
    """The auction in a snapshot."""
    return kind_of(AUCTION_KIND).codec.decode_state(data)


def public(auction: Auction, now_ms: int, placement: str = "shared") -> PublicState:
    """What everybody may see of an auction."""
    return kind_of(AUCTION_KIND).rules.public_state(auction, now_ms, placement)
