"""What holds in every auction, whatever happens in it."""

from typing import Any

from auction_examples import AUCTION, SELLER
from auction_requests import decode_event
from auction_strategies import START, auctions, bids, history, purchases, sound_terms, ticks
from hypothesis import given
from hypothesis import strategies as st

from domain.auction.commands import BuyNow, Command, PlaceBid
from domain.auction.events import BidEvent, Closed, Extended, Listed, Opened
from domain.auction.formats.english import ENGLISH
from domain.auction.increments import increment_at
from domain.auction.state import Auction, Status, apply, minimum_bid
from domain.auction.terms import Terms, terms_fault
from domain.entity import Refusal
from domain.log.codec import encode

BEFORE_ANY_BID = -1


@given(sound_terms())
def test_the_drawn_terms_are_sound(terms: Terms):
    assert terms_fault(terms) is None


@given(auctions)
def test_the_price_never_falls(drawn: Any):
    for before, _, _, _, auction in history(*drawn):
        assert auction.price >= before.price


@given(auctions)
def test_the_price_never_passes_the_leaders_maximum(drawn: Any):
    for *_, auction in history(*drawn):
        if auction.leader is not None:
            assert auction.price <= auction.leader_maximum


@given(auctions)
def test_the_price_never_passes_the_runner_up_by_more_than_a_step_reserve_aside(drawn: Any):
    terms, _ = drawn
    best: dict[int, int] = {}
    for _, _, _, events, auction in history(*drawn):
        best |= {e.bidder: max(e.maximum, best.get(e.bidder, 0)) for e in events if isinstance(e, BidEvent)}
        others = [maximum for bidder, maximum in best.items() if bidder != auction.leader]
        if auction.closed_reason == "buy_now" or auction.leader is None:
            continue
        runner_up = max(others, default=BEFORE_ANY_BID)
        floor = terms.starting_price if runner_up == BEFORE_ANY_BID else runner_up + increment_at(
            terms.increments, runner_up
        )  # fmt: skip
        assert auction.price <= max(floor, terms.reserve_price or 0 if auction.reserve_met else 0)


@given(auctions, st.integers(SELLER + 10, SELLER + 20))
def test_an_equal_maximum_keeps_the_earlier_in_front(drawn: Any, late: int):
    for *_, now, _, auction in history(*drawn):
        events = ENGLISH.decide(auction, PlaceBid(late, "late", auction.leader_maximum, "k"), now)
        if isinstance(events, Refusal):
            continue
        then = _applied(auction, events)
        assert (then.leader, then.price) == (auction.leader, auction.leader_maximum)


@given(auctions)
def test_only_a_bid_strictly_above_the_leaders_maximum_changes_the_leader(drawn: Any):
    for before, order, _, _, auction in history(*drawn):
        if auction.leader != before.leader and isinstance(order, PlaceBid):
            assert order.bidder == auction.leader
            assert order.amount > before.leader_maximum


@given(auctions)
def test_an_accepted_bid_gives_its_bidder_no_worse_than_the_minimum_it_met(drawn: Any):
    for before, order, _, events, _ in history(*drawn):
        if isinstance(order, PlaceBid):
            assert order.amount >= min(minimum_bid(before), before.leader_maximum + 1)
            assert events[0].maximum == order.amount


@given(auctions)
def test_what_an_event_says_of_price_minimum_and_end_is_what_the_state_says_after_it(drawn: Any):
    for _, order, _, events, auction in history(*drawn):
        if isinstance(order, PlaceBid):
            first = events[0]
            assert (first.price, first.minimum, first.ends_at) == (auction.price, minimum_bid(auction), auction.ends_at)


@given(auctions)
def test_replaying_the_logged_bytes_gives_the_state(drawn: Any):
    terms, orders = drawn
    log = [encode(event) for event in ENGLISH.open(terms, START)]
    for _, _, _, events, auction in history(terms, orders):
        log += [encode(event) for event in events]
        assert _replayed(log) == auction


