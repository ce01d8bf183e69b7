"""The rules against a naive model: all bids in a list, ranked and priced again each time."""

from auction_strategies import START, amounts, sound_terms
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from domain.auction.commands import BuyNow, PlaceBid
from domain.auction.formats.english import ENGLISH
from domain.auction.state import Auction, apply, minimum_bid
from domain.auction.terms import Terms
from domain.entity import Refusal, Tick

ACCEPTED = "accepted"


class NaiveAuction:
    """What a careful person with a pencil would do. Knows nothing of leads taken, raised or defended."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.offers: list[tuple[int, int]] = []  # (bidder, maximum), as accepted
        self.price = terms.starting_price
        self.ends_at = terms.ends_at
        self.extended = 0
        self.sold_to: int | None = None
        self.over = False

    def step_at(self, price: int) -> int:
        step = 0
        for from_price, row_step in self.terms.increments:
            if price >= from_price:
                step = row_step
        return step

    def ranking(self) -> list[tuple[int, int]]:
        """(maximum, bidder), each bidder once, the best first; of equal maxima the one that stood first."""
        best: dict[int, tuple[int, int]] = {}
        for place, (bidder, maximum) in enumerate(self.offers):
            if bidder not in best or maximum > -best[bidder][0]:
                best[bidder] = (-maximum, place)
        return [(-rank[0], bidder) for bidder, rank in sorted(best.items(), key=lambda item: item[1])]

    @property
    def leader(self) -> int | None:
        ranking = self.ranking()
        return ranking[0][1] if ranking else None

    @property
    def minimum(self) -> int:
        return self.price + self.step_at(self.price) if self.offers else self.terms.starting_price

    @property
    def reserve_met(self) -> bool:
        ranking, reserve = self.ranking(), self.terms.reserve_price
        return reserve is not None and bool(ranking) and ranking[0][0] >= reserve

    def bid(self, bidder: int, maximum: int, now: int) -> str:
        if self.over or now >= self.ends_at:
            return "auction_closed"
        if bidder == self.terms.seller:
            return "own_auction"
        raising = bidder == self.leader
        if raising and maximum <= self.ranking()[0][0]:
            return "already_leading"
        if not raising and maximum < self.minimum:
            return "bid_too_low"
        self.offers.append((bidder, maximum))
        ranking = self.ranking()
        if len(ranking) > 1 and not raising:
            second = ranking[1][0]
            self.price = min(ranking[0][0], second + self.step_at(second))
        if self.reserve_met:
            self.price = max(self.price, self.terms.reserve_price or 0)
        self._soft_close(now)
        return ACCEPTED

    def _soft_close(self, now: int) -> None:
        soft = self.terms.soft_close
        if soft is None or now < self.ends_at - soft.window_ms:
            return
        later = now + soft.extension_ms
        if later > self.ends_at and (soft.max_extensions is None or self.extended < soft.max_extensions):
            self.ends_at, self.extended = later, self.extended + 1

    def buy(self, bidder: int, now: int) -> str:
        if self.over or now >= self.ends_at:
            return "auction_closed"
        if bidder == self.terms.seller:
            return "own_auction"
        price, reserve = self.terms.buy_now_price, self.terms.reserve_price
        gone = self.reserve_met if reserve is not None else bool(self.offers)
        if price is None or gone or (self.offers and price < self.minimum):
            return "buy_now_gone"
        self.price, self.sold_to, self.over = price, bidder, True
        return ACCEPTED

    def time_passes(self, now: int) -> None:
        if not self.over and now >= self.ends_at:
            self.over = True
            if self.offers and (self.terms.reserve_price is None or self.reserve_met):
                self.sold_to = self.leader


class AuctionBesideModel(RuleBasedStateMachine):
    """Orders go to both; both say the same of everything that can be seen."""

    @initialize(terms=sound_terms())
    def list(self, terms: Terms) -> None:
        self.now = START
        self.model = NaiveAuction(terms)
        auction: Auction | None = None
        for event in ENGLISH.open(terms, self.now):
            auction = apply(auction, event)
        assert auction is not None
        self.auction: Auction = auction

    @rule(bidder=st.integers(1, 4), maximum=amounts)
    def bid(self, bidder: int, maximum: int) -> None:
        assert self.outcome(PlaceBid(bidder, f"n{bidder}", maximum, "k")) == self.model.bid(bidder, maximum, self.now)

    @rule(bidder=st.integers(1, 4), above=st.integers(-2, 8))
    def bid_near_the_minimum(self, bidder: int, above: int) -> None:
        self.bid(bidder, max(1, self.model.minimum + above))

    @rule(bidder=st.integers(1, 4), above=st.integers(-1, 2))
    def bid_near_the_best(self, bidder: int, above: int) -> None:
        ranking = self.model.ranking()
        self.bid(bidder, max(1, (ranking[0][0] if ranking else 1) + above))

    @rule(bidder=st.integers(1, 4))
    def buy(self, bidder: int) -> None:
        assert self.outcome(BuyNow(bidder, f"n{bidder}", "k")) == self.model.buy(bidder, self.now)

    @rule(pause=st.integers(0, 12))
    def wait(self, pause: int) -> None:
        self.now += pause

    @rule()
    def look_at_the_clock(self) -> None:
        assert self.outcome(Tick()) == ACCEPTED
        self.model.time_passes(self.now)

    def outcome(self, order: PlaceBid | BuyNow | Tick) -> str:
        events = ENGLISH.decide(self.auction, order, self.now)
        if isinstance(events, Refusal):
            return events.code
        for event in events:
            self.auction = apply(self.auction, event)
        return ACCEPTED

    @invariant()
    def they_agree(self) -> None:
        if not hasattr(self, "auction"):
            return
        auction, model = self.auction, self.model
        seen = (auction.price, auction.ends_at, auction.ended, auction.winner, auction.reserve_met)
        assert seen == (model.price, model.ends_at, model.over, model.sold_to, model.reserve_met)
        if auction.closed_reason != "buy_now":
            assert (auction.leader, minimum_bid(auction), auction.bids) == (
                model.leader,
                model.minimum,
                len(model.offers),
            )


TestAuctionBesideModel = AuctionBesideModel.TestCase
TestAuctionBesideModel.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
