"""Hidden reserves and buy-now prices (design.md §8)."""

from auction_examples import ANN, BOB, CID, END, MIDDLE, SELLER, START, after, bid, buy, decided, opened, scheduled

from domain.auction.events import BoughtNow, Closed, LeadDefended, LeadRaised, LeadTaken, ReserveMet
from domain.auction.formats.english import ENGLISH
from domain.auction.refusal import refused
from domain.auction.state import Status
from domain.entity import Tick
from domain.money import usd


def test_the_price_jumps_to_the_reserve_when_the_first_bid_reaches_it():
    assert decided(opened(reserve_price=usd(40)), bid(ANN, usd(50), "k")) == [
        LeadTaken(ANN, "ann", usd(50), usd(40), usd(41), END, "k"),
        ReserveMet(),
    ]


def test_the_price_jumps_to_the_reserve_when_a_taker_reaches_it():
    led = after(opened(reserve_price=usd(40)), bid(ANN, usd(10)))
    assert decided(led, bid(BOB, usd(40), "k")) == [
        LeadTaken(BOB, "bob", usd(40), usd(40), usd(41), END, "k"),
        ReserveMet(),
    ]


def test_the_price_jumps_to_the_reserve_when_the_leader_raises_to_it():
    led = after(opened(reserve_price=usd(40)), bid(ANN, usd(10)))
    assert decided(led, bid(ANN, usd(45), "k")) == [
        LeadRaised(ANN, "ann", usd(45), usd(40), usd(41), END, "k"),
        ReserveMet(),
    ]


def test_a_price_already_above_the_reserve_does_not_jump():
    led = after(opened(reserve_price=usd(20)), bid(ANN, usd(19, 90)))
    assert decided(led, bid(BOB, usd(90), "k")) == [
        LeadTaken(BOB, "bob", usd(90), usd(20, 40), usd(20, 90), END, "k"),
        ReserveMet(),
    ]


def test_below_the_reserve_bids_go_their_usual_way():
    led = after(opened(reserve_price=usd(40)), bid(ANN, usd(10)))
    assert decided(led, bid(BOB, usd(39), "k")) == [
        LeadTaken(BOB, "bob", usd(39), usd(10, 50), usd(11), END, "k"),
    ]


def test_the_reserve_is_met_once():
    met = after(opened(reserve_price=usd(40)), bid(ANN, usd(50)))
    assert met.reserve_met
    assert decided(met, bid(BOB, usd(45), "k")) == [LeadDefended(BOB, "bob", usd(45), usd(46), usd(47), END, "k")]
    assert decided(met, bid(BOB, usd(60), "k")) == [LeadTaken(BOB, "bob", usd(60), usd(51), usd(52), END, "k")]


def test_a_reserve_that_is_not_met_leaves_the_auction_unsold():
    led = after(opened(reserve_price=usd(40)), bid(ANN, usd(30)))
    assert decided(led, Tick(), END) == [Closed("time", None, None, usd(1))]
    assert after(led, Tick(), now_ms=END).winner is None


def test_a_reserve_that_is_met_sells():
    led = after(opened(reserve_price=usd(40)), bid(ANN, usd(40)))
    assert decided(led, Tick(), END) == [Closed("time", ANN, "ann", usd(40))]


def test_buy_now_ends_the_auction_at_its_price():
    auction = opened(buy_now_price=usd(100))
    assert decided(auction, buy(ANN, "k")) == [
        BoughtNow(ANN, "ann", usd(100), usd(100), usd(100), END, "k"),
        Closed("buy_now", ANN, "ann", usd(100)),
    ]
    bought = after(auction, buy(ANN))
    assert (bought.status, bought.winner, bought.price, bought.due_at) == (Status.CLOSED, ANN, usd(100), None)


def test_buy_now_disappears_at_the_first_bid():
    led = after(opened(buy_now_price=usd(100)), bid(ANN, usd(2)))
    assert led.buy_now_price is None
    assert ENGLISH.decide(led, buy(BOB), MIDDLE) == refused("buy_now_gone", usd(1), usd(1, 25))


def test_with_a_reserve_buy_now_stays_until_that_is_met():
    auction = opened(buy_now_price=usd(100), reserve_price=usd(50))
    below = after(auction, bid(ANN, usd(49)))
    assert below.buy_now_price == usd(100)
    assert after(below, buy(BOB)).winner == BOB
    met = after(below, bid(CID, usd(50)))
    assert met.buy_now_price is None
    assert ENGLISH.decide(met, buy(BOB), MIDDLE) == refused("buy_now_gone", usd(50), usd(51))


def test_a_bid_below_what_buying_costs_may_still_be_bought_over_by_the_leader():
    below = after(opened(buy_now_price=usd(100), reserve_price=usd(50)), bid(ANN, usd(49)))
    assert after(below, buy(ANN)).winner == ANN


def test_buy_now_is_gone_where_a_bid_would_have_to_offer_more():
    # A reserve a hair above the price, and a step that passes the buy-now price.
    table = ((0, usd(20)),)
    auction = opened(increments=table, starting_price=usd(10), reserve_price=usd(29), buy_now_price=usd(29))
    led = after(auction, bid(ANN, usd(28)))
    assert led.buy_now_price == usd(29)
    assert ENGLISH.decide(led, buy(BOB), MIDDLE) == refused("buy_now_gone", usd(10), usd(30))


def test_what_was_never_for_sale_at_once_can_not_be_bought():
    assert ENGLISH.decide(opened(), buy(ANN), MIDDLE) == refused("buy_now_gone", usd(1), usd(1))


def test_the_seller_may_not_buy():
    assert ENGLISH.decide(opened(buy_now_price=usd(9)), buy(SELLER), MIDDLE) == refused("own_auction")


def test_nobody_buys_before_the_opening_or_after_the_end():
    auction = opened(buy_now_price=usd(9))
    assert ENGLISH.decide(scheduled(buy_now_price=usd(9)), buy(ANN), START - 1) == refused("auction_not_open")
    assert ENGLISH.decide(auction, buy(ANN), END) == refused("auction_closed", usd(1))
    assert ENGLISH.decide(after(auction, buy(ANN)), buy(BOB), MIDDLE) == refused("auction_closed", usd(9))
