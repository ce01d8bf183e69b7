"""Random auctions: terms that are sound, and orders that come close to every boundary of the rules."""

from auction_examples import AUCTION, NAMES, SELLER
from hypothesis import strategies as st

from domain.auction.commands import BuyNow, Cancel, CloseEarly, Command, PlaceBid, Settle
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
from domain.auction.formats.english import ENGLISH
from domain.auction.increments import STANDARD_INCREMENTS
from domain.auction.state import Auction, apply
from domain.auction.terms import SoftClose, Terms
from domain.entity import Refusal, Tick
from domain.money import AMOUNT_MAX

START = 1_000
# Small amounts meet each other often: equal maxima, exact minima and reserves are the interesting cases.
amounts = st.integers(1, 60) | st.integers(1, AMOUNT_MAX)
small_tables = st.sampled_from([((0, 1),), ((0, 5),), ((0, 3), (10, 7), (30, 2)), STANDARD_INCREMENTS])


@st.composite
def sound_terms(draw: st.DrawFn) -> Terms:
    """Terms without a fault, most of them small."""
    starting_price = draw(st.integers(1, 20))
    reserve = draw(st.none() | st.integers(starting_price, 50))
    return Terms(
        auction=AUCTION,
        seller=SELLER,
        seller_name=NAMES[SELLER],
        title="Charizard",
        starting_price=starting_price,
        starts_at=START,
        ends_at=START + draw(st.integers(1, 100)),
        reserve_price=reserve,
        buy_now_price=draw(st.none() | st.integers(max(starting_price, reserve or 0), 70)),
        increments=draw(small_tables),
        soft_close=draw(
            st.none() | st.builds(SoftClose, st.integers(1, 40), st.integers(1, 40), st.none() | st.integers(0, 3))
        ),
    )


bidders = st.integers(SELLER, SELLER + 4)
bids = st.builds(lambda who, amount, key: PlaceBid(who, f"n{who}", amount, key), bidders, amounts, st.text(max_size=3))
purchases = st.builds(lambda who, key: BuyNow(who, f"n{who}", key), bidders, st.text(max_size=3))
spans = st.tuples(st.integers(START - 50, START + 200), st.integers(0, 100)).map(lambda s: (s[0], s[0] + s[1]))
ticks = st.builds(Tick, st.none() | spans)
endings = st.builds(Cancel, bidders) | st.builds(CloseEarly, bidders)
settlements = st.builds(Settle, bidders, amounts, st.integers(0, 5), st.integers(0, 5))
orders = st.lists(
    st.tuples(
        st.one_of(bids, bids, bids, bids, bids, purchases, ticks, endings, settlements),
        st.integers(0, 9) | st.integers(0, 90),
    ),
    max_size=25,
)
"""(order, milliseconds since the one before)."""

auctions = st.tuples(sound_terms(), orders)


def history(
    terms: Terms, orders: list[tuple[Command, int]]
) -> list[tuple[Auction, Command, int, list[Event], Auction]]:
    """(before, order, time, events, after) of each order that was not refused."""
    now = START
    auction: Auction | None = None
    for event in ENGLISH.open(terms, now):
        auction = apply(auction, event)
    assert auction is not None
    steps = []
    for order, pause in orders:
        now += pause
        events = ENGLISH.decide(auction, order, now)
        if isinstance(events, Refusal):
            continue
        before = auction
        for event in events:
            auction = apply(auction, event)
        steps.append((before, order, now, events, auction))
    return steps


ids = st.integers(0, 2**63 - 1)
texts = st.text(max_size=10)
times = st.integers(0, 2**53)
bid_events = st.sampled_from([LeadTaken, LeadRaised, LeadDefended, BoughtNow]).flatmap(
    lambda kind: st.builds(kind, ids, texts, amounts, amounts, amounts, times, texts)
)
events = st.one_of(
    st.builds(Listed, sound_terms()),
    st.just(Opened()),
    bid_events,
    st.just(ReserveMet()),
    st.builds(Extended, times, st.sampled_from(["soft_close", "outage"])),
    st.builds(Closed, st.sampled_from(["time", "buy_now", "operator"]), st.none() | ids, st.none() | texts, amounts),
    st.builds(Cancelled, ids),
    st.builds(Settled, ids, amounts, amounts, amounts),
)
