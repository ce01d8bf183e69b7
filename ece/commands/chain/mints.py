"""`ece mints`: minting a set from a file, requests to mint, and poisoned jobs."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from domain.catalog.rows import BadRow, CardRow
from domain.errors import ERRORS, NOTHING_TO_MINT
from domain.ids import InvalidId, id_text, parse_id
from ece.engine.running import database_of
from ece.failure import Failure
from ece.settings import NO_CHAIN, load_settings
from persistence.catalog.files import FileBroken, How, catalog_file
from persistence.catalog.writing import CatalogWriting
from persistence.chain.status import ChainJobRecord, ChainStatus
from persistence.identity.store import UserStore
from persistence.minting.reading import Mint, MintItem, Mints
from persistence.minting.requests import COPIES_MAX, MintOrder, MintRequests
from persistence.postgres.errors import StoreError
from persistence.postgres.pool import Pool, close_pool, open_pool

LISTED_MAX = 1_000
ITEMS_MAX = 500
POLL_S = 0.5
FINDINGS_MAX = 20
STANDARD = "token-2022"
EXIT_NOT_MINTED = 1

mints = typer.Typer(
    no_args_is_help=True,
    help="Minting: cards become assets on the chain.\n\nBegin with: scripts/ece mints import cards.jsonl --user NAME",
)


class ItemState(StrEnum):
    """States of a copy of a request."""

    QUEUED = "queued"
    SIGNED = "signed"
    DONE = "done"
    POISONED = "poisoned"


AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
MintText = Annotated[str, typer.Argument(metavar="ID", help="The request, as in `ece mints list`.")]
File = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="Cards: JSON lines, a JSON array, or CSV.")
]


@mints.command(name="import")
def import_(
    file: File,
    user: Annotated[str, typer.Option(help="The creator of the cards, who gets the copies.")],
    wait: Annotated[bool, typer.Option(help="Show the progress until all are minted.")] = True,
    as_json: AsJson = False,
) -> None:
    """Import the cards of a file into the catalog, and mint one copy of each.

    The fields of a card are those of `ece catalog import`. Cards of which a copy
    is minted are left out, so the same file can be imported again.

    Example: scripts/ece mints import cards.jsonl --user ann

    Exit code: 0 all are minted (or, with --no-wait, requested), 1 some can't be.
    """
    console = Console(stderr=True, highlight=False)
    finished = asyncio.run(_imported(_rows(file), user, wait, console))
    if as_json:
        sys.stdout.write(json.dumps({"mints": [_fields(one) for one in finished]}) + "\n")
    if not finished:
        console.print("Each of these cards has a minted copy already.")
    for one in finished:
        console.print(f"{id_text(one.id)}: {one.done:,} of {one.total:,} minted, {one.poisoned:,} failed")
    if any(one.poisoned for one in finished):
        raise typer.Exit(EXIT_NOT_MINTED)


@mints.command(name="list")
def list_mints(
    limit: Annotated[int, typer.Option(min=1, max=LISTED_MAX, help="Rows at most.")] = 50, as_json: AsJson = False
) -> None:
    """List requests to mint, the newest first.

    Example: scripts/ece mints list --json
    """
    found = asyncio.run(_listed(limit))
    if as_json:
        sys.stdout.write(json.dumps({"mints": [_fields(one) for one in found]}) + "\n")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("Request", "User", "State"):
        table.add_column(title, no_wrap=True)
    for title in ("Copies", "Minted", "Failed"):
        table.add_column(title, justify="right")
    for one in found:
        name = escape(one.requester_name or "")
        table.add_row(id_text(one.id), name, one.state, f"{one.total:,}", f"{one.done:,}", f"{one.poisoned:,}")
    Console(highlight=False).print(table)


@mints.command()
def show(
    mint: MintText,
    state: Annotated[ItemState | None, typer.Option(help="Only copies in this state.")] = None,
) -> None:
    """Show a request and its first 500 copies as JSON, with the reasons of failures.

    Example: scripts/ece mints show 0pc9gqooo006c --state poisoned
    """
    found, items = asyncio.run(_shown(_id(mint), state))
    sys.stdout.write(json.dumps(_fields(found) | {"items": [_item_fields(one) for one in items]}, indent=2) + "\n")


@mints.command()
def poisoned(
    limit: Annotated[int, typer.Option(min=1, max=LISTED_MAX, help="Rows at most.")] = 50, as_json: AsJson = False
) -> None:
    """List jobs for the chain that are not tried again by themselves, with their reasons.

    Example: scripts/ece mints poisoned
    """
    found = asyncio.run(_poisoned(limit))
    if as_json:
        sys.stdout.write(json.dumps({"jobs": [_job_fields(one) for one in found]}) + "\n")
        return
    if not found:
        Console(highlight=False).print("No job is poisoned.")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("Job", "Kind", "Key", "Request"):
        table.add_column(title, no_wrap=True)
    table.add_column("Reason", overflow="fold")
    for one in found:
        request = "" if one.mint is None else id_text(one.mint)
        table.add_row(id_text(one.id), one.kind, escape(one.key), request, escape(one.error or ""))
    Console(highlight=False).print(table)


@mints.command()
def retry(
    id: Annotated[
        str, typer.Argument(metavar="ID", help="A request of `ece mints list`, or a job of `ece mints poisoned`.")
    ],
) -> None:
    """Queue the poisoned jobs of a request again, with those that they wait for.

    Or one job: an anchor or a sweep belongs to no request. Withdrawals have given
    back what they took, and moves are repaired by `ece chain audit --repair`.

    Example: scripts/ece mints retry 0pc9gqooo006c
    """
    count = asyncio.run(_retried(_id(id)))
    text = f"[green]✓[/] Queued again: {count:,}." if count else "Nothing that can be retried is poisoned there."
    Console(highlight=False).print(text)


@asynccontextmanager
async def _pool() -> AsyncIterator[Pool]:
    async with database_of(load_settings(), Console(stderr=True, highlight=False)) as database_url:
        try:
            pool = await open_pool(database_url, size_max=2)
            try:
                yield pool
            finally:
                await close_pool(pool)
        except StoreError as error:
            raise Failure(f"The database can't be used: {error}") from error


async def _listed(limit: int) -> list[Mint]:
    async with _pool() as pool:
        return await Mints(pool).page(None, None, limit)


async def _shown(mint: int, state: str | None) -> tuple[Mint, list[MintItem]]:
    async with _pool() as pool:
        found = await Mints(pool).get(mint)
        if found is None:
            raise Failure(f"There is no request {id_text(mint)}: `scripts/ece mints list` lists them.")
        return found, await Mints(pool).items(mint, 0, state, ITEMS_MAX)


async def _poisoned(limit: int) -> list[ChainJobRecord]:
    async with _pool() as pool:
        return await ChainStatus(pool).poisoned(0, limit)


async def _retried(id: int) -> int:
    async with _pool() as pool:
        mints = Mints(pool)
        return await mints.retry(id) if await mints.get(id) is not None else await mints.retry_jobs([id])


def _rows(file: Path) -> list[CardRow]:
    """The cards of a file. Raises Failure: for a file that is none, and for a row that is not valid."""
    rows: list[CardRow] = []
    bad: list[str] = []
    try:
        with catalog_file(file, How(None, {}, None, False)) as found:
            for line, row, _ in found:
                if isinstance(row, BadRow):
                    bad.append(f"line {line}: {row}")
                else:
                    rows.append(row)
                if len(rows) > COPIES_MAX:
                    raise Failure(f"{file} has more than {COPIES_MAX:,} cards: mint them in several files.")
    except (FileBroken, OSError) as error:
        raise Failure(f"{file}: {error}") from error
    if bad:
        raise Failure(f"{file} has {len(bad)} bad rows; nothing was imported. " + "; ".join(bad[:FINDINGS_MAX]))
    if not rows:
        raise Failure(f"{file} has no cards.")
    return list({(row.set, row.number): row for row in rows}.values())


async def _imported(rows: list[CardRow], name: str, wait: bool, console: Console) -> list[Mint]:
    if load_settings().solana_rpc_url == NO_CHAIN:
        raise Failure("This engine has no chain: ECE_SOLANA_RPC_URL is `none`.")
    async with _pool() as pool:
        user = await UserStore(pool).by_login(name)
        if user is None:
            raise Failure(f"There is no user {name}.")
        now_ms = time.time_ns() // 1_000_000
        await CatalogWriting(pool).put(rows, user.user_id, now_ms)
        requested = [
            mint
            for code in sorted({row.set for row in rows})
            if (mint := await _requested(pool, user.user_id, code, now_ms)) is not None
        ]
        if wait and requested:
            await _until_finished(pool, requested, console)
        found = await Mints(pool).some(requested)
        return [found[mint] for mint in requested]


async def _requested(pool: Pool, user: int, code: str, now_ms: int) -> int | None:
    order = MintOrder(await pool.fetchval("SELECT next_id()"), user, STANDARD, now_ms)
    refused = await MintRequests(pool).card_set(order, code)
    if refused is None:
        return order.id
    if refused.code == NOTHING_TO_MINT:
        return None
    raise Failure(f"The set {code} can't be minted: {ERRORS[refused.code].text}.")


async def _until_finished(pool: Pool, requested: list[int], console: Console) -> None:
    columns = (TextColumn("Minting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("mint")
        while True:
            found = (await Mints(pool).some(requested)).values()
            total, done = sum(one.total for one in found), sum(one.done + one.poisoned for one in found)
            progress.update(task, total=total, completed=done)
            if all(one.state != "minting" for one in found):
                return
            await asyncio.sleep(POLL_S)


def _id(text: str) -> int:
    try:
        return parse_id(text)
    except InvalidId:
        raise Failure(f"{text} is not the id of a request: `scripts/ece mints list` lists them.") from None


def _fields(mint: Mint) -> dict[str, Any]:
    return msgspec.structs.asdict(mint) | {
        "id": id_text(mint.id),
        "requester": mint.requester_name,
        "state": mint.state,
    }


def _item_fields(item: MintItem) -> dict[str, Any]:
    ids = {"job": id_text(item.job), "copy": id_text(item.copy), "card": id_text(item.card)}
    return msgspec.structs.asdict(item) | ids


def _job_fields(job: ChainJobRecord) -> dict[str, Any]:
    mint = None if job.mint is None else id_text(job.mint)
    return msgspec.structs.asdict(job) | {"id": id_text(job.id), "mint": mint}
