"""What a stream of results says: percentiles, errors by code, and whether the service level objective is met."""

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.locust.profiles import REFUSALS_BY_THE_RULES, Slo
from bench.locust.results import KINDS, Result
from bench.percentiles import percentile

SHARES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
# Which percentile of which kind each bound of an objective is for.
BOUNDS = {
    "ack_p99_ms": ("ack", "p99"),
    "update_p99_ms": ("news", "p99"),
    "close_p99_ms": ("close", "p99"),
    "rest_p95_ms": ("rest", "p95"),
}


@dataclass
class Measured:
    """Latencies (ms) of what succeeded, and failures by code, of one kind or one name."""

    ms: "array[float]" = field(default_factory=lambda: array("f"))
    refused: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def add(self, result: Result) -> None:
        if result.error is None:
            self.ms.append(result.ms)
        elif result.error in REFUSALS_BY_THE_RULES:
            self.refused[result.error] += 1
        else:
            self.errors[result.error] += 1

    def figures(self) -> dict[str, Any]:
        """As JSON."""
        ascending = sorted(self.ms)
        found = {name: percentile(ascending, share) for name, share in SHARES.items()}
        return {
            "count": len(ascending),
            **{name: None if ms is None else round(ms, 2) for name, ms in found.items()},
            "refused": dict(self.refused),
            "errors": dict(self.errors),
        }


def summary(results: Iterable[Result]) -> dict[str, Any]:
    """Figures by kind (all of `KINDS`), by kind and name, and all errors by code."""
    kinds: dict[str, Measured] = {kind: Measured() for kind in KINDS}
    names: dict[str, dict[str, Measured]] = {kind: {} for kind in KINDS}
    first_at, last_at = float("inf"), 0.0
    for result in results:
        kinds[result.kind].add(result)
        names[result.kind].setdefault(result.name, Measured()).add(result)
        first_at, last_at = min(first_at, result.at), max(last_at, result.at)
    errors = sum((measured.errors for measured in kinds.values()), Counter[str]())
    return {
        "seconds": round(max(0.0, last_at - first_at), 1),
        "kinds": {kind: measured.figures() for kind, measured in kinds.items()},
        "names": {
            kind: {name: measured.figures() for name, measured in sorted(of_kind.items())}
            for kind, of_kind in names.items()
        },
        "errors": dict(errors.most_common()),
    }


def verdicts(slo: Slo, figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """For each bound `{"name", "bound", "measured", "met"}`. A bound on what never happened is not met."""
    measured = {name: figures["kinds"][kind][share] for name, (kind, share) in BOUNDS.items()}
    measured["error_share"] = error_share(figures)
    bounds = {name: bound for name in measured if (bound := getattr(slo, name)) is not None}
    return [
        {"name": name, "bound": bound, "measured": of, "met": of is not None and of <= bound}
        for name, bound in bounds.items()
        for of in (measured[name],)
    ]


def error_share(figures: Mapping[str, Any]) -> float:
    """Of all operations, the share that failed; refusals by the rules are answers. 1 where nothing was done."""
    failed = sum(figures["errors"].values())
    done = sum(of["count"] + sum(of["refused"].values()) for of in figures["kinds"].values())
    return round(failed / (failed + done), 6) if failed + done else 1.0
