"""When operations start: after a time to think (closed loop), or at a fixed rate (open loop). Times are seconds of one
clock of the caller."""

import random
from typing import Protocol


class Arrival(Protocol):
    """Gives out start times."""

    # Whether an operation must not wait for the one before it.
    open_loop: bool

    def next_due_s(self, now_s: float) -> float:
        """When the next operation of the user who asks is due. A time that has passed counts as well: latency counts
        from it."""


class ClosedLoop:
    """Each user starts its next operation some time after the last was answered."""

    open_loop = False

    def __init__(self, think_s: tuple[float, float], chance: random.Random) -> None:
        self._think_s = think_s
        self._chance = chance

    def next_due_s(self, now_s: float) -> float:
        return now_s + self._chance.uniform(*self._think_s)


class OpenLoop:
    """One schedule for all users of a process: operation n is due n / `rate` after the first, whoever is free then.

    The times do not depend on answers. Processes are offset from each other by `phase`, a share of an interval.
    """

    open_loop = True

    def __init__(self, rate: float, phase: float = 0.0) -> None:
        if rate <= 0:
            raise ValueError(f"a rate has to be positive: {rate}")
        self._interval_s = 1.0 / rate
        self._phase = phase
        self._first_s: float | None = None
        self._given = 0

    def next_due_s(self, now_s: float) -> float:
        if self._first_s is None:
            self._first_s = now_s + self._phase * self._interval_s
        # Multiplied, not added up: rounding must not change the rate.
        due_s = self._first_s + self._given * self._interval_s
        self._given += 1
        return due_s
