"""Recorded auctions, whatever file they come from."""

from dataclasses import dataclass
from decimal import Decimal

from bench.recordings.proxy_model import EBAY_STEPS, Expected, Steps, expected


class UnusableRecording(Exception):
    """The file is no recording that can be replayed. The message says what it would need."""


@dataclass(frozen=True)
class RecordedBid:
    """A bidder's maximum, when (days since the opening), and the price that the site showed after it, if recorded."""

    bidder: str
    amount: int
    at_days: Decimal
    price_after: int | None = None


@dataclass(frozen=True)
class RecordedAuction:
    """One auction as recorded, bids in time order; equal times keep the file's order. Money in base units.

    ``steps``: the increments of the site that it was recorded at.
    """

    auction_id: str
    item: str
    starting_price: int
    closing_price: int
    bids: tuple[RecordedBid, ...]
    prices_disagree: bool = False
    steps: Steps = EBAY_STEPS

    @property
    def top_bid(self) -> int:
        return max(bid.amount for bid in self.bids)

    @property
    def lasts_days(self) -> float:
        return float(self.bids[-1].at_days)

    def by_the_rules(self, reserve: int | None = None) -> Expected:
        """What the proxy rules make of the bids."""
        return expected(self.starting_price, ((bid.bidder, bid.amount) for bid in self.bids), reserve, self.steps)

    def hidden_reserve(self) -> int | None:
        """The reserve that explains the recorded price: it is the top bid, and the rules alone stay below it."""
        by_the_rules = self.by_the_rules().price
        hides = by_the_rules is not None and self.top_bid == self.closing_price > by_the_rules
        return self.closing_price if hides else None


@dataclass(frozen=True)
class BrokenRow:
    """A row that was skipped: its line, counted from 1, and why."""

    line: int
    reason: str


@dataclass(frozen=True)
class Dataset:
    """What a file holds, and what of it could not be used."""

    auctions: tuple[RecordedAuction, ...]
    broken: tuple[BrokenRow, ...] = ()

    @property
    def bids(self) -> int:
        return sum(len(auction.bids) for auction in self.auctions)
