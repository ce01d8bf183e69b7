"""The search for the largest size at which a service level holds: bracket, then bisect, in bounded steps."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from math import sqrt
from typing import Any

import msgspec

GROWTH = 2.0


class Verdict(StrEnum):
    """Of one step. INVALID: the load generator was late, and the step says nothing about the engine."""

    HELD = "held"
    BROKEN = "broken"
    INVALID = "invalid"


@dataclass(frozen=True)
class Step:
    """One measurement at this size (bids per second, watchers, …), and why the service level did not hold."""

    size: int
    verdict: Verdict
    why: str | None = None
    figures: dict[str, Any] = field(default_factory=dict)


class Range(msgspec.Struct, frozen=True):
    """Sizes from `least` to `most`, the first to try, and how close the result has to come (1.1: within 10%)."""

    first: int
    least: int
    most: int
    within: float = 1.1
    steps_max: int = 14
    # A size that can't be left again: it only grows, and is not bisected.
    grows_only: bool = False


@dataclass(frozen=True)
class Found:
    """`held` is the largest size that held; None: none did. `ended_by` is what the next larger size failed for."""

    held: int | None
    ended_by: str
    steps: tuple[Step, ...]


Measure = Callable[[int], Awaitable[Step]]


async def search(measure: Measure, sizes: Range) -> Found:
    """The largest size that holds.

    Sizes double until one does not hold, or halve until one does; then the gap is bisected (geometrically). A size
    that did not hold is measured a second time, since one disturbance of the machine must not end the search: it
    counts as held if the second step holds. At most `steps_max` steps in all.
    """
    return await _Search(measure, sizes).run()


class _Search:
    def __init__(self, measure: Measure, sizes: Range) -> None:
        self._measure = measure
        self._sizes = sizes
        self._steps: list[Step] = []
        self._held: int | None = None
        # The smallest size that did not hold.
        self._failed: Step | None = None

    async def run(self) -> Found:
        size: int | None = min(max(self._sizes.first, self._sizes.least), self._sizes.most)
        while size is not None and self._left:
            await self._try(size)
            size = self._next()
        return Found(self._held, self._ended_by(), tuple(self._steps))

    @property
    def _left(self) -> int:
        return self._sizes.steps_max - len(self._steps)

    async def _try(self, size: int) -> None:
        step = await self._once(size)
        if step.verdict is not Verdict.HELD and self._left:
            step = await self._once(size)
        if step.verdict is Verdict.HELD:
            self._held = size
        else:
            self._failed = step

    async def _once(self, size: int) -> Step:
        step = await self._measure(size)
        self._steps.append(step)
        return step

    def _next(self) -> int | None:
        """The size to try after this one; None: the search is over."""
        sizes, held, failed = self._sizes, self._held, self._failed
        if failed is None:
            assert held is not None, "a step held or failed"
            return None if held >= sizes.most else min(sizes.most, int(held * GROWTH))
        if sizes.grows_only:
            return None
        if held is None:
            return None if failed.size <= sizes.least else max(sizes.least, int(failed.size / GROWTH))
        between = round(sqrt(held * failed.size))
        if failed.size <= held * sizes.within or not held < between < failed.size:
            return None
        return between

    def _ended_by(self) -> str:
        if self._failed is not None:
            return f"{self._failed.size:,}: {self._failed.why or self._failed.verdict}"
        if self._held is not None and self._held >= self._sizes.most:
            return f"the largest size asked for, {self._sizes.most:,}"
        return f"{self._sizes.steps_max} steps"
