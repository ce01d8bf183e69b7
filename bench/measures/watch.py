"""Many watchers of one auction with a constant rate of bids: the latency of updates, and whether all watchers end with
the last state.

The number of watchers doubles until something breaks. Watchers and bidders run in processes of their own.
"""

import asyncio
import resource
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import msgspec

from bench.cells import pair, rate
from bench.definition import SECONDS, Bench, Context, Option, Report, Table
from bench.engine import LIFTED_LIMITS, Engine
from bench.loads.line_process import LineProcess, line_process
from bench.loads.load import STEPS_AHEAD, Seat
from bench.loads.processes import ProcessFailed, output_of, python_module
from bench.loads.shapes import Shape, open_seats
from bench.loads.steady import SteadyLoad, SteadyResult
from bench.loads.watch import TICKS_PER_S, Connected, Crowd, CrowdResult, Record
from bench.wire.client import WireClient

WATCHERS = 2_000
WATCHERS_MAX = 16_000
BIDS_PER_S = 200.0
BIDDERS = 8
SHAPE = Shape("watch", 1, BIDDERS, "1 auction with many watchers")
UPDATE_P99_MS_MAX = 100.0
# Above this the crowd is too large for the gateway: a watcher should have the newest state within this time.
BROKEN_P99_MS = 250.0
# Files that gateway and load need besides their sockets.
FILES_SPARE = 500
CONNECTED_WITHIN_S = 180.0
RESULT_WITHIN_S = 120.0
STATE_WITHIN_S = 5.0

# Sockets besides those of the watchers: bidders, and the reader of the final state.
SOCKETS_SPARE = 100

Progress = Callable[[str], None]

WATCHERS_OPTION = Option(("--watchers",), int, WATCHERS, "WATCHERS", "Watchers of the first round.", minimum=1)
UP_TO = Option(("--up-to",), int, WATCHERS_MAX, "WATCHERS", "The largest number of watchers.", minimum=1)


async def measure_watch(
    engine: Engine, watchers: int, watchers_max: int, seconds: float, progress: Progress
) -> dict[str, Any]:
    """Rounds with twice as many watchers each, until one breaks or the largest number is reached."""
    [seat] = await open_seats(engine, SHAPE)
    rounds: list[dict[str, Any]] = []
    ended_by = f"the largest crowd asked for, {watchers_max:,}"
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with AsyncExitStack() as stack:
        crowds: list[LineProcess] = []
        size, present = watchers, 0
        while size <= watchers_max:
            if size > files - FILES_SPARE:
                ended_by = f"file descriptors: `ulimit -n` is {files:,}"
                break
            progress(f"{size:,} watchers connect")
            crowds.append(await stack.enter_async_context(line_process("bench.loads.watch", "the watchers")))
            await crowds[-1].send(Crowd(engine.base_url, seat.auction, size - present))
            connected = msgspec.json.decode(await crowds[-1].receive(CONNECTED_WITHIN_S), type=Connected)
            if connected.error is not None:
                ended_by = f"{present + connected.watching:,} of {size:,} watchers connected: {connected.error}"
                break
            present = size
            progress(f"{size:,} watchers, {BIDS_PER_S:g} bids/s, {seconds:g} s")
            figures, seat = await _round(engine.base_url, seat, crowds, present, seconds)
            rounds.append(figures)
            if (broken := what_broke(figures)) is not None:
                ended_by = f"{size:,} watchers: {broken}"
                break
            size *= 2
    if not rounds:
        raise ProcessFailed(ended_by)
    return {**rounds[0], "rounds": rounds, "ended_by": ended_by, "goals": {"update_p99_ms": UPDATE_P99_MS_MAX}}


def what_broke(figures: dict[str, Any]) -> str | None:
    """Why the fan-out failed in a round; None where it worked."""
    p99_ms = figures["update_ms"]["p99"]
    if figures["dropped"]:
        return f"{figures['dropped']:,} were dropped"
    if figures["faults"]:
        return f"{figures['faults']:,} frames came after a gap, or out of order"
    if figures["right"] != figures["watchers"]:
        return f"only {figures['right']:,} ended with the last state"
    if p99_ms is None or p99_ms > BROKEN_P99_MS:
        return f"update p99 was above {BROKEN_P99_MS:g} ms"
    return None


