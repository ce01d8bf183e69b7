"""`ece analytics`: how far the analytics of portfolios and the market are behind, and their rebuild."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ece.engine.running import database_of
from ece.failure import Failure
from ece.settings import load_settings
from persistence.analytics.following import Analytics, Status
from persistence.postgres.errors import StoreError
from persistence.postgres.pool import close_pool, open_pool

BUSY_WAIT_S = 0.1
BUSY_MAX_S = 300.0

analytics = typer.Typer(
    no_args_is_help=True, help="Analytics of portfolios and the market.\n\nBegin with: scripts/ece analytics status"
)


@analytics.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout; progress on stderr.")] = False,
) -> None:
    """Show how far the analytics are behind the sales, and how many rows wait.

    Example: scripts/ece analytics status
    """
    stderr = Console(stderr=True, highlight=False)
    try:
        found = asyncio.run(_status(stderr))
    except StoreError as error:
        raise Failure(f"The analytics can't be read: {error}") from error
    behind_s = None if found.caught_up_at is None else max(0, _now_ms() - found.caught_up_at) / 1000
    if as_json:
        waiting = {source.source: source.waiting for source in found.sources}
        fields = {"caught_up_at": found.caught_up_at, "behind_s": behind_s, "waiting": waiting}
        sys.stdout.write(json.dumps({**fields, "values_due": found.values_due}) + "\n")
        return
    _print_status(Console(highlight=False), found, behind_s)


@analytics.command()
def rebuild() -> None:
    """Empty the analytics tables and recompute them from sales, settlements,
    refunds and changes of owner.

    The engine may run or not; workers take part, and responses have `as_of:
    null` until the rebuild is complete. If it is interrupted, run it again: it
    starts from the beginning. No other tables change.

    Example: scripts/ece analytics rebuild
    """
    stderr, began = Console(stderr=True, highlight=False), time.perf_counter()
    try:
        rows = asyncio.run(_rebuild(stderr))
    except StoreError as error:
        raise Failure(f"The analytics can't be rebuilt: {error}. Run the command again.") from error
    Console(highlight=False).print(f"[green]✓[/] {rows:,} rows in {time.perf_counter() - began:.1f} s.")


@asynccontextmanager
async def _followed(stderr: Console) -> AsyncIterator[Analytics]:
    async with database_of(load_settings(), stderr) as database_url:
        pool = await open_pool(database_url, size_max=1)
        try:
            yield Analytics(pool)
        finally:
            await close_pool(pool)


async def _status(stderr: Console) -> Status:
    async with _followed(stderr) as following:
        return await following.status(_now_ms())


async def _rebuild(stderr: Console) -> int:
    columns = TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    async with _followed(stderr) as following:
        await following.reset()
        found = await following.status(_now_ms())
        total = sum(source.waiting for source in found.sources)
        with Progress(*columns, console=stderr, transient=True) as progress:
            rows = progress.add_task("rows", total=total)
            values = progress.add_task("values of collections", total=None)
            busy_since = time.monotonic()
            while not (step := await following.step(_now_ms())).idle:
                if step.busy and time.monotonic() - busy_since > BUSY_MAX_S:
                    raise Failure(
                        "Another process has held the analytics for minutes: see `scripts/ece analytics status`."
                    )
                if step.busy:
                    await asyncio.sleep(BUSY_WAIT_S)
                    continue
                busy_since = time.monotonic()
                progress.update(rows, advance=step.rows)
                progress.update(values, advance=step.valued)
    return total


def _print_status(out: Console, found: Status, behind_s: float | None) -> None:
    if behind_s is None:
        out.print("[yellow]![/] A rebuild is in progress; until it ends the analytics are incomplete.", soft_wrap=True)
    else:
        out.print(f"[green]✓[/] Up to date as of {behind_s:,.1f} s ago.")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Table")
    table.add_column("Waiting rows", justify="right")
    for source in found.sources:
        table.add_row(source.source, f"{source.waiting:,}")
    out.print(table)
    out.print(f"{found.values_due:,} end-of-day values are due.")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
