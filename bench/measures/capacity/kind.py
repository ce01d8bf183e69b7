"""What capacity can be measured of: a kind of load, its sizes and its service level."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from bench.engine import OwnEngine
from bench.measures.capacity.search import Range, Step, Verdict

# A load process that is later than this (p99) measures itself.
BEHIND_P99_MS_MAX = 25.0
LATENCY_P99_MS_MAX = 100.0

Progress = Callable[[str], None]


class Meter(Protocol):
    """Measures one size after the other on one engine."""

    async def measure(self, size: int) -> Step:
        """Settle at this size, then measure. Raises ProcessFailed."""

    def costs(self) -> dict[str, float]:
        """What the steps so far say of the constants of `bench.scale.constants`, as far as they do."""


@dataclass(frozen=True)
class Kind:
    """`meter` works on an engine with the `settings` for the largest size, and measures each step for some seconds.

    `latency` names the figure of a step whose p50 and p99 the picture shows; `first`: see `Range`.
    """

    name: str
    unit: str
    service_level: str
    sizes: Range
    latency: str
    meter: Callable[[OwnEngine, float, Progress], AbstractAsyncContextManager[Meter]]
    settings: Callable[[int], Mapping[str, int | str]]


def judged(size: int, figures: dict[str, Any], broken: str | None) -> Step:
    """A step by its figures: `behind_ms` is how late the load was sent, `reading_late_ms` how late answers were read.

    What was sent late makes a step invalid, whatever the engine did. What was read late only made latencies longer:
    it excuses a step that broke, and takes nothing from one that held.
    """
    behind_ms = figures["behind_ms"]["p99"]
    if behind_ms is None or behind_ms > BEHIND_P99_MS_MAX:
        late = "did nothing" if behind_ms is None else f"was {behind_ms:.0f} ms late (p99)"
        return Step(size, Verdict.INVALID, f"the load generator {late}", figures)
    if broken is None:
        return Step(size, Verdict.HELD, None, figures)
    reading_late_ms = figures.get("reading_late_ms", {"p99": 0.0})["p99"]
    if reading_late_ms > BEHIND_P99_MS_MAX:
        return Step(size, Verdict.INVALID, f"{broken}, read {reading_late_ms:.0f} ms late (p99)", figures)
    return Step(size, Verdict.BROKEN, broken, figures)
