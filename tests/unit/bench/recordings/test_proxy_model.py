"""A second implementation of the rules, and its results for recorded auctions."""

from decimal import Decimal
from pathlib import Path

import pytest

from bench.recordings.ebay import read_auctions
from bench.recordings.estate_lots import read_estate_lots
from bench.recordings.model import RecordedAuction, RecordedBid
from bench.recordings.proxy_model import expected, step_at
from bench.recordings.replay import Outcome, dollars, why_different

USD = 1_000_000
# Beside the repository, where the project keeps its data.
DATASET = Path(__file__).resolve().parents[5] / "shared" / "data" / "ebay_auctions.csv"
LOTS = DATASET.with_name("estate_lots.json")


def usd(amount: float) -> int:
    return round(amount * USD)


def recorded(price: float, *bids: tuple[str, float], start: float = 1.0, disagree: bool = False) -> RecordedAuction:
    return RecordedAuction(
        "1", "Card", usd(start), usd(price),
        tuple(RecordedBid(bidder, usd(amount), Decimal(n)) for n, (bidder, amount) in enumerate(bids)), disagree,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("price", "step"),
    [(0.99, 0.05), (1, 0.25), (4.99, 0.25), (5, 0.5), (24.99, 0.5), (25, 1), (100, 2.5), (250, 5), (500, 10),
     (1_000, 25), (2_500, 50), (4_999.99, 50), (5_000, 100), (1_000_000, 100)],
)  # fmt: skip
def test_the_step_follows_the_price(price, step):
    assert step_at(usd(price)) == usd(step)


@pytest.mark.parametrize(
    ("bids", "price", "refused"),
    [
        ([], None, 0),
        ([("ann", 0.99)], None, 1),
        ([("ann", 50)], 1, 0),
        ([("ann", 50), ("bob", 80)], 51, 0),
        ([("ann", 50), ("bob", 50.40)], 50.40, 0),
        ([("ann", 50), ("bob", 20)], 20.50, 0),
        ([("ann", 50), ("bob", 50)], 50, 0),
        ([("ann", 50), ("ann", 40)], 1, 1),
        ([("ann", 50), ("ann", 60), ("bob", 70)], 61, 0),
        ([("ann", 50), ("bob", 20), ("cid", 21)], 21.50, 0),
        ([("ann", 50), ("bob", 20), ("cid", 20.99)], 20.50, 1),
    ],
)
def test_a_price_is_the_runner_ups_maximum_and_a_step_up_to_the_leaders(bids, price, refused):
    result = expected(usd(1), [(bidder, usd(amount)) for bidder, amount in bids])
    assert (result.price, result.refused) == (None if price is None else usd(price), refused)


def test_a_reserve_lifts_the_price_once_the_leaders_maximum_reaches_it():
    bids = [("ann", usd(20)), ("bob", usd(40))]
    assert expected(usd(1), bids, usd(30)).price == usd(30)
    assert expected(usd(1), bids, usd(40)).price == usd(40)
    assert expected(usd(1), bids, usd(41)).price == usd(20.5)
    assert expected(usd(1), [*bids, ("cid", usd(35))], usd(30)).price == usd(36)


def test_a_hidden_reserve_is_inferred_only_where_the_recorded_price_is_the_top_bid_above_the_rules():
    assert recorded(40, ("ann", 20), ("bob", 40)).hidden_reserve() == usd(40)
    assert recorded(20.5, ("ann", 20), ("bob", 40)).hidden_reserve() is None
    assert recorded(30, ("ann", 20), ("bob", 40)).hidden_reserve() is None
    # The price by the rules is the top bid: nothing hidden explains anything.
    assert recorded(40, ("ann", 40), ("bob", 40)).hidden_reserve() is None


@pytest.mark.parametrize(
    ("auction", "price", "why"),
    [
        (recorded(40, ("ann", 20), ("bob", 40)), 20.5, "looks like a hidden reserve"),
        (recorded(90, ("ann", 20), ("bob", 40)), 20.5, "no bid reaches the recorded price"),
        (recorded(30, ("ann", 20), ("bob", 40)), 20.5, "doesn't follow from the bids"),
        (recorded(30, ("ann", 20), ("bob", 40), disagree=True), 20.5, "its rows disagree on the closing price"),
        (recorded(40, ("ann", 20), ("bob", 40)), 21, "an error of the engine"),
        (recorded(40, ("ann", 20), ("bob", 40)), None, "an error of the engine"),
    ],
)
def test_a_difference_has_its_reason(auction, price, why):
    got = None if price is None else usd(price)
    assert why in why_different(Outcome(auction, "a1", got, auction.by_the_rules(), auction.by_the_rules().after))


def test_a_price_after_a_bid_that_differs_from_the_record_is_named():
    bids = (RecordedBid("ann", usd(5), Decimal(0), usd(1)), RecordedBid("bob", usd(9), Decimal(1), usd(6)))
    auction = RecordedAuction("1", "Card", usd(1), usd(5.5), bids)
    outcome = Outcome(auction, "a1", usd(5.5), auction.by_the_rules(), (usd(1), usd(5.5)))
    assert not outcome.exact
    assert outcome.follows_the_rules
    assert "the price recorded after bid 2" in why_different(outcome)


def test_prices_are_shown_in_dollars_to_the_last_base_unit():
    assert [dollars(amount) for amount in (177_500_000, 5_400_000_000, 1, None)] == [
        "$177.50", "$5,400.00", "$0.000001", "unsold",
    ]  # fmt: skip


@pytest.mark.skipif(not DATASET.exists(), reason="the eBay file stands beside the project's own repository only")
def test_the_rules_give_the_recorded_price_in_589_of_628_auctions_and_626_with_inferred_reserves():
    dataset = read_auctions(DATASET)
    assert (len(dataset.auctions), dataset.bids, dataset.broken) == (628, 10_681, ())
    plain = sum(auction.by_the_rules().price == auction.closing_price for auction in dataset.auctions)
    inferred = sum(
        auction.by_the_rules(auction.hidden_reserve()).price == auction.closing_price for auction in dataset.auctions
    )
    assert (plain, inferred) == (589, 626)


@pytest.mark.skipif(not LOTS.exists(), reason="the estate lots stand beside the project's own repository only")
def test_the_rules_give_the_recorded_price_after_each_bid_of_the_estate_lots():
    dataset = read_estate_lots(LOTS)
    assert (len(dataset.auctions), dataset.bids, dataset.broken) == (301, 1_827, ())
    different = [
        lot.auction_id for lot in dataset.auctions if lot.by_the_rules().after != tuple(b.price_after for b in lot.bids)
    ]
    assert different == []
