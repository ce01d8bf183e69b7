"""Reports as a terminal of 80 columns shows them."""

import io
import re

from rich.console import Console

from bench.definition import Report
from ece.commands.bench.output import print_report

WIDTH = 80


def shown(report: Report) -> str:
    """The text of the report; lines that were wrapped stay wrapped."""
    out = io.StringIO()
    print_report(Console(file=out, width=WIDTH), report)
    return out.getvalue()


def unwrapped(text: str) -> str:
    """The text as one line with single spaces."""
    return " ".join(text.split())


def cells(text: str, first: str) -> list[str]:
    """The cells of the row that begins so."""
    (row,) = [line for line in text.splitlines() if re.match(rf"\s*{re.escape(first)}\s\s", line)]
    return re.split(r"\s\s+", row.strip())
