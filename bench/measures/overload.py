"""More bids than the engine can accept: its goodput, and how soon it rejects the rest.

First the peak: what the engine accepts when each socket always has some bids in flight (closed loop, several depths),
or at 1.5 times that rate in open loop, if that is more. Then once, twice and three times the peak in open loop, from
the same sockets and the same process. After each of them the peak is measured again, in the same way: the speed of a
shared machine changes within seconds, so what is accepted is compared with the peaks before and after it.
"""

from collections.abc import Callable, Mapping
from statistics import fmean
from typing import Any

import msgspec

from bench.cells import NONE, pair, percent, rate
from bench.definition import SECONDS, Bench, Context, Report, Table
from bench.engine import Engine
from bench.loads.line_process import LineProcess, line_process
from bench.loads.overload import OVERLOADED, UNAVAILABLE, Connect, Connected, Round, RoundResult
from bench.loads.processes import ProcessFailed
from bench.loads.shapes import Shape, open_seats

SHAPE = Shape("overload", 50, 2, "50 auctions × 2 bidders, none of them watching")
# Bids in flight of each socket in the rounds that look for the peak.
DEPTHS = (1, 4, 16)
PEAK_SECONDS = 3.0
# An engine that accepts more at this multiple of its presumed peak has a higher one.
PROBE_TIMES = 1.5
PROBES_MAX = 3
GROWN = 1.05
WARMUP_S = 1.0
TIMES = (1, 2, 3)
GOODPUT_MIN = 0.85
# The latest refusal at the largest multiple.
REFUSED_LAST_MS_MAX = 150.0
# A load that sends its bids later than this measures itself.
BEHIND_P99_MS_MAX = 50.0
CONNECTED_WITHIN_S = 60.0
GRACE_S = 60.0

Progress = Callable[[str], None]


async def measure_overload(engine: Engine, seconds: float, progress: Progress) -> dict[str, Any]:
    """The peak, then a round for each multiple of it. Raises ProcessFailed."""
    seats = await open_seats(engine, SHAPE)
    async with line_process("bench.loads.overload", "the bidders") as load:
        await load.send(Connect(engine.base_url, seats))
        connected = msgspec.json.decode(await load.receive(CONNECTED_WITHIN_S), type=Connected)
        if connected.error is not None:
            raise ProcessFailed(f"the bidders could not connect: {connected.error}")
        progress(f"looking for the peak of {connected.sockets} sockets")
        way, peak_per_s = await _find_peak(load)
        peaks = [peak_per_s]
        rounds = []
        for times in TIMES:
            progress(f"{times} × {peak_per_s:,.0f} bids/s, {seconds:g} s")
            result = await _round(load, Round(seconds, WARMUP_S, per_s=times * peak_per_s))
            peaks.append(await _peak(load, way))
            rounds.append({"times": times, **figures(result, fmean(peaks[-2:]))})
    return {
        "peak_per_s": round(peak_per_s, 1),
        "peaks_per_s": [round(peak, 1) for peak in peaks],
        "sockets": connected.sockets,
        "rounds": rounds,
        "goodput_share": rounds[-1]["share_of_peak"],
        "overloaded_last_ms": rounds[-1]["overloaded_last_ms"],
        "goals": {"goodput_share": GOODPUT_MIN, "overloaded_last_ms": REFUSED_LAST_MS_MAX},
    }


def figures(result: RoundResult, peak_per_s: float) -> dict[str, Any]:
    """A round as `--json` shows it, with its share of this peak. Rates per second of the window; times in ms from when
    each bid was to be sent."""
    per_s = {name: count / result.window_s for name, count in result.refused.items()}
    others = {name: count for name, count in result.refused.items() if name not in (OVERLOADED, UNAVAILABLE)}
    return {
        "offered_per_s": round(result.offered / result.window_s, 1),
        "accepted_per_s": round(result.accepted / result.window_s, 1),
        "share_of_peak": round(result.accepted / result.window_s / peak_per_s, 3),
        "overloaded_per_s": round(per_s.get(OVERLOADED, 0.0), 1),
        "unavailable_per_s": round(per_s.get(UNAVAILABLE, 0.0), 1),
        "otherwise_refused": others,
        "unanswered": result.unanswered,
        "ack_ms": result.ack_ms,
        "overloaded_ms": result.overloaded_ms,
        "overloaded_last_ms": result.overloaded_last_ms,
        "behind_ms": result.behind_ms,
        "load_kept_up": result.behind_ms["p99"] is not None and result.behind_ms["p99"] <= BEHIND_P99_MS_MAX,
        "client_cpu": result.client_cpu,
        "lost_connections": result.lost_connections,
    }


