"""`ece catalog import`: cards from a file."""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from ece.engine import database_of
from ece.failure import Failure
from ece.settings import load_settings
from persistence.catalog import CatalogWriting
from persistence.catalog_files import FileBroken, read_rows
from persistence.catalog_import import Imported, import_rows
from persistence.errors import StoreError
from persistence.pool import close_pool, open_pool

EXIT_BAD_ROWS = 1

catalog = typer.Typer(no_args_is_help=True, help="The catalog.\n\nBegin with: scripts/ece catalog import cards.jsonl")

File = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="JSON lines, a JSON array, or CSV")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only look; needs no database, writes nothing.")]
ReportFile = Annotated[Path | None, typer.Option("--report", help="Write all bad rows here, a JSON object a line.")]


@catalog.callback()
def _catalog() -> None:
    """A group of its own, also while it has one command."""


@catalog.command(name="import")
def import_(file: File, dry_run: DryRun = False, report: ReportFile = None) -> None:
    """Put the cards of a file into the catalog: new ones are made, those with the same set and number changed.

    Each card has `set`, `number`, `name` and `rarity`; it may have `set_name`, `description`, `traits`, `edition`,
    `images` and `model_3d`. In CSV a trait is a column `trait:NAME`, and images are separated by `|`. Rows that are no
    cards are named, with their lines, and left out. Done again, an import changes nothing.

    Example: scripts/ece catalog import cards.jsonl --dry-run

    Exit code: 0 all rows are in, 1 some were bad or the file is no catalog.
    """
    narration, began = Console(stderr=True, highlight=False), time.perf_counter()
    with ExitStack() as open_files:
        try:
            tell_bad = _reporter(report, open_files)
            imported = asyncio.run(_imported(file, max(1, file.stat().st_size), dry_run, tell_bad, narration))
        except (FileBroken, OSError) as error:
            raise Failure(f"{file}: {error}") from error
        except StoreError as error:
            raise Failure(
                f"The catalog can't be written: {error}. Pages before are in; import the file again."
            ) from error
    _print_report(Console(highlight=False), imported, dry_run, time.perf_counter() - began)
    if imported.bad:
        raise typer.Exit(EXIT_BAD_ROWS)


def _reporter(report: Path | None, open_files: ExitStack) -> Callable[[int, str], None]:
    if report is None:
        return lambda line, why: None
    out = open_files.enter_context(report.open("w", encoding="utf-8"))
    return lambda line, why: print(json.dumps({"line": line, "reason": why}), file=out)


async def _imported(
    file: Path, size: int, dry_run: bool, tell_bad: Callable[[int, str], None], narration: Console
) -> Imported:
    now_ms = time.time_ns() // 1_000_000
    columns = TextColumn("  {task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Progress(*columns, console=narration, transient=True) as progress:
        task = progress.add_task(escape(file.name), total=size)

        def tell_offset(offset: int) -> None:
            progress.update(task, completed=offset)

        rows = read_rows(file)
        if dry_run:
            return await import_rows(rows, None, now_ms, tell_bad=tell_bad, tell_offset=tell_offset)
        async with database_of(load_settings(), narration) as database_url:
            pool = await open_pool(database_url, size_max=1)
            try:
                writing = CatalogWriting(pool)
                return await import_rows(rows, writing, now_ms, tell_bad=tell_bad, tell_offset=tell_offset)
            finally:
                await close_pool(pool)


def _print_report(out: Console, imported: Imported, dry_run: bool, seconds: float) -> None:
    sign = "[red]✗[/]" if imported.bad else "[green]✓[/]"
    done = "looked at only" if dry_run else (
        f"{imported.created:,} new, {imported.changed:,} changed, {imported.same:,} the same"
    )  # fmt: skip
    out.print(f"{sign} {imported.read:,} rows in {seconds:.1f} s: {done}; {imported.bad:,} bad.", soft_wrap=True)
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
