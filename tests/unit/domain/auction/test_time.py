"""Opening, extending, ending (design.md §8)."""

import pytest
from auction_examples import ANN, BOB, END, MIDDLE, SELLER, START, after, bid, buy, decided, opened, scheduled, terms

from domain.auction.commands import Cancel, CloseEarly, Settle
from domain.auction.events import Cancelled, Closed, Extended, LeadTaken, Listed, Opened, Settled
from domain.auction.formats.english import ENGLISH
from domain.auction.refusal import refused
from domain.auction.state import Status
from domain.auction.terms import SoftClose
from domain.entity import Refusal, Tick
from domain.money import usd

SOFT = SoftClose(window_ms=10_000, extension_ms=10_000)


def test_an_auction_listed_before_its_start_is_scheduled():
    assert ENGLISH.open(terms(), START - 1) == [Listed(terms())]
    assert (scheduled().status, scheduled().due_at) == (Status.SCHEDULED, START)


def test_an_auction_listed_at_its_start_opens_at_once():
    assert ENGLISH.open(terms(), START) == [Listed(terms()), Opened()]
    assert (opened().status, opened().due_at) == (Status.OPEN, END)


def test_time_opens_and_closes():
    assert decided(scheduled(), Tick(), START - 1) == []
    assert decided(scheduled(), Tick(), START) == [Opened()]
    assert decided(opened(), Tick(), END - 1) == []
    assert decided(opened(), Tick(), END) == [Closed("time", None, None, usd(1))]


def test_an_auction_nobody_looked_after_opens_and_closes_at_once():
    assert decided(scheduled(), Tick(), END) == [Opened(), Closed("time", None, None, usd(1))]


def test_time_does_nothing_to_what_has_ended():
    closed = after(opened(), Tick(), now_ms=END)
    cancelled = after(opened(), Cancel(SELLER))
    assert decided(closed, Tick((START, END * 2)), END * 2) == decided(cancelled, Tick(), END * 2) == []
    assert (closed.due_at, cancelled.due_at) == (None, None)


def test_the_leader_wins_at_the_price():
    led = after(opened(), bid(ANN, usd(9)), bid(BOB, usd(5)))
    assert decided(led, Tick(), END) == [Closed("time", ANN, "ann", usd(5, 50))]


def test_a_bid_in_the_window_moves_the_end():
    at = END - 10_000
    assert decided(opened(soft_close=SOFT), bid(ANN, usd(9), "k"), at + 1) == [
        LeadTaken(ANN, "ann", usd(9), usd(1), usd(1, 25), END + 1, "k"),
        Extended(END + 1, "soft_close"),
    ]


def test_a_bid_before_the_window_does_not_move_the_end():
    auction = after(opened(soft_close=SOFT), bid(ANN, usd(9)), now_ms=END - 10_001)
    assert (auction.ends_at, auction.extensions) == (END, 0)


def test_a_bid_at_the_edge_of_the_window_moves_the_end_by_nothing_and_costs_no_extension():
    auction = after(opened(soft_close=SOFT), bid(ANN, usd(9)), now_ms=END - 10_000)
    assert (auction.ends_at, auction.extensions) == (END, 0)


def test_the_window_begins_at_its_edge():
    long = SoftClose(window_ms=10_000, extension_ms=30_000)
    assert after(opened(soft_close=long), bid(ANN, usd(9)), now_ms=END - 10_000).ends_at == END + 20_000
    assert after(opened(soft_close=long), bid(ANN, usd(9)), now_ms=END - 10_001).ends_at == END


def test_the_end_never_moves_back():
    short = SoftClose(window_ms=10_000, extension_ms=1_000)
    auction = after(opened(soft_close=short), bid(ANN, usd(9)), now_ms=END - 5_000)
    assert (auction.ends_at, auction.extensions) == (END, 0)


def test_any_counting_bid_extends_also_one_that_is_outbid_at_once_and_a_leaders_raise():
    led = after(opened(soft_close=SOFT), bid(ANN, usd(50)))
    assert after(led, bid(BOB, usd(9)), now_ms=END - 1).ends_at == END + 9_999
    assert after(led, bid(ANN, usd(60)), now_ms=END - 1).ends_at == END + 9_999


def test_refused_bids_never_extend():
    led = after(opened(soft_close=SOFT), bid(ANN, usd(50)))
    for too_little in (bid(BOB, 1), bid(ANN, usd(50)), bid(SELLER, usd(90))):
        assert isinstance(ENGLISH.decide(led, too_little, END - 1), Refusal)


def test_extensions_stop_at_their_cap():
    capped = SoftClose(window_ms=10_000, extension_ms=10_000, max_extensions=2)
    auction = after(opened(soft_close=capped), bid(ANN, usd(100)), now_ms=END - 1)
    auction = after(auction, bid(BOB, usd(2)), now_ms=auction.ends_at - 1)
    assert (auction.extensions, auction.ends_at) == (2, END + 2 * 9_999)
    auction = after(auction, bid(BOB, usd(5)), now_ms=auction.ends_at - 1)
    assert (auction.extensions, auction.ends_at) == (2, END + 2 * 9_999)