async def _round(
    url: str, seat: Seat, crowds: list[LineProcess], watchers: int, seconds: float
) -> tuple[dict[str, Any], Seat]:
    """Bid, then ask every crowd for its result. Returns the figures, and the seat for the next round."""
    from_s = time.perf_counter()
    out = await output_of(
        python_module("bench.loads.steady"),
        given=msgspec.json.encode(SteadyLoad(url, seat, BIDS_PER_S, seconds)),
        deadline_s=seconds + RESULT_WITHIN_S,
    )
    bids = msgspec.json.decode(out, type=SteadyResult)
    if not bids.sent:
        raise ProcessFailed(f"no bid was accepted; refused: {bids.refused}, unanswered: {bids.unanswered}")
    record = await _record(url, seat, bids)
    for crowd in crowds:
        await crowd.send(record)
    results = [msgspec.json.decode(await crowd.receive(RESULT_WITHIN_S), type=CrowdResult) for crowd in crowds]
    figures = _figures(bids, results, watchers, seconds, time.perf_counter() - from_s)
    sent = int(BIDS_PER_S * seconds) + 1
    return figures, msgspec.structs.replace(seat, top=seat.top + sent * seat.step * STEPS_AHEAD)


async def _record(url: str, seat: Seat, bids: SteadyResult) -> Record:
    """The state of the auction as a new watcher gets it, once it includes all accepted bids."""
    last = max(seq for seq, _ in bids.sent)
    client = await WireClient.connect(url, None)
    try:
        ends_s = time.perf_counter() + STATE_WITHIN_S
        while True:
            reply = await client.subscribe(f"auction:{seat.auction}")
            if reply["seq"] >= last or time.perf_counter() > ends_s:
                return Record(bids.sent, reply["seq"], reply["state"]["price"], reply["state"]["minimum"])
            await asyncio.sleep(0.05)
    finally:
        client.close()


def _figures(
    bids: SteadyResult, results: list[CrowdResult], watchers: int, seconds: float, whole_s: float
) -> dict[str, Any]:
    updates: Counter[int] = Counter()
    for part in results:
        updates.update(dict(part.updates))
    return {
        "watchers": watchers,
        "bids_per_s": round(len(bids.sent) / seconds, 1),
        "refused": bids.refused,
        "unanswered": bids.unanswered,
        "ack_ms": bids.ack_ms,
        "update_ms": {"p50": _rank_ms(updates, 0.5), "p99": _rank_ms(updates, 0.99)},
        "frames_per_s": round(sum(part.frames for part in results) / seconds, 1),
        "dropped": sum(part.dropped for part in results),
        "right": sum(part.right for part in results),
        "faults": sum(part.faults for part in results),
        "client_cpu": round(sum(part.cpu_s for part in results) / whole_s, 2),
    }


def _rank_ms(counts: Counter[int], share: float) -> float | None:
    """The least latency that at least this share of them do not exceed."""
    wanted = share * counts.total()
    passed = 0
    for ticks in sorted(counts):
        passed += counts[ticks]
        if passed >= wanted:
            return ticks * 1000 / TICKS_PER_S
    return None


def report(figures: Mapping[str, Any]) -> Report:
    """A row a round, and what ended the bench."""
    rows = [
        (
            f"{shown['watchers']:,}",
            rate(shown["bids_per_s"]),
            pair(shown["update_ms"]),
            rate(shown["frames_per_s"]),
            pair(shown["ack_ms"]),
            f"{shown['dropped']:,}",
            "all" if shown["right"] == shown["watchers"] else f"{shown['right']:,}",
        )
        for shown in figures["rounds"]
    ]
    columns = ("watchers", "bids/s", "update ms", "frames/s", "ack ms", "dropped", "right")
    goal = figures["goals"]["update_p99_ms"]
    return Report(
        figures,
        [
            Table("Watchers of one auction with a constant rate of bids", columns, rows),
            f"Latencies: p50 / p99. Goal for the first row: update p99 under {goal:g} ms.",
            f"Ended by: {figures['ended_by']}.",
        ],
    )


async def run(context: Context) -> Report:
    watchers = context.value(WATCHERS_OPTION)
    up_to = max(watchers, context.value(UP_TO))
    async with context.engine({**LIFTED_LIMITS, "sockets_max": up_to + SOCKETS_SPARE}) as engine:
        return report(await measure_watch(engine, watchers, up_to, context.value(SECONDS), context.progress))


watch = Bench(
    "watch",
    "2,000 watchers of one auction at 200 bids/s, then twice as many, until the fan-out fails: latency of updates.",
    f"Open loop: bids are sent at fixed times. update ms: from a bid's frame to the first frame at a watcher that "
    f"includes it. right: watchers that end with the same state as a new subscriber. A round fails when one is not "
    f"right, a connection is dropped, or the update p99 is above {BROKEN_P99_MS:g} ms.",
    (WATCHERS_OPTION, UP_TO, SECONDS),
    run,
)
