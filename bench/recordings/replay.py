"""Recorded auctions, replayed over the engine's own wire, and the results compared with the recorded ones."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.recordings.model import RecordedAuction
from bench.recordings.proxy_model import EBAY_STEPS, Expected
from bench.wire.accounts import OPERATOR_ROLE, Accounts, Roster, RosterTokens, username_of
from bench.wire.rest_client import RestClient
from bench.wire.socket_pool import ClientPool, sockets_allowed
from ece_client import BidResult, Client, Refused

SELLER = "replay_seller"
OPERATOR = "replay_operator"
CONCURRENCY = 64
CONCURRENCY_MAX = 10_000
DAY_S = 86_400
# Longer than any recorded auction, so that none ends by itself while its bids are sent at --speed 1.
DURATION_MS = 30 * DAY_S * 1000
TITLE_LENGTH_MAX = 120
FINAL_STATE_DEADLINE_S = 30.0
FINAL_STATE_POLL_S = 0.02
ENDED = frozenset({"closed", "settled", "unsold", "cancelled"})


@dataclass(frozen=True)
class ReplayOptions:
    """`speed` times real time, or None for as fast as they go; `concurrency` auctions at once."""

    infer_reserves: bool = False
    speed: float | None = None
    concurrency: int = CONCURRENCY


@dataclass(frozen=True)
class Outcome:
    """One auction replayed. Prices in base units; `price` None: no bid was accepted."""

    recorded: RecordedAuction
    auction: str
    price: int | None
    # What the independent model of the rules makes of the same bids.
    by_the_rules: Expected
    # The price that the engine answered to each bid, None where it refused it.
    after: tuple[int | None, ...]

    @property
    def exact(self) -> bool:
        return self.price == self.recorded.closing_price and self.first_difference is None

    @property
    def first_difference(self) -> int | None:
        """The place of the first bid after which another price was recorded, where the prices after bids were."""
        for place, (bid, price) in enumerate(zip(self.recorded.bids, self.after, strict=True)):
            if bid.price_after is not None and bid.price_after != price:
                return place
        return None

    @property
    def follows_the_rules(self) -> bool:
        """Whether the engine did what the independent model of the rules does, whatever was recorded."""
        return (self.price, self.after) == (self.by_the_rules.price, self.by_the_rules.after)


@dataclass
class LiveAuction:
    """An auction whose bids are being sent, for a view."""

    recorded: RecordedAuction
    price: int | None = None
    sent: int = 0


@dataclass
class Progress:
    """How far a replay is; a view reads it while it runs."""

    auctions: int = 0
    bids: int = 0
    phase: str = "starting"
    opened: int = 0
    sent: int = 0
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    ack_s: list[float] = field(default_factory=list)
    first_bid_s: float | None = None
    last_ack_s: float | None = None
    live: dict[str, LiveAuction] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    sockets_opened: Callable[[], int] = lambda: 0

    @property
    def exact(self) -> int:
        return sum(outcome.exact for outcome in self.outcomes)

    @property
    def bidding_s(self) -> float:
        """From the first bid sent to the last answer."""
        if self.first_bid_s is None or self.last_ack_s is None:
            return 0.0
        return self.last_ack_s - self.first_bid_s

    @property
    def bids_per_s(self) -> float:
        return self.sent / self.bidding_s if self.bidding_s > 0 else 0.0


async def replay(
    base_url: str, accounts: Accounts, auctions: Sequence[RecordedAuction], options: ReplayOptions, progress: Progress
) -> list[Outcome]:
    """Run the auctions on the engine at `base_url`. Fresh auctions each time; bidders are used again.

    Outcomes in the order of `auctions`. Raises an ExceptionGroup when the engine stays unreachable or refuses.
    """
    progress.auctions = len(auctions)
    progress.bids = sum(len(auction.bids) for auction in auctions)
    progress.phase = "registering bidders"
    roster = Roster(accounts)
    await roster.enlist([SELLER])
    await roster.enlist([OPERATOR], OPERATOR_ROLE)
    await roster.enlist(sorted({username_of(bid.bidder) for auction in auctions for bid in auction.bids}))
    rest = RestClient(base_url, roster)
    pool = ClientPool(lambda bidder: Client(base_url, tokens=RosterTokens(roster, bidder)), sockets_allowed())
    progress.sockets_opened = lambda: pool.opened
    progress.phase = "bidding"
    # At a given speed all auctions run at the same time, as they were recorded.
    at_once = asyncio.Semaphore(options.concurrency if options.speed is None else max(1, len(auctions)))
    run = _Run(rest, pool, options, progress, started_s=time.monotonic())
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(run.one(auction, at_once)) for auction in auctions]
        progress.phase = "done"
        return [task.result() for task in running]
    finally:
        await pool.close()
        await rest.close()


@dataclass
class _Run:
    rest: RestClient
    pool: ClientPool
    options: ReplayOptions
    progress: Progress
    started_s: float

    async def one(self, recorded: RecordedAuction, at_once: asyncio.Semaphore) -> Outcome:
        """One auction from its opening to its comparison."""
        async with at_once:
            reserve = recorded.hidden_reserve() if self.options.infer_reserves else None
            state = await self.rest.open_auction(SELLER, _terms(recorded, reserve))
            auction = str(state["id"])
            self.progress.opened += 1
            live = self.progress.live[auction] = LiveAuction(recorded)
            try:
                after = await self._bid_all(auction, live)
            finally:
                del self.progress.live[auction]
            final = await self._closed(auction)
            price = int(final["price"]) if final["bids"] else None
            outcome = Outcome(recorded, auction, price, recorded.by_the_rules(reserve), tuple(after))
            self.progress.outcomes.append(outcome)
            return outcome

    async def _bid_all(self, auction: str, live: LiveAuction) -> list[int | None]:
        """Send the bids, each after the former's answer; the price after each, None where it was refused."""
        after: list[int | None] = []
        for bid in live.recorded.bids:
            if self.options.speed is not None:
                due_s = self.started_s + float(bid.at_days) * DAY_S / self.options.speed
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            answer = await self._bid(auction, username_of(bid.bidder), bid.amount)
            live.sent += 1
            if isinstance(answer, Refused):
                self.progress.refused[answer.code] += 1
                after.append(None)
            else:
                self.progress.accepted += 1
                live.price = answer.price
                after.append(answer.price)
        return after

    async def _bid(self, auction: str, bidder: str, amount: int) -> BidResult | Refused:
        progress = self.progress
        async with self.pool.lease(bidder) as client:
            # Timed from the first sending, retries included; opening the socket is no part of it.
            sent_s = time.monotonic()
            try:
                answer: BidResult | Refused = await client.bid(auction, amount)
            except Refused as refused:
                answer = refused
        progress.last_ack_s = time.monotonic()
        if progress.first_bid_s is None:
            progress.first_bid_s = sent_s
        progress.ack_s.append(progress.last_ack_s - sent_s)
        progress.sent += 1
        return answer

    async def _closed(self, auction: str) -> dict[str, Any]:
        """Close the auction and read its final state."""
        state = await self.rest.close_auction(OPERATOR, auction)
        ends_s = time.monotonic() + FINAL_STATE_DEADLINE_S
        while state.get("status") not in ENDED or "price" not in state or "bids" not in state:
            if time.monotonic() > ends_s:
                raise TimeoutError(f"auction {auction} was closed but is still {state.get('status')}")
            state = await self.rest.auction(OPERATOR, auction)
            if state.get("status") not in ENDED:
                await asyncio.sleep(FINAL_STATE_POLL_S)
        return state


