"""The English auction with proxy bids, as on eBay: bidders name a maximum and the engine bids for them.

Price = min(leader's maximum, runner-up's maximum + increment). Source: eBay's published help pages on automatic
bidding, increments, reserves and Buy It Now; checked against 628 real auctions by ``ece replay``.
"""

from typing import assert_never

from domain.auction.commands import BuyNow, Cancel, CloseEarly, Command, PlaceBid, Settle, Tick
from domain.auction.events import (
    BoughtNow,
    Cancelled,
    Closed,
    Event,
    Extended,
    LeadDefended,
    LeadRaised,
    LeadTaken,
    Listed,
    Opened,
    ReserveMet,
    Settled,
)
from domain.auction.increments import increment_at
from domain.auction.refusal import NOT_SOLD, Refusal
from domain.auction.state import Auction, Status, minimum_bid
from domain.auction.terms import Terms
from domain.errors import (
    ALREADY_LEADING,
    AUCTION_CLOSED,
    AUCTION_NOT_OPEN,
    BID_TOO_LOW,
    BUY_NOW_GONE,
    HAS_BIDS,
    OWN_AUCTION,
)


def list_auction(terms: Terms, now_ms: int) -> list[Event]:
    """The first events of an auction on these (sound) terms: it opens at once if its start has come."""
    return [Listed(terms), Opened()] if terms.starts_at <= now_ms else [Listed(terms)]


def decide(auction: Auction, command: Command, now_ms: int) -> list[Event] | Refusal:
    """What follows from a command at this time: events, or why nothing happens. Changes nothing itself."""
    match command:
        case PlaceBid():
            return _place_bid(auction, command, now_ms)
        case Tick():
            return _tick(auction, command, now_ms)
        case BuyNow():
            return _buy_now(auction, command, now_ms)
        case CloseEarly():
            return [_closing(auction, "operator")] if auction.status is Status.OPEN else _not_open(auction)
        case Cancel(by):
            if auction.ended:
                return Refusal(AUCTION_CLOSED)
            return [Cancelled(by)] if auction.bids == 0 else Refusal(HAS_BIDS)
        case Settle():
            return _settle(auction, command)
        case _:
            assert_never(command)


def _place_bid(auction: Auction, bid: PlaceBid, now_ms: int) -> list[Event] | Refusal:
    """Resolve one proxy bid. An equal maximum keeps the earlier bidder in front."""
    if auction.status is not Status.OPEN or now_ms >= auction.ends_at:
        return _not_open(auction)
    if bid.bidder == auction.terms.seller:
        return Refusal(OWN_AUCTION)
    minimum = minimum_bid(auction)
    if bid.bidder == auction.leader:
        # Any raise counts, also one below the minimum: real auctions show leaders raising by a cent.
        if bid.amount <= auction.leader_maximum:
            return Refusal(ALREADY_LEADING, auction.price, minimum)
    elif bid.amount < minimum:
        return Refusal(BID_TOO_LOW, auction.price, minimum)
    return _counting_bid(auction, bid, now_ms)


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


def _buy_now(auction: Auction, order: BuyNow, now_ms: int) -> list[Event] | Refusal:
    if auction.status is not Status.OPEN or now_ms >= auction.ends_at:
        return _not_open(auction)
    if order.bidder == auction.terms.seller:
        return Refusal(OWN_AUCTION)
    price = auction.buy_now_price
    if price is None:
        return Refusal(BUY_NOW_GONE, auction.price, minimum_bid(auction))
    if price < minimum_bid(auction) and auction.bids > 0:
        # Below an unmet reserve bids may have passed what the buyer would pay.
        return Refusal(BUY_NOW_GONE, auction.price, minimum_bid(auction))
    bought = BoughtNow(order.bidder, order.name, price, price, price, auction.ends_at, order.key)
    return [bought, Closed("buy_now", order.bidder, order.name, price)]


def _tick(auction: Auction, tick: Tick, now_ms: int) -> list[Event]:
    if auction.ended:
        return []
    events: list[Event] = []
    if auction.status is Status.SCHEDULED:
        if now_ms < auction.terms.starts_at:
            return []
        events.append(Opened())
    if now_ms < auction.ends_at:
        return events
    if tick.outage is not None and tick.outage[0] < auction.ends_at <= tick.outage[1]:
        # Nobody could bid then: the time that the engine took from the bidders is given back.
        events.append(Extended(auction.ends_at + tick.outage[1] - tick.outage[0], "outage"))
    else:
        events.append(_closing(auction, "time"))
    return events


def _settle(auction: Auction, paid: Settle) -> list[Event] | Refusal:
    if auction.winner is None or (paid.winner, paid.price) != (auction.winner, auction.price):
        return Refusal(NOT_SOLD, auction.price)
    return [] if auction.settled else [Settled(paid.winner, paid.price, paid.fee, paid.royalties)]


def _closing(auction: Auction, reason: str) -> Closed:
    sold = auction.leader is not None and (auction.terms.reserve_price is None or auction.reserve_met)
    winner, name = (auction.leader, auction.leader_name) if sold else (None, None)
    return Closed(reason, winner, name, auction.price)


def _not_open(auction: Auction) -> Refusal:
    if auction.status is Status.SCHEDULED:
        return Refusal(AUCTION_NOT_OPEN)
    return Refusal(AUCTION_CLOSED, auction.price)
