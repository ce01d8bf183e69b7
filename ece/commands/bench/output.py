"""A report in a terminal. Tables fit 80 columns."""

from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from bench.definition import Report, Table

PADDINGS = ((0, 2, 0, 0), (0, 1, 0, 0))
# Wider than any table: a table is measured without being cut.
UNBOUNDED = 1_000


def print_report(console: Console, report: Report) -> None:
    """Tables and notes in order."""
    for part in report.text:
        console.print(_fitted(console, part) if isinstance(part, Table) else part, highlight=False, markup=False)


def _fitted(console: Console, table: Table) -> RichTable:
    """With less space between the columns where the console is narrow."""
    for padding in PADDINGS:
        drawn = _drawn(table, padding)
        if console.measure(drawn, options=console.options.update_width(UNBOUNDED)).maximum <= console.width:
            break
    return drawn


def _drawn(table: Table, padding: tuple[int, int, int, int]) -> RichTable:
    # As wide as its title, which would wrap otherwise.
    width = len(table.title)
    drawn = RichTable(title=table.title, title_justify="left", min_width=width, box=box.SIMPLE_HEAD, pad_edge=False)
    drawn.padding = padding
    for number, column in enumerate(table.columns):
        drawn.add_column(column, justify="left" if number == 0 else "right", no_wrap=True)
    for row in table.rows:
        drawn.add_row(*row)
    return drawn
