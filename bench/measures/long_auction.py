"""Whether a bid costs the same late in a long auction as early in a short one: latency, and the memory of the host."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.cells import NONE, pair, rate
from bench.definition import Option, Table
from bench.engine import Engine
from bench.loads.load import Load, Measured, Seat
from bench.loads.shapes import LONE, Shape, open_seats, run_load

SHORT_BIDS = 1_000
LONG_BIDS = 1_000_000
BUILDERS = Shape("long", 1, 50, "built by 50 bidders with several bids in flight each")
BUILDERS_IN_FLIGHT = 4
# A slower build is stopped.
BUILD_BIDS_PER_S_MIN = 500
# Short and long alternate, so that other work of the machine affects both.
ROUNDS = 4
WARMUP_S = 0.5

Progress = Callable[[str], None]

BIDS = Option(("--bids",), int, LONG_BIDS, "BIDS", "Length of the long auction.", minimum=SHORT_BIDS)
READING = f"""50 bidders build both auctions over the wire; then one bidder bids in each, alternately, {ROUNDS} rounds.
The figures are medians of the rounds.

host memory: private memory of all hosts before and after the build. The ratios should be near 1: state does not grow
with the number of bids."""


@dataclass
class _Built:
    seat: Seat
    bids: int
    per_s: float
    memory_before: int | None
    memory_after: int | None
    rounds: list[Measured]


async def measure_long(engine: Engine, bids: int, seconds: float, progress: Progress) -> dict[str, Any]:
    """Build both auctions through the wire, then bid alone in each, alternately. The rounds share `seconds`."""
    built = []
    for wanted in (SHORT_BIDS, bids):
        progress(f"building an auction of {wanted:,} bids")
        built.append(await _build(engine, wanted))
    for number in range(ROUNDS):
        progress(f"bidding in both, round {number + 1} of {ROUNDS}")
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
        "about": f"{LONE.about}; {BUILDERS.about}; medians of {ROUNDS} alternating rounds",
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


def text(result: Mapping[str, Any]) -> list[Table | str]:
    """The short and the long auction, and their ratio."""
    rows = []
    for length in ("short", "long"):
        figures = result[length]
        memory = figures["host_memory_mb"]
        rows.append((
            f"{figures['bids_before']:,} bids",
            f"{rate(figures['built_per_s'])}/s",
            rate(figures["accepted_per_s"]),
            pair(figures["ack_ms"]),
            NONE if memory["after"] is None else f"{memory['before']:,.1f} → {memory['after']:,.1f}",
        ))  # fmt: skip
    title = f"One bidder in a long auction and in a short one, medians of {ROUNDS} rounds"
    ratio = result["ratio"]
    return [
        Table(title, ("auction of", "built at", "accepted/s", "ack ms", "host memory MB"), rows),
        f"Long over short: ack p50 × {ratio['ack_p50']}, p99 × {ratio['ack_p99']}.",
    ]


def _ratio(long: float | None, short: float | None) -> float | None:
    return round(long / short, 2) if long is not None and short else None
