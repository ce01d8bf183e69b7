"""Figures of several stacks that were measured in turn."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from bench.loads.load import Measured

ENGINE = "engine"
# How many times the bids of a peer the engine is to accept, by shape.
GOALS: Mapping[str, Mapping[str, float]] = {
    "hot": {"prisma": 20.0, "one-statement": 8.0, "uncovered": 0.85},
    "spread": {"uncovered": 0.85},
}
# Of a processor: above, the load generator is what limits the figure.
CLIENT_CPU_MAX = 0.9


def pair_ratios(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, Any]:
    """Of the rates of each round, ours by theirs: the median, least and most, and each. No rate may be 0."""
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    return {
        "median": round(median(ratios), 2),
        "min": round(min(ratios), 2),
        "max": round(max(ratios), 2),
        "each": [round(ratio, 2) for ratio in ratios],
    }


def stack_figures(rounds: Sequence[Measured]) -> dict[str, Any]:
    """One stack in one shape: rates by round, the rest as medians of the rounds."""
    return {
        "accepted_per_s": [round(one.accepted / one.window_s, 1) for one in rounds],
        "refused_per_s": round(median(sum(one.refused.values()) / one.window_s for one in rounds), 1),
        "ack_ms": _medians([one.ack_ms for one in rounds]),
        "update_ms": _medians([one.update_ms for one in rounds]),
        "updates_per_bid": round(median(one.updates / one.accepted for one in rounds), 2),
        "client_cpu": max(one.client_cpu for one in rounds),
        "client_us_per_bid": round(median(one.client_cpu * one.window_s / one.accepted for one in rounds) * 1e6, 1),
        "checked_acks": sum(len(acks) for one in rounds for acks in one.acknowledged),
    }


def shape_figures(rounds_by_stack: Mapping[str, Sequence[Measured]]) -> dict[str, dict[str, Any]]:
    """Every stack in one shape, the peers with `ratio`: bids of the engine by theirs."""
    figures = {name: stack_figures(rounds) for name, rounds in rounds_by_stack.items()}
    ours = figures[ENGINE]["accepted_per_s"]
    for name, shown in figures.items():
        if name != ENGINE:
            shown["ratio"] = pair_ratios(ours, shown["accepted_per_s"])
    return figures


def goals(shapes: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """The goals whose shape and peer were measured, with a verdict on the median."""
    return [
        {"shape": shape, "peer": peer, "goal": goal, "ratio": ratio, "met": ratio >= goal}
        for shape, by_peer in GOALS.items()
        for peer, goal in by_peer.items()
        if peer in shapes.get(shape, {})
        for ratio in (shapes[shape][peer]["ratio"]["median"],)
    ]


def _medians(latencies: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """Of each percentile, over the rounds that have it."""
    medians: dict[str, float | None] = {}
    for name in latencies[0]:
        known = [value for one in latencies if (value := one[name]) is not None]
        medians[name] = round(median(known), 3) if known else None
    return medians
