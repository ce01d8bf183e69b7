"""Watchers of one auction with 200 bids a second: the latency of updates, and whether all end with the last state."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec

from bench.engine import LIFTED_LIMITS, OwnEngine
from bench.loads.line_process import LineProcess, line_process
from bench.loads.load import STEPS_AHEAD, Seat
from bench.loads.processes import ProcessFailed, output_of, python_module
from bench.loads.shapes import Shape, open_seats
from bench.loads.steady import SteadyLoad, SteadyResult
from bench.loads.watch import TICKS_PER_S, Connected, Crowd, CrowdResult, Record
from bench.measures.capacity.files import sockets_most
from bench.measures.capacity.kind import Kind, Meter, Progress, judged
from bench.measures.capacity.search import Range, Step
from bench.measures.capacity.usage import Spent, UsageMeter, usage_meter
from bench.wire.client import WireClient

BIDS_PER_S = 200.0
SHAPE = Shape("watch", 1, 8, "1 auction with many watchers")
# A watcher should have the newest state within this time.
UPDATE_P99_MS_MAX = 250.0
SETTLE_S = 1.0
CONNECTED_WITHIN_S = 300.0
RESULT_WITHIN_S = 120.0
STATE_WITHIN_S = 5.0
# Sockets besides those of the watchers: bidders, and the reader of the final state.
SOCKETS_SPARE = 100


class Crowds:
    """Load processes with watchers of one auction: the last ones are ended where fewer are wanted."""

    def __init__(self, url: str, auction: str) -> None:
        self._url, self._auction = url, auction
        self._crowds: list[tuple[int, LineProcess, AsyncExitStack]] = []

    @property
    def watchers(self) -> int:
        """How many there are."""
        return sum(size for size, _, _ in self._crowds)

    async def resize(self, watchers: int) -> None:
        """End and start processes until there are so many. Raises ProcessFailed if some can't connect."""
        while self.watchers > watchers:
            await self._crowds.pop()[2].aclose()
        missing = watchers - self.watchers
        if not missing:
            return
        stack = AsyncExitStack()
        crowd = await stack.enter_async_context(line_process("bench.loads.watch", "the watchers"))
        self._crowds.append((missing, crowd, stack))
        await crowd.send(Crowd(self._url, self._auction, missing))
        connected = msgspec.json.decode(await crowd.receive(CONNECTED_WITHIN_S), type=Connected)
        if connected.error is not None:
            raise ProcessFailed(f"{connected.watching:,} of {missing:,} watchers connected: {connected.error}")

    async def results(self, record: Record) -> list[CrowdResult]:
        """What each process received of this record."""
        for _, crowd, _ in self._crowds:
            await crowd.send(record)
        lines = [await crowd.receive(RESULT_WITHIN_S) for _, crowd, _ in self._crowds]
        return [msgspec.json.decode(line, type=CrowdResult) for line in lines]

    async def close(self) -> None:
        """End all processes."""
        while self._crowds:
            await self._crowds.pop()[2].aclose()