async def _find_peak(load: LineProcess) -> tuple[Round, float]:
    """The way to load the engine in which it accepts the most, and how much that is."""
    ways = [Round(PEAK_SECONDS, WARMUP_S, in_flight=depth) for depth in DEPTHS]
    peaks = [await _peak(load, way) for way in ways]
    peak_per_s = max(peaks)
    way = ways[peaks.index(peak_per_s)]
    for _ in range(PROBES_MAX):
        faster = Round(PEAK_SECONDS, WARMUP_S, per_s=PROBE_TIMES * peak_per_s)
        accepted_per_s = await _peak(load, faster)
        if accepted_per_s <= peak_per_s:
            break
        grown = accepted_per_s >= GROWN * peak_per_s
        way, peak_per_s = faster, accepted_per_s
        if not grown:
            break
    return way, peak_per_s


async def _peak(load: LineProcess, way: Round) -> float:
    result = await _round(load, way)
    if not result.accepted:
        raise ProcessFailed(f"no bid was accepted; refused: {result.refused}, unanswered: {result.unanswered}")
    return result.accepted / result.window_s


async def _round(load: LineProcess, wanted: Round) -> RoundResult:
    await load.send(wanted)
    return msgspec.json.decode(await load.receive(wanted.seconds + wanted.warmup_s + GRACE_S), type=RoundResult)


def report(figures: Mapping[str, Any]) -> Report:
    """A row for each multiple of the peak, and whether the load itself kept up."""
    rows = []
    for shown in figures["rounds"]:
        last_ms = shown["overloaded_last_ms"]
        rows.append((
            f"{shown['times']} ×",
            rate(shown["offered_per_s"]),
            rate(shown["accepted_per_s"]),
            percent(shown["share_of_peak"]),
            pair(shown["ack_ms"]),
            pair(shown["overloaded_ms"]),
            NONE if last_ms is None else f"{last_ms:.1f}",
            f"{shown['behind_ms']['p99'] or 0:.1f}",
        ))  # fmt: skip
    columns = ("", "offered", "accepted", "share", "ack ms", "reject ms", "last", "late")
    peaks = ", ".join(rate(peak) for peak in figures["peaks_per_s"])
    goals = figures["goals"]
    return Report(
        figures,
        [
            Table("Bids a second in open loop", columns, rows),
            f"Peaks of {figures['sockets']} sockets, before and after each row: {peaks} bids/s. Goal for the last row: "
            f"a share above {percent(goals['goodput_share'])}, the slowest refusal within "
            f"{goals['overloaded_last_ms']:g} ms.",
            "Latencies: p50 / p99, from the time at which the bid was due. share: of the mean of the peaks before and "
            "after; reject: answers `overloaded`; last: the slowest of them; late: delay of the load itself (p99).",
            *filter(None, (_anomalies(shown) for shown in figures["rounds"])),
        ],
    )


def _anomalies(shown: Mapping[str, Any]) -> str:
    """What makes the row unreliable, or should not happen; empty where nothing does."""
    found = []
    if not shown["load_kept_up"]:
        found.append("the load sent its bids late, so this row says little about the engine")
    found += [f"{count:,} refused: {code}" for code, count in shown["otherwise_refused"].items()]
    if shown["unavailable_per_s"]:
        found.append(f"{rate(shown['unavailable_per_s'])}/s were answered `unavailable`")
    if shown["unanswered"]:
        found.append(f"{shown['unanswered']:,} bids were never answered")
    if shown["lost_connections"]:
        found.append(f"{shown['lost_connections']} connections were lost")
    return f"{shown['times']} ×: {'; '.join(found)}." if found else ""


async def run(context: Context) -> Report:
    async with context.engine() as engine:
        await context.idle()
        return report(await measure_overload(engine, context.value(SECONDS), context.progress))


overload = Bench(
    "overload",
    "Once, twice and three times the peak rate of bids: goodput, and how soon the rest is rejected.",
    f"The peak is measured first, and again after each row; rows send bids at fixed times (open loop). Where the load "
    f"is later than {BEHIND_P99_MS_MAX:g} ms (p99) with its own bids, the row says little about the engine.",
    (SECONDS,),
    run,
)
