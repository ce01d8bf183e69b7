"""The format ``first_price``: open bids without proxies. A bid is the price, at least ten percent above the last."""

from typing import Any

import msgspec
from msgspec.structs import replace

from domain.auction.commands import PlaceBid
from domain.auction.events import Event, LeadTaken
from domain.auction.formats.format import Format, not_open
from domain.auction.refusal import refused
from domain.auction.state import Auction, Status
from domain.entity import Refusal


class Record(msgspec.Struct, frozen=True, array_like=True, tag="record"):
    """An event of this format alone: the price is ten times the starting price, or more."""

    price: int


class FirstPriceAuction(Auction, frozen=True, tag="first_price"):
    """A state of this format alone."""

    record: int = 0


class FirstPrice(Format):
    name = "first_price"
    state_type = FirstPriceAuction
    event_types = (Record,)

    def minimum(self, auction: Auction, now_ms: int) -> int:
        return auction.terms.starting_price if auction.leader is None else auction.price + auction.price // 10

    def place_bid(self, auction: Auction, bid: PlaceBid, now_ms: int) -> list[Event] | Refusal:
        if auction.status is not Status.OPEN or now_ms >= auction.ends_at:
            return not_open(auction)
        minimum = self.minimum(auction, now_ms)
        if bid.amount < minimum:
            return refused("bid_too_low", auction.price, minimum)
        above = bid.amount + bid.amount // 10
        events: list[Any] = [LeadTaken(bid.bidder, bid.name, bid.amount, bid.amount, above, auction.ends_at, bid.key)]
        return [*events, Record(bid.amount)] if bid.amount >= 10 * auction.terms.starting_price else events

    def apply(self, state: Auction | None, event: Any) -> Auction:
        if isinstance(event, Record):
            assert state is not None
            return replace(state, record=event.price)
        after = super().apply(state, event)
        if isinstance(after, FirstPriceAuction):
            return after
        return FirstPriceAuction(**{name: getattr(after, name) for name in after.__struct_fields__})

    def public_event(self, event: Any) -> tuple[str, dict[str, Any]]:
        return ("record", {"price": event.price}) if isinstance(event, Record) else super().public_event(event)