def test_an_outage_over_the_end_moves_it_by_the_outages_length():
    outage = (END - 3_000, END + 4_000)
    assert decided(opened(), Tick(outage), END + 4_000) == [Extended(END + 7_000, "outage")]
    auction = after(opened(soft_close=SOFT), Tick(outage), now_ms=END + 4_000)
    assert (auction.status, auction.ends_at, auction.extensions) == (Status.OPEN, END + 7_000, 0)


@pytest.mark.parametrize("outage", [(END, END + 1_000), (END - 1_000, END - 1), (END + 1, END + 2)])
def test_an_outage_beside_the_end_moves_nothing(outage: tuple[int, int]):
    assert decided(opened(), Tick(outage), END + 5_000) == [Closed("time", None, None, usd(1))]


def test_an_outage_that_ends_at_the_end_covers_it():
    assert decided(opened(), Tick((END - 5, END)), END) == [Extended(END + 5, "outage")]


def test_a_scheduled_auction_whose_whole_life_was_an_outage_opens_and_lives_on():
    outage = (START - 10, END + 10)
    assert decided(scheduled(), Tick(outage), END + 10) == [Opened(), Extended(END + 20 + END - START, "outage")]


def test_cancelling_before_the_first_bid():
    assert decided(opened(), Cancel(SELLER)) == [Cancelled(SELLER)]
    assert decided(scheduled(), Cancel(SELLER), START - 1) == [Cancelled(SELLER)]
    assert after(opened(), Cancel(SELLER)).status is Status.CANCELLED


def test_no_cancelling_after_the_first_bid_or_the_end():
    led = after(opened(), bid(ANN, usd(5)))
    assert ENGLISH.decide(led, Cancel(SELLER), MIDDLE) == refused("has_bids")
    assert ENGLISH.decide(after(led, Tick(), now_ms=END), Cancel(SELLER), END) == refused("auction_closed")


def test_only_its_seller_and_operators_may_cancel():
    assert ENGLISH.decide(opened(), Cancel(ANN), MIDDLE) == refused("forbidden")
    assert decided(opened(), Cancel(ANN, by_operator=True)) == [Cancelled(ANN)]


def test_what_is_cancelled_or_closed_already_is_not_ended_again():
    cancelled, closed = after(opened(), Cancel(SELLER)), after(opened(), CloseEarly(99))
    assert decided(cancelled, Cancel(SELLER)) == []
    assert decided(closed, CloseEarly(99)) == []
    assert ENGLISH.decide(closed, Cancel(SELLER), MIDDLE) == refused("auction_closed")
    assert ENGLISH.decide(cancelled, CloseEarly(99), MIDDLE) == refused("auction_closed", usd(1))


def test_closing_early_sells_as_time_would():
    led = after(opened(), bid(ANN, usd(5)))
    assert decided(led, CloseEarly(99)) == [Closed("operator", ANN, "ann", usd(1))]
    unmet = after(opened(reserve_price=usd(9)), bid(ANN, usd(5)))
    assert decided(unmet, CloseEarly(99)) == [Closed("operator", None, None, usd(1))]


def test_only_what_is_open_can_be_closed_early():
    assert ENGLISH.decide(scheduled(), CloseEarly(99), START - 1) == refused("auction_not_open")


@pytest.mark.parametrize("ending", [Tick(), CloseEarly(99), Cancel(SELLER), buy(ANN)])
def test_nothing_is_taken_after_any_kind_of_end(ending):
    auction = opened(buy_now_price=usd(30))
    ended = after(auction, ending, now_ms=END if isinstance(ending, Tick) else MIDDLE)
    refused = [ENGLISH.decide(ended, order, MIDDLE) for order in (bid(BOB, usd(90)), buy(BOB))]
    assert [refusal.code for refusal in refused] == ["auction_closed", "auction_closed"]


def test_a_sale_is_settled_once_as_it_was_closed():
    closed = after(opened(), bid(ANN, usd(5)), CloseEarly(99))
    paid = Settle(ANN, usd(1), 50_000, 0)
    assert decided(closed, paid) == [Settled(ANN, usd(1), 50_000, 0)]
    settled = after(closed, paid)
    assert settled.settled
    assert decided(settled, paid) == []
    for wrong in (Settle(BOB, usd(1), 0, 0), Settle(ANN, usd(2), 0, 0)):
        assert ENGLISH.decide(closed, wrong, MIDDLE) == refused("not_sold", usd(1))
    for unsold in (opened(), after(opened(), bid(ANN, usd(5))), after(opened(), CloseEarly(99))):
        assert ENGLISH.decide(unsold, paid, MIDDLE) == refused("not_sold", usd(1))
