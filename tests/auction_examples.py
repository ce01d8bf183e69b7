"""Auctions for tests: sound terms with what a test cares about, and bids played through the rules."""

from typing import Any

from domain.auction.commands import BuyNow, Command, PlaceBid
from domain.auction.events import Event
from domain.auction.formats.english import ENGLISH
from domain.auction.state import Auction, apply
from domain.auction.terms import Terms
from domain.entity import Refusal
from domain.money import usd

AUCTION = 7_100_000_000_000_001
SELLER, ANN, BOB, CID = 1, 2, 3, 4
NAMES = {SELLER: "sel", ANN: "ann", BOB: "bob", CID: "cid"}
START, END = 1_000_000, 2_000_000
MIDDLE = 1_500_000


def terms(**changes: Any) -> Terms:
    """One dollar to start with, no reserve, eBay's increments, open from START to END."""
    fields: dict[str, Any] = {
        "auction": AUCTION,
        "seller": SELLER,
        "seller_name": NAMES[SELLER],
        "title": "Charizard",
        "starting_price": usd(1),
        "starts_at": START,
        "ends_at": END,
    }
    return Terms(**(fields | changes))


def bid(bidder: int, amount: int, key: str | None = None) -> PlaceBid:
    return PlaceBid(bidder, NAMES[bidder], amount, key or f"{bidder}-{amount}")


def buy(bidder: int, key: str = "buy") -> BuyNow:
    return BuyNow(bidder, NAMES[bidder], key)


def replayed(events: list[Event], auction: Auction | None = None) -> Auction:
    """The state after these events."""
    for event in events:
        auction = apply(auction, event)
    assert auction is not None
    return auction


def scheduled(**changes: Any) -> Auction:
    """Listed, not yet open."""
    return replayed(ENGLISH.open(terms(**changes), START - 1))


def opened(**changes: Any) -> Auction:
    """Open, without bids."""
    return replayed(ENGLISH.open(terms(**changes), START))


def decided(auction: Auction, command: Command, now_ms: int = MIDDLE) -> list[Event]:
    """The events of a command that must not be refused."""
    events = ENGLISH.decide(auction, command, now_ms)
    assert not isinstance(events, Refusal), events
    return events


def after(auction: Auction, *commands: Command, now_ms: int = MIDDLE) -> Auction:
    """The state after commands of which none is refused."""
    for command in commands:
        auction = replayed(decided(auction, command, now_ms), auction)
    return auction
