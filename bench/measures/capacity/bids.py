"""Bids per second, in open loop: 50 auctions with two bidders each, every bid at its time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from bench.engine import LIFTED_LIMITS, OwnEngine
from bench.loads.line_process import LineProcess, line_process
from bench.loads.overload import Connect, Connected, Round, RoundResult
from bench.loads.processes import ProcessFailed
from bench.loads.shapes import Shape, open_seats
from bench.measures.capacity.kind import LATENCY_P99_MS_MAX, Kind, Meter, Progress, judged
from bench.measures.capacity.messages import message_costs
from bench.measures.capacity.search import Range, Step, Verdict
from bench.measures.capacity.usage import Spent, UsageMeter, flush_ms, usage_meter

SHAPE = Shape("capacity", 50, 2, "50 auctions × 2 bidders, none of them watching")
SETTLE_S = 1.0
REFUSED_SHARE_MAX = 0.001
# Less than this of what was offered in the window was accepted in it: a queue grows.
ACCEPTED_SHARE_MIN = 0.97
CONNECTED_WITHIN_S = 60.0
GRACE_S = 60.0
# So few that nearly every bid is a batch of its own.
SLOW_PER_S = 100


class BidsMeter:
    """Rounds at fixed rates, from one load process."""

    def __init__(self, load: LineProcess, usage: UsageMeter, seconds: float, progress: Progress) -> None:
        self._load, self._usage, self._seconds, self._progress = load, usage, seconds, progress
        self._idle = Spent()
        self._slow = Spent()
        self._slow_bids = 1
        # The largest step that held, and what it cost.
        self._fast = Spent()
        self._fast_bids = 1
        self._client_us = 0.0
        self._messages: dict[str, float] = {}

    async def prepare(self, engine: OwnEngine) -> None:
        """What a flush and messages cost, and the engine without load and at a rate at which each bid is a batch."""
        self._messages = {"flush_ms": flush_ms()} | await message_costs(engine)
        async with self._usage.spent() as self._idle:
            await asyncio.sleep(self._seconds)
        async with self._usage.spent() as self._slow:
            result = await self._round(SLOW_PER_S)
        self._slow_bids = max(1, round(SLOW_PER_S * (self._seconds + SETTLE_S)))
        self._fast, self._fast_bids = self._slow, self._slow_bids
        if not result.accepted:
            raise ProcessFailed(f"no bid was accepted; refused: {result.refused}, unanswered: {result.unanswered}")

    async def measure(self, size: int) -> Step:
        """One round at this rate, after a second of it."""
        self._progress(f"{size:,} bids/s, {self._seconds:g} s")
        async with self._usage.spent() as spent:
            result = await self._round(size)
        bids = size * (self._seconds + SETTLE_S)
        step = judged(size, figures(result, spent, bids), what_broke(result))
        if step.verdict is Verdict.HELD and bids >= self._fast_bids:
            self._fast, self._fast_bids = spent, round(bids)
            self._client_us = result.client_cpu / size * 1e6
        return step

    async def _round(self, per_s: int) -> RoundResult:
        await self._load.send(Round(self._seconds, SETTLE_S, per_s=per_s))
        return msgspec.json.decode(await self._load.receive(self._seconds + SETTLE_S + GRACE_S), type=RoundResult)

    def costs(self) -> dict[str, float]:
        """Of a bid and of a batch: from a slow rate and from the fastest that held, by the bids of a commit."""
        found = dict(self._messages)
        for part, for_bid, for_batch in (
            ("hosts", "host_us_per_bid", "host_us_per_batch"),
            ("postgres", "postgres_us_per_bid", "postgres_us_per_commit"),
        ):
            alone = self._slow.us_per(part, self._slow_bids, self._idle)
            together = self._fast.us_per(part, self._fast_bids, self._idle)
            found[for_bid], found[for_batch] = bid_and_batch(
                (self._slow.per_commit(self._slow_bids, self._idle), alone),
                (self._fast.per_commit(self._fast_bids, self._idle), together),
            )
        found["gateway_us_per_bid"] = self._fast.us_per("gateway", self._fast_bids, self._idle)
        found["client_us_per_bid"] = self._client_us
        found["log_bytes_per_bid"] = self._fast.log_bytes / self._fast_bids
        return found


def bid_and_batch(slow: tuple[float, float], fast: tuple[float, float]) -> tuple[float, float]:
    """What a bid and what a batch costs, from two pairs of bids in a batch and cost of a bid with its share of it."""
    (few, alone), (many, together) = slow, fast
    share = 1 / few - 1 / many
    batch = max(0.0, (alone - together) / share) if share > 0 else 0.0
    return max(0.0, together - batch / many), batch


def figures(result: RoundResult, spent: Spent, bids: float) -> dict[str, Any]:
    """A round as `--json` shows it."""
    return {
        "offered_per_s": round(result.offered / result.window_s, 1),
        "accepted_per_s": round(result.accepted / result.window_s, 1),
        "refused": result.refused,
        "unanswered": result.unanswered,
        "lost_connections": result.lost_connections,
        "ack_ms": result.ack_ms,
        "behind_ms": result.behind_ms,
        "client_cpu": result.client_cpu,
        "cores": spent.cores(),
        "log_bytes_per_bid": round(spent.log_bytes / bids),
    }


def what_broke(result: RoundResult) -> str | None:
    """Why the service level did not hold; None where it did."""
    p99_ms = result.ack_ms["p99"]
    if result.lost_connections:
        return f"{result.lost_connections} connections were lost"
    if result.unanswered:
        return f"{result.unanswered:,} bids were not answered"
    if (refused := sum(result.refused.values())) > REFUSED_SHARE_MAX * result.offered:
        return f"{refused:,} of {result.offered:,} bids were refused"
    if result.accepted < ACCEPTED_SHARE_MIN * result.offered:
        return f"{result.offered - result.accepted:,} of {result.offered:,} bids were not accepted in time"
    if p99_ms is None or p99_ms > LATENCY_P99_MS_MAX:
        return f"ack p99 was {p99_ms or 0:.0f} ms"
    return None


@asynccontextmanager
async def _meter(engine: OwnEngine, seconds: float, progress: Progress) -> AsyncIterator[Meter]:
    seats = await open_seats(engine, SHAPE)
    async with usage_meter(engine) as usage, line_process("bench.loads.overload", "the bidders") as load:
        await load.send(Connect(engine.base_url, seats))
        connected = msgspec.json.decode(await load.receive(CONNECTED_WITHIN_S), type=Connected)
        if connected.error is not None:
            raise ProcessFailed(f"the bidders could not connect: {connected.error}")
        meter = BidsMeter(load, usage, seconds, progress)
        await meter.prepare(engine)
        yield meter


BIDS = Kind(
    "bids",
    "bids/s",
    f"ack p99 under {LATENCY_P99_MS_MAX:g} ms from the time at which each bid was due, at most "
    f"{REFUSED_SHARE_MAX:.1%} of the bids refused, all answered",
    Range(first=2_000, least=50, most=200_000),
    "ack_ms",
    _meter,
    lambda _most: LIFTED_LIMITS,
)
