"""The page of a report: `python -m bench.report.page` reads a stored report on stdin and prints HTML on stdout. Its own
process, because charts take seconds, and what they are drawn with takes a second to import."""

import sys
from pathlib import Path

import jinja2
import msgspec
from markupsafe import Markup

from bench.cells import NONE, ms
from bench.locust.profiles import REFUSALS_BY_THE_RULES
from bench.report.charts import charts
from bench.report.drawing import svg_of
from bench.report.result import Result

TEMPLATE = Path(__file__).with_name("page.html.jinja")
SHARES = ("p50", "p90", "p95", "p99", "p999")


def page(result: Result) -> str:
    """One HTML document that needs nothing else."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(TEMPLATE.read_text()).render(
        run=result,
        verdict=verdict_of(result),
        lost=lost_bids(result.checked.lost),
        duration=_duration(result.seconds),
        shares=SHARES,
        charts=[(chart.title, Markup(svg_of(chart))) for chart in charts(result)],
        rules=sorted(REFUSALS_BY_THE_RULES),
        changed=[one for one in result.settings if one[2] != "default"],
        amount=lambda value, unit: NONE if value is None else f"{value:,.4g} {unit}".rstrip(),
        ms=ms,
        word=lambda met: {True: "met", False: "missed", None: "not measured"}[met],
        word_class=lambda met: {True: "good", False: "bad", None: "unknown"}[met],
    )


def verdict_of(result: Result) -> str:
    """One sentence."""
    if result.checked.lost:
        return lost_bids(result.checked.lost)
    if result.checked.by_kind:
        return f"Violations: {sum(result.checked.by_kind.values()):,}"
    failed = [one.name for one in result.slo if one.met is not True]
    return f"Missed: {', '.join(failed)}" if failed else "All objectives met, nothing lost"


def lost_bids(lost: int) -> str:
    return "1 acknowledged bid is lost" if lost == 1 else f"{lost:,} acknowledged bids are lost"


def _duration(seconds: float) -> str:
    return f"{seconds / 60:g} minutes" if seconds >= 120 and seconds % 60 == 0 else f"{seconds:g} s"


def main() -> None:
    sys.stdout.write(page(msgspec.json.decode(sys.stdin.buffer.read(), type=Result)))


if __name__ == "__main__":
    main()
