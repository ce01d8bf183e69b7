"""`ece jobs`: background jobs that wait, run or have failed for good."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from getpass import getuser
from typing import Annotated, Any

import msgspec
import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ece.engine.running import database_of
from ece.failure import Failure
from ece.settings import load_settings
from persistence.audit.trail import ORIGIN, Origin
from persistence.jobs.store import JobRecord, JobStore, KindStatus
from persistence.postgres.errors import StoreError
from persistence.postgres.pool import close_pool, open_pool

LISTED_MAX = 1_000
STATES = ("waiting", "running", "dead")

jobs = typer.Typer(
    no_args_is_help=True,
    help="Background jobs: settlement, notifications, maintenance.\n\nBegin with: scripts/ece jobs list",
)

AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]


@jobs.command(name="list")
def list_jobs(
    kind: Annotated[str | None, typer.Option(help="Only this kind.")] = None,
    state: Annotated[str | None, typer.Option(help="Only this state: waiting, running or dead.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=LISTED_MAX, help="Rows at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Count jobs by kind, and list them.

    A job that is done is gone. One that has failed as often as its kind allows is dead: it waits for `ece jobs retry`.

    Example: scripts/ece jobs list --state dead
    """
    if state is not None and state not in STATES:
        raise Failure(f"--state is one of {', '.join(STATES)}.")
    kinds, found = asyncio.run(_listed(kind, state, limit))
    if as_json:
        counts = {one.kind: msgspec.structs.asdict(one) for one in kinds}
        sys.stdout.write(json.dumps({"kinds": counts, "jobs": [_fields(job) for job in found]}) + "\n")
        return
    out = Console(highlight=False)
    out.print(_kinds_table(kinds))
    out.print(_jobs_table(found))


@jobs.command()
def show(kind: str, key: str) -> None:
    """Show one job as JSON, with its payload and the error of its last attempt.

    Example: scripts/ece jobs show settle 0abcdefghijkl
    """
    found = asyncio.run(_shown(kind, key))
    sys.stdout.write(json.dumps(_fields(found), indent=2) + "\n")


@jobs.command()
def retry(kind: str, key: str) -> None:
    """Have a dead job run again, with all its attempts.

    Example: scripts/ece jobs retry notify opened:0abcdefghijkl
    """
    asyncio.run(_retried(kind, key))
    Console(highlight=False).print("[green]✓[/] It runs within a second, if a worker does.")


@asynccontextmanager
async def _store() -> AsyncIterator[JobStore]:
    async with database_of(load_settings(), Console(stderr=True, highlight=False)) as database_url:
        try:
            pool = await open_pool(database_url, size_max=1)
            try:
                yield JobStore(pool)
            finally:
                await close_pool(pool)
        except StoreError as error:
            raise Failure(f"The jobs can't be read: {error}") from error


async def _listed(kind: str | None, state: str | None, limit: int) -> tuple[list[KindStatus], list[JobRecord]]:
    async with _store() as store:
        return await store.status(), await store.page(kind, state, ("", ""), limit)


async def _shown(kind: str, key: str) -> JobRecord:
    async with _store() as store:
        found = await store.get(kind, key)
    if found is None:
        raise Failure(f"There is no job {kind} {key}, or it is done.")
    return found


async def _retried(kind: str, key: str) -> None:
    ORIGIN.set(Origin(actor=f"command line: {getuser()}"))
    async with _store() as store:
        if not await store.retry(kind, key):
            raise Failure(f"No job {kind} {key} is dead: `scripts/ece jobs list --state dead` lists those that are.")


def _fields(job: JobRecord) -> dict[str, Any]:
    return msgspec.structs.asdict(job) | {"payload": json.loads(job.payload) if job.payload else None}


def _kinds_table(kinds: list[KindStatus]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Kind")
    for title in ("Waiting", "Running", "Dead", "Oldest due"):
        table.add_column(title, justify="right")
    for one in kinds:
        dead = f"[red]{one.dead:,}[/]" if one.dead else "0"
        table.add_row(one.kind, f"{one.waiting:,}", f"{one.running:,}", dead, f"{one.oldest_due_ms / 1000:,.1f} s")
    return table


def _jobs_table(found: list[JobRecord]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    # Kind and key are what `show` and `retry` take: never cut short.
    for title in ("Kind", "Key"):
        table.add_column(title, no_wrap=True)
    table.add_column("State")
    table.add_column("Tried", justify="right")
    table.add_column("Runs")
    table.add_column("Last error", overflow="fold")
    for job in found:
        error = escape(job.error or "")
        table.add_row(job.kind, escape(job.key), job.state, str(job.attempts), _when(job), error)
    return table


def _when(job: JobRecord) -> str:
    """When it runs, in words as short as they may be."""
    if job.state != "waiting":
        return "now" if job.state == "running" else ""
    seconds = job.run_at / 1000 - time.time()
    if seconds <= 0:
        return "now"
    if seconds < 3600:
        return f"in {seconds:.0f} s"
    return datetime.fromtimestamp(job.run_at / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
