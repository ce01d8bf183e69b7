"""The cost of holds: the same load, alternately on an engine that reserves funds for bids and on one that does not."""

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from statistics import median
from typing import Any

from bench.cells import percent, span
from bench.definition import SECONDS, Bench, Context, Option, Report, Table
from bench.engine import LIFTED_LIMITS, Engine
from bench.loads.shapes import HOT, SPREAD, Shape, measure_shape

ROUNDS = 5
GOAL = 0.85
ROUNDS_OPTION = Option(
    ("--rounds",), int, ROUNDS, "ROUNDS", "How often each engine is measured.", minimum=1, maximum=100
)


async def measure_holds(
    with_holds: Engine, without_holds: Engine, seconds: float, rounds: int, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Accepted bids a second of both engines by shape and round, and the median of the ratios of the rounds."""
    shapes = {}
    for shape in (HOT, SPREAD):
        held: list[float] = []
        free: list[float] = []
        for number in range(rounds):
            progress(f"{shape.name}, round {number + 1} of {rounds}")
            # The first alternates: a machine that gets slower must not favour one of them.
            pair = ((with_holds, held), (without_holds, free))
            for engine, rates in pair if number % 2 == 0 else reversed(pair):
                rates.append(await _accepted_per_s(engine, shape, seconds))
        ratios = [h / f for h, f in zip(held, free, strict=True) if f]
        shapes[shape.name] = {
            "covered_per_s": [round(rate, 1) for rate in held],
            "uncovered_per_s": [round(rate, 1) for rate in free],
            "ratio": round(median(ratios), 3) if ratios else None,
        }
    return {"shapes": shapes, "goal": GOAL}


async def _accepted_per_s(engine: Engine, shape: Shape, seconds: float) -> float:
    measured = await measure_shape(engine, shape, seconds)
    return measured.accepted / measured.window_s


def report(figures: Mapping[str, Any]) -> Report:
    """Accepted bids a second with and without holds, and the ratio."""
    goal = figures["goal"]
    rows = []
    for name, shown in figures["shapes"].items():
        ratio = shown["ratio"]
        rows.append((
            name,
            span(shown["covered_per_s"]),
            span(shown["uncovered_per_s"]),
            percent(ratio),
            percent(goal),
            "yes" if ratio is not None and ratio >= goal else "NO",
        ))  # fmt: skip
    columns = ("bench", "with holds/s", "without/s", "ratio", "goal", "met")
    notes = "Rates: least to most of the rounds. Ratio: the median of the ratios of the rounds."
    return Report(figures, [Table("Accepted bids with holds and without", columns, rows), notes])


async def run(context: Context) -> Report:
    engines = []
    async with AsyncExitStack() as stack:
        for bid_holds in ("on", "off"):
            settings = {**LIFTED_LIMITS, "bid_holds": bid_holds}
            engines.append(await stack.enter_async_context(context.engine(settings)))
        await context.idle()
        with_holds, without = engines
        seconds, rounds = context.value(SECONDS), context.value(ROUNDS_OPTION)
        return report(await measure_holds(with_holds, without, seconds, rounds, context.progress))


holds = Bench(
    "holds",
    "Bids that reserve funds against bids that do not: two engines, alternately.",
    "with holds: ECE_BID_HOLDS=on, the default. without: ECE_BID_HOLDS=off. Both engines and the load share the "
    "machine, so single rounds vary widely: use several rounds.",
    (SECONDS, ROUNDS_OPTION),
    run,
)
