"""The generic cell rate algorithm (GCRA): a token bucket whose whole state is the time at which it is full again.

Times are integer microseconds. ``persistence/redis/rate_limits.lua`` is the same rule in Redis.
"""

from collections.abc import Sequence

import msgspec

MICROSECONDS = 1_000_000


class Rate(msgspec.Struct, frozen=True):
    """A bucket of ``burst`` tokens, which gets one more every ``interval_us``."""

    interval_us: int
    burst: int

    @property
    def window_s(self) -> int:
        """The time in which an empty bucket is full again, rounded up."""
        return -(-self.interval_us * self.burst // MICROSECONDS)


def per_second(tokens: int, burst: int) -> Rate:
    """So many tokens in a second, and ``burst`` at once."""
    return Rate(max(1, MICROSECONDS // tokens), burst)


def per_minute(tokens: int, burst: int) -> Rate:
    """So many tokens in a minute, and ``burst`` at once."""
    return Rate(max(1, 60 * MICROSECONDS // tokens), burst)


class Ask(msgspec.Struct, frozen=True):
    """What is asked of the bucket of this key: from ``least`` to ``most`` tokens, or none.

    ``debt``: tokens that were spent before they were asked for. They are taken in any case, also beyond the burst.
    """

    key: str
    rate: Rate
    least: int = 1
    most: int = 1
    debt: int = 0

    @classmethod
    def exactly(cls, key: str, rate: Rate, cost: int = 1) -> "Ask":
        """So many tokens, or none. What costs more than a burst takes the whole burst."""
        cost = min(cost, rate.burst)
        return cls(key, rate, cost, cost)


class Taken(msgspec.Struct, frozen=True):
    """``retry_us``: 0, or the time until there are enough tokens; ``full_us``: the time until the bucket is full."""

    granted: int
    remaining: int
    retry_us: int
    full_us: int


def take(ask: Ask, full_at_us: int, now_us: int) -> tuple[int, Taken]:
    """Take tokens of a bucket that is full at ``full_at_us``; returns when it is full now, and what was taken."""
    rate = ask.rate
    full_at_us = max(full_at_us, now_us) + ask.debt * rate.interval_us
    available = (now_us + rate.burst * rate.interval_us - full_at_us) // rate.interval_us
    if available < ask.least:
        retry_us = full_at_us + ask.least * rate.interval_us - now_us - rate.burst * rate.interval_us
        return full_at_us, Taken(0, max(0, available), retry_us, full_at_us - now_us)
    granted = min(ask.most, available)
    full_at_us += granted * rate.interval_us
    return full_at_us, Taken(granted, available - granted, 0, full_at_us - now_us)


def take_together(asks: Sequence[Ask], full_at_us: Sequence[int], now_us: int) -> tuple[list[int], list[Taken]]:
    """As ``take`` for each, but if one has too few tokens, none is taken of any. Keys differ, and nobody has debt."""
    results = [take(ask, full_at, now_us) for ask, full_at in zip(asks, full_at_us, strict=True)]
    if all(taken.granted for _, taken in results):
        return [full_at for full_at, _ in results], [taken for _, taken in results]
    return list(full_at_us), [_not_taken(ask, taken) for ask, (_, taken) in zip(asks, results, strict=True)]


def _not_taken(ask: Ask, taken: Taken) -> Taken:
    full_us = taken.full_us - taken.granted * ask.rate.interval_us
    return Taken(0, taken.remaining + taken.granted, taken.retry_us, full_us)
