"""The English auction with proxy bids, as on eBay: bidders name a maximum and the engine bids for them.

Price = min(leader's maximum, runner-up's maximum + increment). Source: eBay's published help pages on automatic
bidding, increments, reserves and Buy It Now; checked against 628 real auctions by ``ece replay``.
"""

from domain.auction.commands import BuyNow, PlaceBid
from domain.auction.events import (
    BoughtNow,
    Closed,
    Event,
    Extended,
    LeadDefended,
    LeadRaised,
    LeadTaken,
    ReserveMet,
)
from domain.auction.formats.format import Format, not_open
from domain.auction.increments import increment_at
from domain.auction.refusal import refused
from domain.auction.state import Auction, Status, minimum_bid
from domain.entity import Refusal
from domain.errors import ALREADY_LEADING, BID_TOO_LOW, BUY_NOW_GONE, OWN_AUCTION


class English(Format):
    """The format of an auction whose terms name none."""

    name = "english"

    def minimum(self, auction: Auction, now_ms: int) -> int:
        return minimum_bid(auction)

    def place_bid(self, auction: Auction, bid: PlaceBid, now_ms: int) -> list[Event] | Refusal:
        """Resolve one proxy bid. An equal maximum keeps the earlier bidder in front."""
        if auction.status is not Status.OPEN or now_ms >= auction.ends_at:
            return not_open(auction)
        if bid.bidder == auction.terms.seller:
            return refused(OWN_AUCTION)
        minimum = minimum_bid(auction)
        if bid.bidder == auction.leader:
            # Any raise counts, also one below the minimum: real auctions show leaders raising by a cent.
            if bid.amount <= auction.leader_maximum:
                return refused(ALREADY_LEADING, auction.price, minimum)
        elif bid.amount < minimum:
            return refused(BID_TOO_LOW, auction.price, minimum)
        return _counting_bid(auction, bid, now_ms)

    def buy_now(self, auction: Auction, order: BuyNow, now_ms: int) -> list[Event] | Refusal:
        if auction.status is not Status.OPEN or now_ms >= auction.ends_at:
            return not_open(auction)
        if order.bidder == auction.terms.seller:
            return refused(OWN_AUCTION)
        price = auction.buy_now_price
        if price is None:
            return refused(BUY_NOW_GONE, auction.price, minimum_bid(auction))
        if price < minimum_bid(auction) and auction.bids > 0:
            # Below an unmet reserve bids may have passed what the buyer would pay.
            return refused(BUY_NOW_GONE, auction.price, minimum_bid(auction))
        bought = BoughtNow(order.bidder, order.name, price, price, price, auction.ends_at, order.key)
        return [bought, Closed("buy_now", order.bidder, order.name, price)]


def _counting_bid(auction: Auction, bid: PlaceBid, now_ms: int) -> list[Event]:
    kind: type[LeadTaken | LeadRaised | LeadDefended]
    if auction.leader is None:
        kind, price = LeadTaken, auction.terms.starting_price
    elif bid.bidder == auction.leader:
        kind, price = LeadRaised, auction.price
    elif bid.amount > auction.leader_maximum:
        kind, price = LeadTaken, min(bid.amount, _one_step_above(auction, auction.leader_maximum))
    else:
        kind, price = LeadDefended, min(auction.leader_maximum, _one_step_above(auction, bid.amount))
    meets_reserve = False
    reserve = auction.terms.reserve_price
    if reserve is not None and not auction.reserve_met and bid.amount >= reserve and kind is not LeadDefended:
        meets_reserve, price = True, max(price, reserve)
    ends_at = _end_after_bid(auction, now_ms)
    minimum = price + increment_at(auction.terms.increments, price)
    events: list[Event] = [kind(bid.bidder, bid.name, bid.amount, price, minimum, ends_at, bid.key)]
    if meets_reserve:
        events.append(ReserveMet())
    if ends_at != auction.ends_at:
        events.append(Extended(ends_at, "soft_close"))
    return events


def _one_step_above(auction: Auction, amount: int) -> int:
    return amount + increment_at(auction.terms.increments, amount)


def _end_after_bid(auction: Auction, now_ms: int) -> int:
    soft_close = auction.terms.soft_close
    if soft_close is None or auction.ends_at - now_ms > soft_close.window_ms:
        return auction.ends_at
    if soft_close.max_extensions is not None and auction.extensions >= soft_close.max_extensions:
        return auction.ends_at
    return max(auction.ends_at, now_ms + soft_close.extension_ms)


ENGLISH = English()
