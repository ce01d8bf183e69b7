"""Percentiles of latencies, by nearest rank: a value that really occurred, never one between two; and a histogram for
latencies that are too many to keep."""

from collections import Counter
from collections.abc import Iterable
from math import ceil, frexp, ldexp

# Buckets of a histogram in each power of two: a percentile is at most 1/64 above a value that occurred.
SUBBUCKETS = 64
# All latencies below a microsecond are one.
LEAST_MS = 0.001


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


class Histogram:
    """Latencies in milliseconds, counted in buckets of constant relative width (as HdrHistogram does): its size does
    not grow with their number. Histograms can be added up."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.count = 0
        self.max_ms = 0.0

    def add(self, ms: float) -> None:
        mantissa, exponent = frexp(max(ms, LEAST_MS))
        self._counts[exponent * SUBBUCKETS + int((2 * mantissa - 1) * SUBBUCKETS)] += 1
        self.count += 1
        self.max_ms = max(self.max_ms, ms)

    def merge(self, other: "Histogram") -> None:
        self._counts.update(other._counts)
        self.count += other.count
        self.max_ms = max(self.max_ms, other.max_ms)

    def percentile(self, share: float) -> float | None:
        """The upper end of the bucket in which the least value is that at least `share` (0 to 1) of the values do not
        pass, but no more than the largest value; None for no values."""
        wanted = max(1, ceil(share * self.count))
        passed = 0
        for bucket in sorted(self._counts):
            passed += self._counts[bucket]
            if passed >= wanted:
                return min(self.max_ms, _upper_end(bucket))
        return None


def _upper_end(bucket: int) -> float:
    exponent, part = divmod(bucket, SUBBUCKETS)
    return ldexp((1 + (part + 1) / SUBBUCKETS) / 2, exponent)
