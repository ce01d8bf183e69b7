"""More bids than the engine can take: what it still accepts, and how soon it says no to the rest.

First the peak: what the engine accepts when each socket always has some bids in flight (closed loop, several depths),
or at half as many again at fixed times, if that is more. Then that rate once, twice and three times at fixed times,
whatever becomes of the bids (open loop), from the same sockets and the same process. At the end the peak again: where
it differs, the machine has changed meanwhile.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from bench.loads.overload import OVERLOADED, UNAVAILABLE, Came, Opened, Opening, Round
from bench.loads.processes import ProcessFailed
from bench.loads.talking import Talking, talking_to
from bench.measures.live import Engine, Shape, open_seats

SHAPE = Shape("overload", 50, 2, "50 auctions × 2 bidders, none of them watching")
# Bids in flight of each socket in the rounds that look for the peak.
DEPTHS = (1, 4, 16)
PEAK_SECONDS = 3.0
# An engine that accepts more at this multiple of what was thought to be its peak has a higher one.
PROBE_TIMES = 1.5
PROBES_MAX = 3
GROWN = 1.05
WARMUP_S = 1.0
TIMES = (1, 2, 3)
GOODPUT_MIN = 0.8
# A load that is later than this with its own bids measures itself.
BEHIND_P99_MS_MAX = 50.0
OPENED_WITHIN_S = 60.0
GRACE_S = 60.0

Tell = Callable[[str], None]


async def measure_overload(engine: Engine, seconds: float, tell: Tell) -> dict[str, Any]:
    """The peak, then a round for each multiple of it. Raises ProcessFailed."""
    seats = await open_seats(engine, SHAPE)
    async with talking_to("bench.loads.overload", "the bidders") as load:
        await load.say(Opening(engine.base_url, seats))
        opened = msgspec.json.decode(await load.line(OPENED_WITHIN_S), type=Opened)
        if opened.trouble is not None:
            raise ProcessFailed(f"the bidders could not connect: {opened.trouble}")
        tell(f"looking for the peak of {opened.sockets} sockets")
        peaks = [await _peak(load, depth) for depth in DEPTHS]
        peak_per_s = await _probed(load, max(peaks))
        rounds = []
        for times in TIMES:
            tell(f"{times} × {peak_per_s:,.0f} bids/s, {seconds:g} s")
            came = await _round(load, Round(seconds, WARMUP_S, per_s=times * peak_per_s))
            rounds.append({"times": times, **figures(came, peak_per_s)})
        again_per_s = await _peak(load, DEPTHS[peaks.index(max(peaks))])
    return {
        "peak_per_s": round(peak_per_s, 1),
        "peak_again_per_s": round(again_per_s, 1),
        "sockets": opened.sockets,
        "rounds": rounds,
        "goodput_share": rounds[-1]["share_of_peak"],
        "overloaded_last_ms": rounds[-1]["overloaded_last_ms"],
        "goals": {"goodput_share": GOODPUT_MIN},
    }


def figures(came: Came, peak_per_s: float) -> dict[str, Any]:
    """A round as `--json` shows it. Rates per second of the window; times in ms from when each bid was to be sent."""
    per_s = {name: count / came.window_s for name, count in came.refused.items()}
    others = {name: count for name, count in came.refused.items() if name not in (OVERLOADED, UNAVAILABLE)}
    return {
        "offered_per_s": round(came.offered / came.window_s, 1),
        "accepted_per_s": round(came.accepted / came.window_s, 1),
        "share_of_peak": round(came.accepted / came.window_s / peak_per_s, 3),
        "overloaded_per_s": round(per_s.get(OVERLOADED, 0.0), 1),
        "unavailable_per_s": round(per_s.get(UNAVAILABLE, 0.0), 1),
        "otherwise_refused": others,
        "unanswered": came.unanswered,
        "ack_ms": came.ack_ms,
        "overloaded_ms": came.overloaded_ms,
        "overloaded_last_ms": came.overloaded_last_ms,
        "behind_ms": came.behind_ms,
        "load_kept_up": came.behind_ms["p99"] is not None and came.behind_ms["p99"] <= BEHIND_P99_MS_MAX,
        "client_cpu": came.client_cpu,
        "lost_connections": came.lost_connections,
    }


async def _probed(load: Talking, peak_per_s: float) -> float:
    """The peak, or what is accepted above it, as long as that grows."""
    for _ in range(PROBES_MAX):
        came = await _round(load, Round(PEAK_SECONDS, WARMUP_S, per_s=PROBE_TIMES * peak_per_s))
        accepted_per_s = came.accepted / came.window_s
        if accepted_per_s < GROWN * peak_per_s:
            return max(peak_per_s, accepted_per_s)
        peak_per_s = accepted_per_s
    return peak_per_s


async def _peak(load: Talking, depth: int) -> float:
    came = await _round(load, Round(PEAK_SECONDS, WARMUP_S, in_flight=depth))
    if not came.accepted:
        raise ProcessFailed(f"no bid was accepted; refused: {came.refused}, unanswered: {came.unanswered}")
    return came.accepted / came.window_s


async def _round(load: Talking, wanted: Round) -> Came:
    await load.say(wanted)
    return msgspec.json.decode(await load.line(wanted.seconds + wanted.warmup_s + GRACE_S), type=Came)
