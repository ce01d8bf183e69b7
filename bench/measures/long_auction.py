"""Does a bid cost the same late in a long auction as early in a short one? In time, and in the host's memory."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.loads.load import Load, Measured, Seat
from bench.measures.live import LONE, Engine, Shape, open_seats, run_load

SHORT_BIDS = 1_000
LONG_BIDS = 1_000_000
BUILDERS = Shape("long", 1, 50, "built by 50 bidders with several bids in flight each")
BUILDERS_IN_FLIGHT = 4
# A build that is slower than this is given up.
BUILD_BIDS_PER_S_MIN = 500
# Short and long take turns, so that what else the machine does falls on both.
ROUNDS = 4
WARMUP_S = 0.5

Tell = Callable[[str], None]


@dataclass
class _Built:
    seat: Seat
    bids: int
    per_s: float
    memory_before: int | None
    memory_after: int | None
    rounds: list[Measured]


async def measure_long(engine: Engine, bids: int, seconds: float, tell: Tell) -> dict[str, Any]:
    """Build both auctions through the wire, then bid alone in each by turns. `seconds` are divided over the rounds."""
    built = []
    for wanted in (SHORT_BIDS, bids):
        tell(f"building an auction of {wanted:,} bids")
        built.append(await _build(engine, wanted))
    for number in range(ROUNDS):
        tell(f"bidding in both, round {number + 1} of {ROUNDS}")
        for auction in built:
            alone = Seat(auction.seat.auction, auction.seat.tokens[:1], auction.seat.top, auction.seat.step)
            measured = await run_load(Load(engine.base_url, [alone], max(0.5, seconds / ROUNDS), WARMUP_S))
            auction.seat = Seat(alone.auction, alone.tokens, measured.tops[0], alone.step)
            auction.rounds.append(measured)
    short, long = (_figures(auction) for auction in built)
    return {
        "short": short,
        "long": long,
        "ratio": {
            "ack_p50": _ratio(long["ack_ms"]["p50"], short["ack_ms"]["p50"]),
            "ack_p99": _ratio(long["ack_ms"]["p99"], short["ack_ms"]["p99"]),
            "accepted_per_s": _ratio(long["accepted_per_s"], short["accepted_per_s"]),
        },
        "about": f"{LONE.about}; {BUILDERS.about}; medians of {ROUNDS} rounds by turns",
    }


async def _build(engine: Engine, bids: int) -> _Built:
    (seat,) = await open_seats(engine, BUILDERS)
    before = engine.host_memory()
    load = Load(
        engine.base_url, [seat], bids / BUILD_BIDS_PER_S_MIN + 5, 0.0, bids, BUILDERS_IN_FLIGHT, watch=False
    )  # fmt: skip
    measured = await run_load(load)
    seat = Seat(seat.auction, seat.tokens, measured.tops[0], seat.step)
    return _Built(seat, measured.accepted, measured.accepted / measured.window_s, before, engine.host_memory(), [])


def _figures(auction: _Built) -> dict[str, Any]:
    return {
        "bids_before": auction.bids,
        "built_per_s": round(auction.per_s, 1),
        "accepted_per_s": round(median(m.accepted / m.window_s for m in auction.rounds), 1),
        "ack_ms": {name: _median(m.ack_ms[name] for m in auction.rounds) for name in ("p50", "p99")},
        "host_memory_mb": {"before": _mb(auction.memory_before), "after": _mb(auction.memory_after)},
    }


def _median(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return round(median(known), 3) if known else None


def _mb(size: int | None) -> float | None:
    return None if size is None else round(size / 2**20, 1)


def _ratio(long: float | None, short: float | None) -> float | None:
    return round(long / short, 2) if long is not None and short else None
