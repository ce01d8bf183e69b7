"""What the public sees: all that it may, and nothing that is hidden."""

from typing import Any

import msgspec
from auction_examples import ANN, AUCTION, BOB, END, MIDDLE, START, after, bid, buy, decided, opened
from auction_requests import public
from auction_strategies import amounts, auctions, bid_events, history
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.auction.events import BidEvent, BoughtNow, Closed, Extended, Listed
from domain.auction.views import PublicState, outcome_of, public_event
from domain.entity import Tick
from domain.ids import id_text
from domain.money import usd


def test_an_open_auction_as_the_public_sees_it():
    auction = after(opened(reserve_price=usd(40)), bid(ANN, usd(30)), bid(BOB, usd(20)))
    assert public(auction, MIDDLE) == PublicState(
        id=id_text(AUCTION),
        format="english",
        title="Charizard",
        seller="sel",
        status="open",
        price=usd(20, 50),
        minimum=usd(21),
        leader="ann",
        bids=2,
        reserve="unmet",
        starts_at=START,
        ends_at=END,
        server_time=MIDDLE,
        placement="shared",
    )


def test_the_winner_is_public_once_there_is_one():
    led = after(opened(), bid(ANN, usd(5)))
    assert public(led, MIDDLE).winner is None
    sold = public(after(led, Tick(), now_ms=END), END)
    assert (sold.status, sold.closed_reason, sold.winner, sold.price) == ("closed", "time", "ann", usd(1))
    unsold = after(opened(reserve_price=usd(9)), bid(ANN, usd(5)))
    assert public(after(unsold, Tick(), now_ms=END), END).winner is None


def test_the_reserve_is_a_word_never_a_number():
    reserves = [opened(), opened(reserve_price=usd(9)), after(opened(reserve_price=usd(9)), bid(ANN, usd(9)))]
    assert [public(auction, MIDDLE).reserve for auction in reserves] == ["none", "unmet", "met"]


def test_the_reserve_of_what_was_bought_at_once_is_met():
    bought = after(opened(reserve_price=usd(9), buy_now_price=usd(20)), bid(ANN, usd(5)), buy(BOB))
    assert (public(bought, MIDDLE).reserve, public(bought, MIDDLE).winner) == ("met", "bob")


def test_buy_now_is_shown_while_it_can_be_taken():
    auction = opened(buy_now_price=usd(30))
    assert public(auction, MIDDLE).buy_now == usd(30)
    assert public(after(auction, bid(ANN, usd(5))), MIDDLE).buy_now is None
    assert public(after(auction, buy(ANN)), MIDDLE).buy_now is None


def test_what_bids_came_to():
    led = after(opened(), bid(ANN, usd(50)))
    outcomes = [
        outcome_of(decided(auction, order)[0])
        for auction, order in (
            (opened(), bid(ANN, usd(9))),
            (led, bid(BOB, usd(9))),
            (led, bid(BOB, usd(90))),
            (led, bid(ANN, usd(90))),
            (opened(buy_now_price=usd(9)), buy(ANN)),
        )
    ]
    assert outcomes == ["leading", "outbid", "leading", "leading", "won"]


def test_events_as_the_public_sees_them():
    led = after(opened(), bid(ANN, usd(50)))
    assert public_event(decided(led, bid(BOB, usd(9)))[0]) == (
        "bid",
        {"bidder": "bob", "price": usd(9, 50), "minimum": usd(10), "outcome": "outbid"},
    )
    assert public_event(Extended(END, "outage")) == ("extended", {"ends_at": END, "reason": "outage"})
    assert public_event(Closed("time", ANN, "ann", usd(1))) == (
        "closed",
        {"reason": "time", "sold": True, "winner": "ann", "price": usd(1)},
    )


@given(auctions, amounts, amounts)
def test_the_public_state_says_nothing_of_the_leaders_maximum(drawn: Any, one: int, other: int):
    for *_, auction in history(*drawn):
        views = [public(replace(auction, leader_maximum=hidden), MIDDLE) for hidden in (one, other)]
        assert views[0] == views[1]


@given(auctions, amounts, amounts)
def test_the_public_state_says_nothing_of_how_high_the_reserve_is(drawn: Any, one: int, other: int):
    for *_, auction in history(*drawn):
        if auction.terms.reserve_price is None:
            continue
        views = [
            public(replace(auction, terms=replace(auction.terms, reserve_price=hidden)), MIDDLE)
            for hidden in (one, other)
        ]
        assert views[0] == views[1]


@given(bid_events, amounts, st.text(max_size=5), st.integers(0, 2**60))
def test_a_public_bid_says_nothing_of_its_maximum_its_key_or_the_bidders_id(
    event: BidEvent, maximum: int, key: str, bidder: int
):
    assert public_event(replace(event, maximum=maximum, key=key, bidder=bidder)) == public_event(event)


@given(auctions, amounts)
def test_a_public_listing_says_nothing_of_the_reserve(drawn: Any, reserve: int):
    listed = replace(drawn[0], reserve_price=None)
    assert public_event(Listed(replace(listed, reserve_price=reserve))) == public_event(Listed(listed))


def numbers_in(value: object) -> set[int]:
    """All integers in the wire form of a value, also as text."""
    found: set[int] = set()
    if isinstance(value, dict):
        for part in value.values():
            found |= numbers_in(part)
    elif isinstance(value, int):
        found.add(value)
    elif isinstance(value, str) and value.isdecimal():
        found.add(int(value))
    return found


@given(auctions)
def test_no_hidden_amount_is_on_the_wire_in_any_place(drawn: Any):
    terms, orders = drawn
    for before, _, now, events, auction in history(terms, orders):
        shown = numbers_in(msgspec.to_builtins(public(auction, now)))
        for event in events:
            shown |= numbers_in(public_event(event)[1])
        known = {auction.price, before.price, auction.terms.starting_price, auction.terms.buy_now_price, now}
        known |= {auction.bids, auction.ends_at, before.ends_at, auction.terms.starts_at, int(False), int(True)}
        known |= {e.price for e in events if isinstance(e, BidEvent)}
        known |= {e.minimum for e in events if isinstance(e, BidEvent)}
        known |= {public(auction, now).minimum}
        # Every number shown is a price, a minimum, a count or a time: never a maximum or a reserve as such.
        assert shown <= known


def test_who_bought_at_once_is_told_with_the_price():
    event = decided(opened(buy_now_price=usd(9)), buy(ANN))[0]
    assert isinstance(event, BoughtNow)
    assert public_event(event) == (
        "bid",
        {"bidder": "ann", "price": usd(9), "minimum": usd(9), "outcome": "won"},
    )
