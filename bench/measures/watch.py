"""Many watchers of one auction that is bid on at a steady rate: when news arrives, and who ends with the last state.

The crowd is doubled until something breaks. Watchers and bidders run in processes of their own.
"""

import asyncio
import resource
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import msgspec

from bench.loads.load import STEPS_AHEAD, Seat
from bench.loads.processes import ProcessFailed, output_of, python_module
from bench.loads.steady import Bidden, Steady
from bench.loads.talking import Talking, talking_to
from bench.loads.watch import TICKS_PER_S, Arrived, Crowd, Record, Told
from bench.measures.live import Engine, Shape, open_seats
from bench.wire.client import WireClient

WATCHERS = 2_000
WATCHERS_MAX = 16_000
BIDS_PER_S = 200.0
BIDDERS = 8
SHAPE = Shape("watch", 1, BIDDERS, "one auction that a crowd watches")
NEWS_P99_MS_MAX = 100.0
# Beyond this the crowd is too large for the gateway: a watcher should have the newest state within this time.
BROKEN_P99_MS = 250.0
# Files that gateway and load need besides their sockets.
FILES_SPARE = 500
ARRIVED_WITHIN_S = 180.0
JUDGED_WITHIN_S = 120.0
NEWS_WITHIN_S = 5.0

Tell = Callable[[str], None]


async def measure_watch(engine: Engine, watchers: int, watchers_max: int, seconds: float, tell: Tell) -> dict[str, Any]:
    """Rounds with a crowd that doubles, until one is broken or the crowd is as large as it may be."""
    [seat] = await open_seats(engine, SHAPE)
    rounds: list[dict[str, Any]] = []
    ended_by = f"the largest crowd asked for, {watchers_max:,}"
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with AsyncExitStack() as stack:
        crowds: list[Talking] = []
        size, present = watchers, 0
        while size <= watchers_max:
            if size > files - FILES_SPARE:
                ended_by = f"file descriptors: `ulimit -n` is {files:,}"
                break
            tell(f"{size:,} watchers arrive")
            crowds.append(await stack.enter_async_context(talking_to("bench.loads.watch", "the watchers")))
            await crowds[-1].say(Crowd(engine.base_url, seat.auction, size - present))
            arrived = msgspec.json.decode(await crowds[-1].line(ARRIVED_WITHIN_S), type=Arrived)
            if arrived.trouble is not None:
                ended_by = f"{present + arrived.watching:,} of {size:,} watchers got in: {arrived.trouble}"
                break
            present = size
            tell(f"{size:,} watchers, {BIDS_PER_S:g} bids/s, {seconds:g} s")
            figures, seat = await _round(engine.base_url, seat, crowds, present, seconds)
            rounds.append(figures)
            if (broken := what_broke(figures)) is not None:
                ended_by = f"{size:,} watchers: {broken}"
                break
            size *= 2
    if not rounds:
        raise ProcessFailed(ended_by)
    return {**rounds[0], "rounds": rounds, "ended_by": ended_by, "goals": {"news_p99_ms": NEWS_P99_MS_MAX}}


def what_broke(figures: dict[str, Any]) -> str | None:
    """Why these figures are no longer those of a working fan-out; None where they are."""
    p99_ms = figures["news_ms"]["p99"]
    if figures["dropped"]:
        return f"{figures['dropped']:,} were dropped"
    if figures["faults"]:
        return f"{figures['faults']:,} frames came after a silent gap, or out of order"
    if figures["right"] != figures["watchers"]:
        return f"only {figures['right']:,} ended with the last state"
    if p99_ms is None or p99_ms > BROKEN_P99_MS:
        return f"news p99 was above {BROKEN_P99_MS:g} ms"
    return None


async def _round(
    url: str, seat: Seat, crowds: list[Talking], watchers: int, seconds: float
) -> tuple[dict[str, Any], Seat]:
    """Bid, then ask every crowd; the figures, and the seat for the next round."""
    from_s = time.perf_counter()
    out = await output_of(
        python_module("bench.loads.steady"),
        given=msgspec.json.encode(Steady(url, seat, BIDS_PER_S, seconds)),
        deadline_s=seconds + JUDGED_WITHIN_S,
    )
    bidden = msgspec.json.decode(out, type=Bidden)
    if not bidden.sent:
        raise ProcessFailed(f"no bid was accepted; refused: {bidden.refused}, unanswered: {bidden.unanswered}")
    record = await _record(url, seat, bidden)
    for crowd in crowds:
        await crowd.say(record)
    told = [msgspec.json.decode(await crowd.line(JUDGED_WITHIN_S), type=Told) for crowd in crowds]
    figures = _figures(bidden, told, watchers, seconds, time.perf_counter() - from_s)
    bids = int(BIDS_PER_S * seconds) + 1
    return figures, msgspec.structs.replace(seat, top=seat.top + bids * seat.step * STEPS_AHEAD)


async def _record(url: str, seat: Seat, bidden: Bidden) -> Record:
    """Where the auction stands by a newcomer's reply, once that has all accepted bids."""
    last = max(seq for seq, _ in bidden.sent)
    client = await WireClient.connect(url, None)
    try:
        ends_s = time.perf_counter() + NEWS_WITHIN_S
        while True:
            reply = await client.subscribe(f"auction:{seat.auction}")
            if reply["seq"] >= last or time.perf_counter() > ends_s:
                return Record(bidden.sent, reply["seq"], reply["state"]["price"], reply["state"]["minimum"])
            await asyncio.sleep(0.05)
    finally:
        client.close()


def _figures(bidden: Bidden, told: list[Told], watchers: int, seconds: float, whole_s: float) -> dict[str, Any]:
    news: Counter[int] = Counter()
    for part in told:
        news.update(dict(part.news))
    return {
        "watchers": watchers,
        "bids_per_s": round(len(bidden.sent) / seconds, 1),
        "refused": bidden.refused,
        "unanswered": bidden.unanswered,
        "ack_ms": bidden.ack_ms,
        "news_ms": {"p50": _rank_ms(news, 0.5), "p99": _rank_ms(news, 0.99)},
        "frames_per_s": round(sum(part.frames for part in told) / seconds, 1),
        "dropped": sum(part.dropped for part in told),
        "right": sum(part.right for part in told),
        "faults": sum(part.faults for part in told),
        "client_cpu": round(sum(part.cpu_s for part in told) / whole_s, 2),
    }


def _rank_ms(counts: Counter[int], share: float) -> float | None:
    """The least latency that at least this share of them don't pass."""
    wanted = share * counts.total()
    passed = 0
    for ticks in sorted(counts):
        passed += counts[ticks]
        if passed >= wanted:
            return ticks * 1000 / TICKS_PER_S
    return None
