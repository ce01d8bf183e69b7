"""A comparison as an SVG: a bar for each stack, by shape."""

from collections.abc import Mapping, Sequence
from html import escape
from statistics import median
from typing import Any

from bench.cells import rate

WIDTH, LABEL_WIDTH, BAR_WIDTH = 720, 130, 440
ROW, BAR, TITLE = 24, 16, 36
STYLE = (
    "text{font:13px sans-serif;fill:#1f2933}.title{font-weight:bold}.bar{fill:#9aa5b1}.engine{fill:#2563eb}"
    ".spread{stroke:#1f2933}"
)


def bars(shapes: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Bars are medians of accepted bids a second, the lines on them go from the least round to the most.

    Without the echo, which stores nothing and would make all bars short.
    """
    parts: list[str] = []
    top = 0
    for shape, every in shapes.items():
        stacks = {name: shown for name, shown in every.items() if name != "echo"}
        parts.append(f'<text class="title" x="0" y="{top + 22}">{escape(shape)}: durable accepted bids a second</text>')
        top += TITLE
        largest = max(max(shown["accepted_per_s"]) for shown in stacks.values())
        for name, shown in stacks.items():
            parts += _row(name, shown["accepted_per_s"], BAR_WIDTH / largest, top)
            top += ROW
        top += ROW // 2
    # White, for readers whose page is dark.
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-12 0 {WIDTH} {top}" width="{WIDTH}" height="{top}">'
        f'<style>{STYLE}</style><rect x="-12" width="{WIDTH}" height="{top}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _row(name: str, rates: Sequence[float], scale: float, top: int) -> list[str]:
    middle, end = top + BAR / 2, LABEL_WIDTH + max(rates) * scale
    least, most = LABEL_WIDTH + min(rates) * scale, end
    return [
        f'<text x="0" y="{top + 13}">{escape(name)}</text>',
        f'<rect class="{"engine" if name == "engine" else "bar"}" x="{LABEL_WIDTH}" y="{top}" height="{BAR}" '
        f'width="{median(rates) * scale:.1f}"/>',
        f'<line class="spread" x1="{least:.1f}" x2="{most:.1f}" y1="{middle}" y2="{middle}"/>',
        f'<text x="{end + 8:.1f}" y="{top + 13}">{rate(median(rates))}</text>',
    ]
