"""The curve of a search: latency against load."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH_IN, HEIGHT_IN = 7.0, 3.2
COLOURS = {"p50": "#3b6ea5", "p99": "#c2452d"}


def draw(shown: Mapping[str, Any], latencies: Mapping[str, str], file: Path) -> None:
    """Write an SVG with one plot for each kind: p50 and p99 of the steps, crosses where the level did not hold."""
    kinds = shown["kinds"]
    figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN * len(kinds)), layout="constrained")
    for number, (name, kind) in enumerate(kinds.items(), 1):
        _plot(figure.add_subplot(len(kinds), 1, number), kind, latencies[name])
    figure.savefig(file, format="svg")


def _plot(axes: Axes, kind: Mapping[str, Any], latency: str) -> None:
    steps = sorted((step for step in kind["steps"] if latency in step), key=lambda step: step["size"])
    for share, colour in COLOURS.items():
        points = [(step["size"], step[latency][share], step["verdict"]) for step in steps]
        known = [(size, ms, verdict) for size, ms, verdict in points if ms is not None]
        held = [(size, ms) for size, ms, verdict in known if verdict == "held"]
        failed = [(size, ms) for size, ms, verdict in known if verdict != "held"]
        axes.plot(*_columns(held), "o-", color=colour, label=f"{latency.removesuffix('_ms')} {share}")
        axes.plot(*_columns(failed), "x", color=colour)
    if kind["held"] is not None:
        axes.axvline(kind["held"], color="#888888", linestyle="--", label=f"capacity {kind['held']:,}")
    axes.set(xlabel=kind["unit"], ylabel="ms", xscale="log", yscale="log")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize="small")


def _columns(points: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [size for size, _ in points], [ms for _, ms in points]
