"""Line charts as SVG to be put into a page: text as text, colours by the style sheet of the page."""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator

# Placeholders that no other colour equals; the style sheet has the real ones, for light and dark pages.
INK, FAINT = "#010101", "#020202"
SERIES = ("#030301", "#030302", "#030303", "#030304", "#030305", "#030306", "#030307", "#030308")
VARIABLES = {INK: "var(--ink)", FAINT: "var(--faint)"} | {
    placeholder: f"var(--series-{number})" for number, placeholder in enumerate(SERIES, 1)
}
# Lines differ in more than their colour.
DASHES = ("-", "--", "-.", ":")
# Times that people count in.
TICKS_S, TICKS_MAX = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600), 8
SIZE_INCHES = (6.0, 3.4)
METADATA = ("Creator", "Date", "Format", "Type")
RC: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 12,
    "font.family": "sans-serif",
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "legend.fontsize": 10.5,
}

Values = Sequence[float | None]


@dataclass(frozen=True)
class Chart:
    """`lines` by label, one value for each interval of `step_s`. `bounds` are horizontal lines with a label. The title
    and the description are read to who can't see the chart."""

    name: str
    title: str
    unit: str
    step_s: float
    lines: Mapping[str, Values]
    bounds: Mapping[str, float]
    logarithmic: bool = False
    stacked: bool = False


def svg_of(chart: Chart) -> str:
    """An `<svg>` element without references to anything outside."""
    # On some processors NumPy finds `divmod` of two ordinary numbers invalid (seen in the search for ticks): its result
    # is right, and a warning about it would be an error in tests.
    with mpl.rc_context(RC | {"svg.hashsalt": chart.name}), np.errstate(invalid="ignore"):
        figure = Figure(figsize=SIZE_INCHES, layout="constrained")
        axes = figure.add_subplot()
        (_draw_areas if chart.stacked else _draw_lines)(axes, chart)
        for number, (label, value) in enumerate(chart.bounds.items()):
            axes.axhline(value, color=SERIES[number % len(SERIES)], linewidth=0.9, linestyle=(0, (1, 2)))
            axes.annotate(label, (1, value), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=9.5)
        _label(axes, chart)
        if len(chart.lines) > 1:
            figure.legend(loc="outside upper left", ncols=_columns(chart), handlelength=2.2, columnspacing=1.2)
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata=dict.fromkeys(METADATA))
    return _embeddable(out.getvalue(), chart)


def _draw_lines(axes: Axes, chart: Chart) -> None:
    for number, (label, values) in enumerate(chart.lines.items()):
        at, known = _known(values, chart.step_s)
        axes.plot(
            at, known, label=label, color=SERIES[number % len(SERIES)],
            linestyle=DASHES[number // 2 % len(DASHES)], linewidth=1.6, marker="o" if len(at) < 3 else "", markersize=4,
        )  # fmt: skip


def _draw_areas(axes: Axes, chart: Chart) -> None:
    """On top of each other; what was not read is as it was before."""
    filled = [_filled(values) for values in chart.lines.values()]
    at = [(n + 0.5) * chart.step_s for n in range(len(filled[0]))] if filled else []
    colors = [SERIES[number % len(SERIES)] for number in range(len(filled))]
    axes.stackplot(at, *filled, labels=list(chart.lines), colors=colors, linewidth=0)


def _known(values: Values, step_s: float) -> tuple[list[float], list[float]]:
    points = [((n + 0.5) * step_s, value) for n, value in enumerate(values) if value is not None]
    return [at for at, _ in points], [value for _, value in points]


def _filled(values: Values) -> list[float]:
    filled, last = [], 0.0
    for value in values:
        last = last if value is None else value
        filled.append(last)
    return filled


def _columns(chart: Chart) -> int:
    """Of the legend, as many as fit."""
    longest = max(map(len, chart.lines))
    return 4 if longest < 8 else 3 if longest < 15 else 2


def _label(axes: Axes, chart: Chart) -> None:
    axes.set_ylabel(chart.unit)
    axes.set_xlabel("time since the start of the load")
    length_s = max(map(len, chart.lines.values())) * chart.step_s
    tick_s = next((tick_s for tick_s in TICKS_S if length_s / tick_s <= TICKS_MAX), TICKS_S[-1])
    axes.xaxis.set_major_locator(MultipleLocator(tick_s))
    axes.xaxis.set_major_formatter(FuncFormatter(_time))
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    if chart.logarithmic:
        axes.set_yscale("log")
        axes.grid(axis="y", which="minor", linewidth=0.25)
    else:
        axes.set_ylim(bottom=0, top=None)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.margins(x=0.01)


def _time(at_s: float, _place: int | None) -> str:
    minutes, seconds = divmod(int(at_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def description(chart: Chart) -> str:
    """The range of each line, in words."""
    parts = []
    for label, values in chart.lines.items():
        known = [value for value in values if value is not None]
        if known:
            parts.append(f"{label}: {min(known):,.4g} to {max(known):,.4g}")
    return f"{chart.unit}, over time. " + "; ".join(parts) + "."


def _embeddable(svg: str, chart: Chart) -> str:
    """Without its prologue and fixed size, with a title and a description, and ids that no other chart has."""
    body = svg[svg.index("<svg") :]
    opening, rest = body.split(">", 1)
    box = re.search(r'viewBox="[^"]+"', opening)
    assert box is not None
    rest = re.sub(r"<metadata>.*?</metadata>", "", rest, flags=re.DOTALL)
    rest = re.sub(r'(id="|href="#|url\(#)', rf"\g<1>chart-{chart.name}-", rest)
    for placeholder, variable in VARIABLES.items():
        rest = rest.replace(placeholder, variable)
    rest = rest.replace("xlink:href", "href")
    return (
        f'<svg role="img" {box[0]} aria-labelledby="chart-{chart.name}-title chart-{chart.name}-about">'
        f'<title id="chart-{chart.name}-title">{escape(chart.title)}</title>'
        f'<desc id="chart-{chart.name}-about">{escape(description(chart))}</desc>{rest}'
    )
