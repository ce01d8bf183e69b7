"""`ece catalog import`: imports cards from a file."""

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from domain.catalog.csv_formats import READABLE, field_known
from domain.catalog.rows import BadRow
from ece.commands.catalog_view import PREVIEW_ROWS, print_how_read, print_preview, print_report
from ece.engine.running import database_of
from ece.failure import Failure
from ece.settings import load_settings
from persistence.catalog.files import CatalogFile, CsvFile, FileBroken, How, Read, catalog_file
from persistence.catalog.importing import Imported, import_rows
from persistence.catalog.text import encoding_known
from persistence.catalog.writing import CatalogWriting
from persistence.postgres.errors import StoreError
from persistence.postgres.pool import close_pool, open_pool

EXIT_BAD_ROWS = 1

catalog = typer.Typer(no_args_is_help=True, help="The catalog.\n\nBegin with: scripts/ece catalog import cards.jsonl")

File = Annotated[
    Path,
    typer.Argument(
        exists=True,
        dir_okay=False,
        readable=True,
        help="CSV (also exports of other programs), JSON lines, or a JSON array.",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Check the file and show the first cards; needs no database and writes nothing."),
]
ReportFile = Annotated[
    Path | None, typer.Option("--report", help="Write all invalid rows to this file, one JSON object a line.")
]
FormatName = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME",
        help=f"The program that wrote the CSV file, if its columns don't tell: {', '.join(READABLE)}.",
    ),
]
Mapped = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="FIELD=COLUMN",
        help='Column of a field; may be repeated: --map name="Card Name" --map set=Set',
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option("--encoding", help="Encoding of a CSV file other than UTF-8, UTF-16 and Windows-1252: cp932 …"),
]
IsCollection = Annotated[
    bool,
    typer.Option(
        "--collection",
        help="The CSV file lists copies: several rows may be one card, and cards that the catalog has are not changed. "
        "Default for exports of other programs.",
    ),
]


@catalog.callback()
def _catalog() -> None:
    """Makes typer keep the name of the only command."""


@catalog.command(name="import")
def import_(
    file: File,
    dry_run: DryRun = False,
    format_name: FormatName = None,
    mapped: Mapped = None,
    encoding: Encoding = None,
    collection: IsCollection = False,
    report: ReportFile = None,
) -> None:
    """Import the cards of a file into the catalog: create new ones, update those
    with the same set and number.

    Each card has `set`, `number`, `name` and `rarity`; it may have `set_name`,
    `description`, `traits`, `edition`, `images` and `model_3d`. In CSV a trait
    is a column `trait:NAME`, and images are separated by `|`. Invalid rows are
    listed with their lines and skipped. Importing the same file again changes
    nothing.

    CSV exports of collectors' programs are recognised by their columns. They do
    not change cards that the catalog has already; quantities, conditions and
    prices are not imported.

    Example: scripts/ece catalog import cards.csv --dry-run

    Exit code: 0 all rows were imported, 1 some were invalid or the file is not a
    catalog.
    """
    how = How(_format(format_name), _mapping(mapped or []), _encoding(encoding), collection)
    stderr, out, began = Console(stderr=True, highlight=False), Console(highlight=False), time.perf_counter()
    shown: list[Read] = []
    with ExitStack() as opened:
        try:
            rows = opened.enter_context(catalog_file(file, how))
            report_bad = _reporter(report, opened)
            size = max(1, file.stat().st_size)
            imported = asyncio.run(_imported(rows, file.name, size, shown if dry_run else None, report_bad, stderr))
        except (FileBroken, OSError) as error:
            raise Failure(f"{file}: {error}") from error
        except StoreError as error:
            raise Failure(
                f"The catalog can't be written: {error}. Earlier pages are imported; import the file again."
            ) from error
        if isinstance(rows, CsvFile):
            print_how_read(out, rows)
    if dry_run:
        print_preview(out, shown)
    print_report(out, imported, dry_run, _is_collection(rows), time.perf_counter() - began)
    if imported.bad:
        raise typer.Exit(EXIT_BAD_ROWS)


def _format(name: str | None) -> str | None:
    if name is not None and name not in READABLE:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(READABLE)}", param_hint="--format")
    return name


def _mapping(given: list[str]) -> dict[str, str]:
    mapped = {}
    for one in given:
        field, _, column = one.partition("=")
        field, column = field.strip(), column.strip()
        if not column or not field_known(field):
            raise typer.BadParameter(
                f"{one!r}: FIELD=COLUMN, where a field is set, number, name, rarity, set_name, description, edition, "
                "images, model_3d or trait:NAME",
                param_hint="--map",
            )
        mapped[field] = column
    return mapped


def _encoding(name: str | None) -> str | None:
    if name is not None and not encoding_known(name):
        raise typer.BadParameter(f"{name!r} is no encoding: utf-8, utf-16, cp1252, cp932 …", param_hint="--encoding")
    return name


def _is_collection(file: CatalogFile) -> bool:
    return isinstance(file, CsvFile) and file.columns.format.collection


def _reporter(report: Path | None, opened: ExitStack) -> Callable[[int, str], None]:
    if report is None:
        return lambda line, why: None
    out = opened.enter_context(report.open("w", encoding="utf-8"))
    return lambda line, why: print(json.dumps({"line": line, "reason": why}), file=out)


def _noted(rows: Iterable[Read], shown: list[Read]) -> Iterator[Read]:
    """The rows; the first good ones are noted."""
    for read in rows:
        if len(shown) < PREVIEW_ROWS and not isinstance(read.row, BadRow):
            shown.append(read)
        yield read


async def _imported(
    rows: CatalogFile,
    name: str,
    size: int,
    shown: list[Read] | None,
    report_bad: Callable[[int, str], None],
    stderr: Console,
) -> Imported:
    """Written to the catalog; or only looked at, where there is a list for the first rows."""
    now_ms = time.time_ns() // 1_000_000
    columns = TextColumn("  {task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Progress(*columns, console=stderr, transient=True) as progress:
        task = progress.add_task(escape(name), total=size)

        async def import_to(writing: CatalogWriting | None, of: Iterable[Read]) -> Imported:
            return await import_rows(
                of,
                writing,
                now_ms,
                collection=_is_collection(rows),
                report_bad=report_bad,
                report_offset=lambda offset: progress.update(task, completed=offset),
            )

        if shown is not None:
            return await import_to(None, _noted(rows, shown))
        async with database_of(load_settings(), stderr) as database_url:
            pool = await open_pool(database_url, size_max=1)
            try:
                return await import_to(CatalogWriting(pool), rows)
            finally:
                await close_pool(pool)
