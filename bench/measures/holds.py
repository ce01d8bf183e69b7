"""What it costs that bids are covered: the same load in turns on an engine with holds and on one without."""

from collections.abc import Callable
from statistics import median
from typing import Any

from bench.measures.live import HOT, SPREAD, Engine, Shape, measure_shape

ROUNDS = 5
GOAL = 0.85


async def measure_holds(
    covered: Engine, uncovered: Engine, seconds: float, rounds: int, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Accepted bids a second of both engines by shape, round by round, and the median of the rounds' ratios."""
    shapes = {}
    for shape in (HOT, SPREAD):
        held: list[float] = []
        free: list[float] = []
        for number in range(rounds):
            tell(f"{shape.name}, round {number + 1} of {rounds}")
            # Who begins changes: a machine that gets slower must not favour one of them.
            pair = ((covered, held), (uncovered, free))
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