@given(auctions)
def test_an_auction_ends_once_and_nothing_follows(drawn: Any):
    steps = history(*drawn)
    ends = [i for i, (*_, auction) in enumerate(steps) if auction.ended]
    closings = [event for _, _, _, events, _ in steps for event in events if isinstance(event, Closed)]
    assert len(closings) <= 1
    # After the end only orders that do nothing are left (a tick with no events).
    assert all(steps[i][3] == [] for i in ends[1:])


@given(auctions)
def test_a_winner_leads_and_met_the_reserve_or_bought(drawn: Any):
    terms, _ = drawn
    for *_, auction in history(*drawn):
        if auction.winner is not None:
            assert auction.winner == auction.leader
            assert auction.winner != terms.seller
            assert auction.price >= (terms.reserve_price or 0)
        elif auction.status is Status.CLOSED:
            assert auction.leader is None or not auction.reserve_met


@given(auctions)
def test_the_end_never_moves_back_and_soft_closes_keep_their_cap(drawn: Any):
    terms, _ = drawn
    for before, _, _, events, auction in history(*drawn):
        assert auction.ends_at >= before.ends_at
        if terms.soft_close is None:
            assert not any(isinstance(e, Extended) and e.reason == "soft_close" for e in events)
        elif terms.soft_close.max_extensions is not None:
            assert auction.extensions <= terms.soft_close.max_extensions


@given(auctions)
def test_a_bid_accepted_in_the_window_leaves_time_for_another(drawn: Any):
    terms, _ = drawn
    soft = terms.soft_close
    for before, order, now, _, auction in history(*drawn):
        if soft is None or not isinstance(order, PlaceBid):
            continue
        capped = soft.max_extensions is not None and before.extensions >= soft.max_extensions
        if before.ends_at - now <= soft.window_ms and not capped:
            assert auction.ends_at == max(before.ends_at, now + soft.extension_ms)
        else:
            assert auction.ends_at == before.ends_at


@given(auctions)
def test_no_bid_counts_at_or_after_the_end_or_from_the_seller(drawn: Any):
    terms, _ = drawn
    for before, order, now, _, _ in history(*drawn):
        if isinstance(order, PlaceBid | BuyNow):
            assert before.status is Status.OPEN
            assert now < before.ends_at
            assert order.bidder != terms.seller


@given(auctions, bids | purchases | ticks, st.integers(0, 200))
def test_deciding_changes_nothing_and_gives_the_same_again(drawn: Any, order: Command, pause: int):
    steps = history(*drawn)
    if not steps:
        return
    *_, now, _, auction = steps[-1]
    copy = _replayed_state(drawn, auction)
    assert ENGLISH.decide(auction, order, now + pause) == ENGLISH.decide(auction, order, now + pause)
    assert auction == copy


@given(auctions, st.integers(0, 200))
def test_an_accepted_bid_offered_again_is_refused_at_any_later_time(drawn: Any, pause: int):
    """The argument on which `Host` need not look a key up before it accepts a bid."""
    steps = history(*drawn)
    for i, (_, order, _, _, _) in enumerate(steps):
        if not isinstance(order, PlaceBid | BuyNow):
            continue
        for *_, now, _, auction in steps[i:]:
            assert isinstance(ENGLISH.decide(auction, order, now), Refusal)
            assert isinstance(ENGLISH.decide(auction, order, now + pause), Refusal)


def _applied(auction: Auction, events: list[Any]) -> Auction:
    for event in events:
        auction = apply(auction, event)
    return auction


def _replayed(log: list[bytes]) -> Auction:
    auction: Auction | None = None
    for body in log:
        auction = apply(auction, decode_event(body))
    assert auction is not None
    return auction


def _replayed_state(drawn: Any, auction: Auction) -> Auction:
    """A copy of the state: equal, but another object."""
    terms, orders = drawn
    events: list[Any] = [Listed(terms), Opened()]
    for *_, decided, after in history(terms, orders):
        events += decided
        if after == auction:
            made = _replayed([encode(event) for event in events])
            if made == auction:
                return made
    raise AssertionError(f"auction {AUCTION} is not in its own history")
