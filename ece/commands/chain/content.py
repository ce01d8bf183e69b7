"""`ece content`: how much content there is, whether it is whole, and its copies on other services."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import typer
from rich.console import Console

from actors.clock import Clock
from actors.content.store import ContentStore
from actors.workers.content_copies import SERVICES
from chain.storage.cids import Cid
from chain.storage.errors import ContentDamaged
from ece.engine.running import database_of
from ece.failure import Failure
from ece.processes.content import content_store, copy_jobs
from ece.settings import Settings, load_settings
from persistence.jobs.rows import JobRow
from persistence.jobs.store import JobStore
from persistence.postgres.errors import StoreError
from persistence.postgres.pool import Pool, close_pool, open_pool

PAGE = 500
SHOWN_MAX = 200

content = typer.Typer(
    no_args_is_help=True,
    help="Pictures and metadata by their ids, and their copies on IPFS and Arweave.\n\n"
    "Begin with: scripts/ece content status",
)

AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]


@content.command()
def status(as_json: AsJson = False) -> None:
    """Count content, and its copies by service and state.

    Example: scripts/ece content status --json
    """
    count, size, copies = asyncio.run(_totals(load_settings()))
    found = [{"service": service, "state": state, "count": number} for service, state, number in copies]
    if as_json:
        sys.stdout.write(json.dumps({"content": count, "bytes": size, "copies": found}) + "\n")
        return
    out = Console(highlight=False)
    out.print(f"{count:,} contents, {size:,} bytes")
    for one in found:
        out.print(f"  {one['service']}: {one['count']:,} {one['state']}")


@content.command()
def verify(as_json: AsJson = False) -> None:
    """Read all content and compute its ids. Exit code 1 if some is damaged or missing.

    Store the same file again, or restore the content directory from a backup.

    Example: scripts/ece content verify
    """
    checked, damaged = asyncio.run(_verified(load_settings()))
    if as_json:
        sys.stdout.write(json.dumps({"checked": checked, "damaged": len(damaged), "findings": damaged}) + "\n")
    else:
        out = Console(highlight=False)
        for one in damaged:
            out.print(f"[red]✗[/] {one}")
        out.print(f"{checked:,} contents checked, {len(damaged):,} damaged or missing")
    if damaged:
        raise typer.Exit(1)


@content.command()
def copy() -> None:
    """Add jobs for content that has no copy on a service that is set (ECE_IPFS_API_URL and others).

    Example: scripts/ece content copy
    """
    settings = load_settings()
    if not copy_jobs(settings):
        raise Failure("No service is set: ECE_IPFS_API_URL, ECE_PINNING_URL or ECE_ARWEAVE_UPLOAD_URL.")
    for kind, count in asyncio.run(_queued(settings)).items():
        Console(highlight=False).print(f"[green]✓[/] {kind}: {count:,} contents without a copy")


async def _totals(settings: Settings) -> tuple[int, int, list[tuple[str, str, int]]]:
    async with _opened(settings) as (store, _):
        return await store.index.totals()


async def _verified(settings: Settings) -> tuple[int, list[str]]:
    checked, damaged, after = 0, list[str](), ""
    async with _opened(settings) as (store, _):
        while rows := await store.index.page(after, PAGE):
            for row in rows:
                checked += 1
                try:
                    await store.find(Cid.parse(row.cid))
                except ContentDamaged as damage:
                    damaged.append(str(damage))
            after = rows[-1].cid
    return checked, damaged[:SHOWN_MAX]


async def _queued(settings: Settings) -> dict[str, int]:
    queued = {}
    async with _opened(settings) as (store, pool):
        for kind in copy_jobs(settings):
            count, after = 0, ""
            while cids := await store.index.missing(SERVICES[kind], after, PAGE):
                await JobStore(pool).add([JobRow(kind, cid) for cid in cids])
                count, after = count + len(cids), cids[-1]
            queued[kind] = count
    return queued


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[tuple[ContentStore, Pool]]:
    console = Console(stderr=True)
    try:
        async with database_of(settings, console) as url:
            pool = await open_pool(url, size_max=2)
            try:
                yield content_store(settings, pool, Clock()), pool
            finally:
                await close_pool(pool)
    except StoreError as error:
        raise Failure(f"The database did not answer: {error}") from error
