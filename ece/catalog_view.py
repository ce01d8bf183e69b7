"""What `ece catalog import` shows: how a file was read, its first cards, and what became of them."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from domain.catalog.rows import CardRow
from persistence.catalog_files import CsvFile, Read
from persistence.catalog_import import Imported

PREVIEW_ROWS = 10
SEPARATOR_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs"}


def print_how_read(out: Console, file: CsvFile) -> None:
    """The format found, which column became what, and what was left out."""
    its = file.columns.format
    separator = SEPARATOR_NAMES.get(file.separator, file.separator)
    out.print(f"Read as [bold]{escape(its.title)}[/], {escape(file.encoding)}, separated by {escape(separator)}.")
    taken = Table(box=None, show_header=False, padding=(0, 1), pad_edge=False)
    taken.add_column(style="dim", no_wrap=True)
    taken.add_column()
    taken.add_row("  taken", escape(" · ".join(
        field if [field] == columns else f"{field} ← {', '.join(columns)}"
        for field, columns in file.columns.taken.items()
    )))  # fmt: skip
    if file.columns.ignored:
        taken.add_row("  not taken", escape(" · ".join(file.columns.ignored)))
    out.print(taken)
    if file.repaired:
        out.print(f"{file.repaired:,} lines had quotes that should have been doubled; they were read all the same.")


def print_preview(out: Console, rows: list[Read]) -> None:
    """The first cards, as they would be written."""
    if not rows:
        return
    table = Table(box=None, padding=(0, 1), header_style="bold")
    table.add_column("Line", justify="right", no_wrap=True)
    for title, ratio in (("Set", 3), ("Number", 2), ("Name", 6), ("Rarity", 2), ("More", 4)):
        table.add_column(title, ratio=ratio, no_wrap=True, overflow="ellipsis")
    for line, row, _ in rows:
        assert isinstance(row, CardRow), "only good rows are noted"
        table.add_row(f"{line:,}", *map(escape, (row.set, row.number, row.name, row.rarity, _more(row))))
    out.print(table)


def _more(row: CardRow) -> str:
    more = [row.set_name or "", *(f"{name}: {value}" for name, value in row.traits.items()), row.description]
    return " · ".join(" ".join(text.split()) for text in more if text)


def print_report(out: Console, imported: Imported, dry_run: bool, collection: bool, seconds: float) -> None:
    """How many rows there were, what became of them, and why some are no cards."""
    sign = "[red]✗[/]" if imported.bad else "[green]✓[/]"
    same = "there already, and left as they are" if collection else "the same"
    good = imported.read - imported.bad - imported.repeated
    done = f"{good:,} cards, looked at only" if dry_run else (
        f"{imported.created:,} new, {imported.changed:,} changed, {imported.same:,} {same}"
    )  # fmt: skip
    repeated = f"; {imported.repeated:,} more of the same cards" if imported.repeated else ""
    out.print(
        f"{sign} {imported.read:,} rows in {seconds:.1f} s: {done}{repeated}; {imported.bad:,} bad.", soft_wrap=True
    )
    if not imported.findings:
        return
    table = Table(box=None, pad_edge=True)
    table.add_column("Line", justify="right", no_wrap=True)
    table.add_column("Why it is no card")
    for line, why in imported.findings:
        table.add_row(f"{line:,}", escape(why))
    out.print(table)
    if imported.bad > len(imported.findings):
        out.print(f"  … and {imported.bad - len(imported.findings):,} more: --report FILE has them all.")
