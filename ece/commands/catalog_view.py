"""Output of `ece catalog import`: how a file was read, its first cards, and the result."""

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from domain.catalog.rows import CardRow
from persistence.catalog.csv import REPAIRED_MAX
from persistence.catalog.files import CsvFile, Read
from persistence.catalog.importing import Imported
from persistence.catalog.text import WINDOWS_1252

PREVIEW_ROWS = 10
# How wide each column may become, those first that are cut last; what has less room than this is left out.
PREVIEW_WIDTHS = {"Line": 9, "Set": 18, "Number": 12, "Rarity": 14, "Name": 40, "More": 60}
PREVIEW_WIDTH_MIN = 8
SEPARATOR_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs"}


def print_how_read(out: Console, file: CsvFile) -> None:
    """The format found, which column became what, and what was left out."""
    its = file.columns.format
    separator = SEPARATOR_NAMES.get(file.separator, _printable(file.separator))
    out.print(f"Read as [bold]{escape(its.title)}[/], {escape(file.encoding)}, separated by {escape(separator)}.")
    if file.encoding == WINDOWS_1252:
        out.print(
            "The file isn't UTF-8, so this is a guess: where letters look wrong, --encoding NAME says what it is."
        )
    taken = Table(box=None, show_header=False, padding=(0, 1), pad_edge=False)
    taken.add_column(style="dim", no_wrap=True)
    taken.add_column()
    taken.add_row("  taken", Text(_printable(" · ".join(
        field if [field] == columns else f"{field} ← {', '.join(columns)}"
        for field, columns in file.columns.taken.items()
    ))))  # fmt: skip
    if file.columns.ignored:
        taken.add_row("  not taken", Text(_printable(" · ".join(file.columns.ignored))))
    out.print(taken)
    if file.repaired:
        lines = ", ".join(f"{line:,}" for line in file.repaired)
        more = " …" if len(file.repaired) == REPAIRED_MAX else ""
        out.print(f"Quotes that should have been doubled were read as they are in lines {lines}{more}.")


def print_preview(out: Console, rows: list[Read]) -> None:
    """The first cards, as they would be written, a line each: what is too long for the terminal is cut."""
    cards = [(f"{line:,}", row) for line, row, _ in rows if isinstance(row, CardRow)]
    if not cards:
        return
    table = Table(box=None, padding=(0, 1), header_style="bold")
    columns: dict[str, list[str]] = {
        "Line": [line for line, _ in cards],
        "Set": [row.set for _, row in cards],
        "Number": [row.number for _, row in cards],
        "Rarity": [row.rarity for _, row in cards],
        "Name": [row.name for _, row in cards],
        "More": [_more(row) for _, row in cards],
    }
    spare, shown = out.width, []
    for title, width_max in PREVIEW_WIDTHS.items():
        texts = [_printable(text) for text in columns[title]]
        width = min(width_max, spare - 2, max(map(cell_len, (title, *texts))))
        if spare < PREVIEW_WIDTH_MIN or not any(texts):
            continue
        spare -= width + 2
        table.add_column(title, justify="right" if title == "Line" else "left", no_wrap=True)
        shown.append([_cut(text, width) for text in texts])
    for texts_of_row in zip(*shown, strict=True):
        table.add_row(*texts_of_row)
    out.print(table)


def _printable(text: str) -> str:
    """On one line, and without signs that a terminal would follow."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in " ".join(text.split()))


def _cut(text: str, width: int) -> Text:
    cut = Text(text)
    cut.truncate(width, overflow="ellipsis")
    return cut


def _more(row: CardRow) -> str:
    more = [row.set_name or "", *(f"{name}: {value}" for name, value in row.traits.items()), row.description]
    return " · ".join(text for text in more if text)


def print_report(out: Console, imported: Imported, dry_run: bool, collection: bool, seconds: float) -> None:
    """How many rows there were, what became of them, and why some are no cards."""
    sign = "[red]✗[/]" if imported.bad else "[green]✓[/]"
    same = "there already, and left as they are" if collection else "the same"
    good = imported.read - imported.bad - imported.repeated
    done = f"{good:,} good, looked at only" if dry_run else (
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
