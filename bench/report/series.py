"""Latencies, throughput and errors over time, from the results stream, in memory that does not grow with it."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from math import ceil

import msgspec

from bench.locust.results import Result
from bench.percentiles import Histogram

# An hour has 600 points of 6 s.
POINTS_MAX = 600
# Names and error codes of more kinds than these are counted together, as OTHER.
NAMES_MAX = 60
OTHER = "other"
SHARES = {"p50": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999, "p9999": 0.9999}


class Summary(msgspec.Struct, frozen=True):
    """Operations of one kind and name. Latencies in ms, of those that succeeded."""

    kind: str
    name: str
    count: int
    errors: int
    percentiles: dict[str, float | None]
    max_ms: float


class KindOverTime(msgspec.Struct, frozen=True):
    """One kind, a value for each interval: operations that succeeded and that failed a second, latencies in ms."""

    per_s: list[float]
    errors_per_s: list[float]
    p50_ms: list[float | None]
    p90_ms: list[float | None]
    p99_ms: list[float | None]
    max_ms: list[float | None]


class OverTime(msgspec.Struct, frozen=True):
    """Interval `n` begins `n * step_s` after the load."""

    step_s: int
    kinds: dict[str, KindOverTime]


class Interval:
    """What finished in one interval."""

    def __init__(self) -> None:
        self.latencies = Histogram()
        self.errors = 0


class Tally:
    """All operations of a run of `seconds` that began at `began_s` (seconds since the epoch)."""

    def __init__(self, began_s: float, seconds: float) -> None:
        self._began_s = began_s
        self.seconds = seconds
        self.step_s = max(1, ceil(seconds / POINTS_MAX))
        self._intervals: defaultdict[str, list[Interval]] = defaultdict(self._empty)
        self._totals: defaultdict[tuple[str, str], Interval] = defaultdict(Interval)
        self._errors: Counter[tuple[str, str]] = Counter()

    def add(self, operation: Result) -> None:
        """What finishes before the beginning or after the end counts in the first or last interval."""
        intervals = self._intervals[operation.kind]
        place = int((operation.at - self._began_s) / self.step_s)
        name = _bounded((operation.kind, operation.name), self._totals)
        for counted in (intervals[max(0, min(place, len(intervals) - 1))], self._totals[name]):
            if operation.error is None:
                counted.latencies.add(operation.ms)
            else:
                counted.errors += 1
        if operation.error is not None:
            self._errors[_bounded((operation.kind, operation.error), self._errors)] += 1

    def of_kind(self, kind: str) -> Summary:
        """All names of a kind together."""
        latencies, errors = Histogram(), 0
        for (its_kind, _), interval in self._totals.items():
            if its_kind == kind:
                latencies.merge(interval.latencies)
                errors += interval.errors
        return _summary(kind, "", latencies, errors)

    def by_kind(self) -> list[Summary]:
        return [self.of_kind(kind) for kind in sorted(self._intervals)]

    def by_name(self) -> list[Summary]:
        return [_summary(*name, total.latencies, total.errors) for name, total in sorted(self._totals.items())]

    def errors(self) -> dict[str, dict[str, int]]:
        """How many by kind and code, the most frequent first."""
        found: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for (kind, code), count in self._errors.most_common():
            found[kind][code] = count
        return dict(found)

    def over_time(self) -> OverTime:
        return OverTime(self.step_s, {kind: self._of(self._intervals[kind]) for kind in sorted(self._intervals)})

    def _of(self, intervals: list[Interval]) -> KindOverTime:
        def ranks(share: float) -> list[float | None]:
            return [_rounded(one.latencies.percentile(share)) for one in intervals]

        return KindOverTime(
            [round(one.latencies.count / self.step_s, 2) for one in intervals],
            [round(one.errors / self.step_s, 2) for one in intervals],
            ranks(0.5),
            ranks(0.9),
            ranks(0.99),
            ranks(1.0),
        )

    def _empty(self) -> list[Interval]:
        return [Interval() for _ in range(max(1, ceil(self.seconds / self.step_s)))]


def _bounded(name: tuple[str, str], known: Mapping[tuple[str, str], object]) -> tuple[str, str]:
    return name if name in known or len(known) < NAMES_MAX else (name[0], OTHER)


def _summary(kind: str, name: str, latencies: Histogram, errors: int) -> Summary:
    percentiles = {label: _rounded(latencies.percentile(share)) for label, share in SHARES.items()}
    return Summary(kind, name, latencies.count, errors, percentiles, round(latencies.max_ms, 3))


def _rounded(ms: float | None) -> float | None:
    return None if ms is None else round(ms, 3)