class WatchersMeter:
    """Rounds of bids with so many watchers."""

    def __init__(self, url: str, seat: Seat, usage: UsageMeter, seconds: float, progress: Progress) -> None:
        self.crowds = Crowds(url, seat.auction)
        self._url, self._seat, self._usage = url, seat, usage
        self._seconds, self._progress = seconds, progress
        self._frame_us = 0.0
        self._alone = Spent()

    async def measure(self, size: int) -> Step:
        """Bid for a second without measuring, then bid, then ask every process for its result."""
        if not self._alone.seconds:
            # Bids without watchers: what they cost the gateway besides frames.
            async with self._usage.spent() as self._alone:
                await self._bid(self._seconds)
        self._progress(f"{size:,} watchers connect")
        try:
            await self.crowds.resize(size)
        except ProcessFailed as failure:
            await self.crowds.close()
            return judged(size, {"behind_ms": {"p99": 0.0}}, str(failure))
        self._progress(f"{size:,} watchers, {BIDS_PER_S:g} bids/s, {self._seconds:g} s")
        await self.crowds.results(await self._record(await self._bid(SETTLE_S)))
        from_s = time.perf_counter()
        async with self._usage.spent() as spent:
            bids = await self._bid(self._seconds)
            record = await self._record(bids)
        results = await self.crowds.results(record)
        shown = _figures(bids, results, size, self._seconds, time.perf_counter() - from_s, spent)
        frames = sum(part.frames for part in results)
        self._frame_us = spent.us_per("gateway", max(1, frames), self._alone)
        return judged(size, shown, what_broke(shown))

    def costs(self) -> dict[str, float]:
        """Processor time of the gateway for a frame, at the last size."""
        return {"frame_us": self._frame_us}

    async def _bid(self, seconds: float) -> SteadyResult:
        out = await output_of(
            python_module("bench.loads.steady"),
            given=msgspec.json.encode(SteadyLoad(self._url, self._seat, BIDS_PER_S, seconds)),
            deadline_s=seconds + RESULT_WITHIN_S,
        )
        bids = msgspec.json.decode(out, type=SteadyResult)
        if not bids.sent:
            raise ProcessFailed(f"no bid was accepted; refused: {bids.refused}, unanswered: {bids.unanswered}")
        sent = int(BIDS_PER_S * seconds) + 1
        self._seat = msgspec.structs.replace(self._seat, top=self._seat.top + sent * self._seat.step * STEPS_AHEAD)
        return bids

    async def _record(self, bids: SteadyResult) -> Record:
        """The state of the auction as a new watcher gets it, once it includes all accepted bids."""
        last = max(seq for seq, _ in bids.sent)
        client = await WireClient.connect(self._url, None)
        try:
            ends_s = time.perf_counter() + STATE_WITHIN_S
            while True:
                reply = await client.subscribe(f"auction:{self._seat.auction}")
                if reply["seq"] >= last or time.perf_counter() > ends_s:
                    return Record(bids.sent, reply["seq"], reply["state"]["price"], reply["state"]["minimum"])
                await asyncio.sleep(0.05)
        finally:
            client.close()


def what_broke(figures: dict[str, Any]) -> str | None:
    """Why the fan-out failed in a round; None where it worked. Latencies end when the watcher has read the frame."""
    p99_ms = figures["update_ms"]["p99"]
    if figures["dropped"]:
        return f"{figures['dropped']:,} were dropped"
    if figures["faults"]:
        return f"{figures['faults']:,} frames came after a gap, or out of order"
    if figures["right"] != figures["watchers"]:
        return f"only {figures['right']:,} ended with the last state"
    if p99_ms is None or p99_ms > UPDATE_P99_MS_MAX:
        return f"update p99 was {p99_ms or 0:.0f} ms"
    return None


def _figures(
    bids: SteadyResult, results: list[CrowdResult], watchers: int, seconds: float, whole_s: float, spent: Spent
) -> dict[str, Any]:
    updates: Counter[int] = Counter()
    for part in results:
        updates.update(dict(part.updates))
    read_late_p99 = [result.behind_ms["p99"] or 0.0 for result in results]
    return {
        "watchers": watchers,
        "bids_per_s": round(len(bids.sent) / seconds, 1),
        "refused": bids.refused,
        "unanswered": bids.unanswered,
        "ack_ms": bids.ack_ms,
        "update_ms": {"p50": rank_ms(updates, 0.5), "p99": rank_ms(updates, 0.99)},
        "behind_ms": bids.behind_ms,
        "reading_late_ms": {"p99": max(read_late_p99)},
        "frames_per_s": round(sum(part.frames for part in results) / seconds, 1),
        "dropped": sum(part.dropped for part in results),
        "right": sum(part.right for part in results),
        "faults": sum(part.faults for part in results),
        "client_cpu": round(sum(part.cpu_s for part in results) / whole_s, 2),
        "cores": spent.cores(),
    }


def rank_ms(counts: Counter[int], share: float) -> float | None:
    """The least latency that at least this share of them do not exceed."""
    wanted = share * counts.total()
    passed = 0
    for ticks in sorted(counts):
        passed += counts[ticks]
        if passed >= wanted:
            return ticks * 1000 / TICKS_PER_S
    return None


@asynccontextmanager
async def _meter(engine: OwnEngine, seconds: float, progress: Progress) -> AsyncIterator[Meter]:
    [seat] = await open_seats(engine, SHAPE)
    async with usage_meter(engine) as usage:
        meter = WatchersMeter(engine.base_url, seat, usage, seconds, progress)
        try:
            yield meter
        finally:
            await meter.crowds.close()


WATCHERS = Kind(
    "watchers",
    "watchers",
    f"of one auction at {BIDS_PER_S:g} bids/s: update p99 under {UPDATE_P99_MS_MAX:g} ms, none disconnected, every one "
    "ends with the last state",
    Range(first=2_000, least=100, most=sockets_most(16_000)),
    "update_ms",
    _meter,
    lambda most: {**LIFTED_LIMITS, "sockets_max": most + SOCKETS_SPARE},
)