def _terms(recorded: RecordedAuction, reserve: int | None) -> dict[str, Any]:
    terms: dict[str, Any] = {
        "title": f"{recorded.item} ({recorded.auction_id})"[:TITLE_LENGTH_MAX],
        "format": "english",
        "starting_price": recorded.starting_price,
        "duration_ms": DURATION_MS,
    }
    if recorded.steps != EBAY_STEPS:
        terms["increments"] = recorded.steps
    if reserve is not None:
        terms["reserve_price"] = reserve
    return terms


def why_different(outcome: Outcome) -> str:
    """Why the engine's prices are not the recorded ones: an error of the record, or of the engine."""
    recorded, by_the_rules = outcome.recorded, outcome.by_the_rules.price
    if not outcome.follows_the_rules:
        return f"the engine's prices are not what the rules give ({dollars(by_the_rules)}): an error of the engine"
    if outcome.first_difference is not None:
        bid = outcome.first_difference + 1
        return f"incomplete record: the price recorded after bid {bid} doesn't follow from the bids"
    if recorded.hidden_reserve() is not None:
        return "recorded price equals the top bid, above what the rules give: looks like a hidden reserve"
    if recorded.prices_disagree:
        return "incomplete record: its rows disagree on the closing price"
    if recorded.closing_price > recorded.top_bid:
        return "incomplete record: no bid reaches the recorded price"
    return "incomplete record: the recorded price doesn't follow from the bids"


def dollars(price: int | None) -> str:
    """A price for people."""
    if price is None:
        return "unsold"
    whole, rest = divmod(price, 1_000_000)
    fraction = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return f"${whole:,}.{fraction}"
