"""Percentiles of latencies, by nearest rank: a value that really occurred, never one between two."""

from collections.abc import Iterable
from math import ceil


def percentile(ascending: list[float], share: float) -> float | None:
    """The least value that at least `share` (0 to 1) of the values don't pass; None for no values."""
    if not ascending:
        return None
    return ascending[max(0, ceil(share * len(ascending)) - 1)]


def p50_p99(latencies_s: Iterable[float]) -> dict[str, float | None]:
    """`{"p50", "p99"}` in milliseconds, rounded to a microsecond."""
    ascending = sorted(latencies_s)
    return {
        name: None if value is None else round(value * 1000, 3)
        for name, value in (("p50", percentile(ascending, 0.50)), ("p99", percentile(ascending, 0.99)))
    }
