"""Proxy bids (design.md §8): who leads, and at what price."""

import pytest
from auction_examples import ANN, BOB, CID, END, MIDDLE, SELLER, START, after, bid, decided, opened, scheduled

from domain.auction.events import LeadDefended, LeadRaised, LeadTaken
from domain.auction.formats.english import ENGLISH
from domain.auction.refusal import refused
from domain.auction.state import minimum_bid
from domain.money import usd


def test_the_first_bid_leads_at_the_starting_price_whatever_its_maximum():
    assert decided(opened(), bid(ANN, usd(50), "k")) == [
        LeadTaken(ANN, "ann", usd(50), usd(1), usd(1, 25), END, "k")
    ]  # fmt: skip


def test_the_first_bid_may_be_the_starting_price_itself():
    assert decided(opened(), bid(ANN, usd(1), "k")) == [LeadTaken(ANN, "ann", usd(1), usd(1), usd(1, 25), END, "k")]


def test_the_first_bid_below_the_starting_price_is_refused():
    assert ENGLISH.decide(opened(), bid(ANN, usd(1) - 1), MIDDLE) == refused("bid_too_low", usd(1), usd(1))


def test_a_higher_maximum_takes_the_lead_one_step_above_the_old_one():
    led = after(opened(), bid(ANN, usd(50)))
    assert decided(led, bid(BOB, usd(80), "k")) == [LeadTaken(BOB, "bob", usd(80), usd(51), usd(52), END, "k")]


def test_a_maximum_higher_by_less_than_a_step_takes_the_lead_at_that_maximum():
    led = after(opened(), bid(ANN, usd(50)))
    assert decided(led, bid(BOB, usd(50, 1), "k")) == [
        LeadTaken(BOB, "bob", usd(50, 1), usd(50, 1), usd(51, 1), END, "k")
    ]  # fmt: skip


def test_a_lower_maximum_raises_the_price_to_a_step_above_itself():
    led = after(opened(), bid(ANN, usd(50)))
    assert decided(led, bid(BOB, usd(20), "k")) == [
        LeadDefended(BOB, "bob", usd(20), usd(20, 50), usd(21), END, "k")
    ]  # fmt: skip


def test_the_price_never_passes_the_leaders_maximum():
    led = after(opened(), bid(ANN, usd(50)))
    assert decided(led, bid(BOB, usd(49, 50), "k")) == [
        LeadDefended(BOB, "bob", usd(49, 50), usd(50), usd(51), END, "k")
    ]  # fmt: skip


def test_an_equal_maximum_keeps_the_earlier_bidder_in_front_at_that_price():
    led = after(opened(), bid(ANN, usd(50)))
    assert decided(led, bid(BOB, usd(50), "k")) == [LeadDefended(BOB, "bob", usd(50), usd(50), usd(51), END, "k")]
    settled = after(led, bid(BOB, usd(50)))
    assert (settled.leader, settled.price, settled.bids) == (ANN, usd(50), 2)


def test_a_leader_who_raises_does_not_move_the_price():
    led = after(opened(), bid(ANN, usd(50)), bid(BOB, usd(20)))
    assert decided(led, bid(ANN, usd(90), "k")) == [
        LeadRaised(ANN, "ann", usd(90), usd(20, 50), usd(21), END, "k")
    ]  # fmt: skip


def test_a_leader_may_raise_by_less_than_the_minimum():
    led = after(opened(), bid(ANN, usd(50)), bid(BOB, usd(50)))
    assert minimum_bid(led) == usd(51)
    raised = after(led, bid(ANN, usd(50) + 1))
    assert (raised.leader, raised.leader_maximum, raised.price) == (ANN, usd(50) + 1, usd(50))


@pytest.mark.parametrize("amount", [usd(50), usd(50) - 1, usd(2), 1])
def test_a_leader_who_does_not_raise_is_refused(amount: int):
    led = after(opened(), bid(ANN, usd(50)))
    assert ENGLISH.decide(led, bid(ANN, amount), MIDDLE) == refused("already_leading", usd(1), usd(1, 25))


def test_a_bid_below_the_minimum_is_refused_with_what_it_was_decided_on():
    led = after(opened(), bid(ANN, usd(50)), bid(BOB, usd(20)))
    assert ENGLISH.decide(led, bid(CID, usd(21) - 1), MIDDLE) == refused("bid_too_low", usd(20, 50), usd(21))


def test_a_bid_of_exactly_the_minimum_counts():
    led = after(opened(), bid(ANN, usd(50)), bid(BOB, usd(20)))
    assert after(led, bid(CID, usd(21))).price == usd(21, 50)


def test_who_was_outbid_may_come_back_and_lead():
    auction = after(opened(), bid(ANN, usd(10)), bid(BOB, usd(20)), bid(ANN, usd(30)))
    assert (auction.leader, auction.price, auction.leader_maximum) == (ANN, usd(20, 50), usd(30))


def test_the_step_is_that_of_the_maximum_that_was_passed():
    # 24.99 is below the boundary at 25: its step is half a dollar, that of 25 a whole one.
    assert after(opened(), bid(ANN, usd(24, 99)), bid(BOB, usd(90))).price == usd(25, 49)
    assert after(opened(), bid(ANN, usd(25)), bid(BOB, usd(90))).price == usd(26)


def test_a_sellers_own_increments_count():
    table = ((0, usd(2)), (usd(10), usd(5)))
    auction = after(opened(increments=table), bid(ANN, usd(8)), bid(BOB, usd(30)))
    assert (auction.price, minimum_bid(auction)) == (usd(10), usd(15))
    assert ENGLISH.decide(auction, bid(CID, usd(15) - 1), MIDDLE) == refused("bid_too_low", usd(10), usd(15))
    assert after(auction, bid(CID, usd(15))).price == usd(20)


def test_the_seller_may_not_bid():
    assert ENGLISH.decide(opened(), bid(SELLER, usd(5)), MIDDLE) == refused("own_auction")


def test_no_bid_before_the_opening():
    assert ENGLISH.decide(scheduled(), bid(ANN, usd(5)), START - 1) == refused("auction_not_open")


def test_no_bid_from_the_end_on_even_before_the_auction_was_closed():
    led = after(opened(), bid(ANN, usd(5)))
    assert ENGLISH.decide(led, bid(BOB, usd(9)), END) == refused("auction_closed", usd(1))
    assert after(led, bid(BOB, usd(9)), now_ms=END - 1).leader == BOB


def test_a_refused_seller_learns_no_price():
    # The order of the guards: whose auction it is comes before how much was bid.
    assert ENGLISH.decide(opened(), bid(SELLER, 1), MIDDLE) == refused("own_auction")
