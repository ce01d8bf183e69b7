"""`ece demo`: fills an engine with demo data."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import asynccontextmanager, contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bench.wire.accounts import OPERATOR_ROLE, Roster
from bench.wire.rest_client import RestClient
from ece.data_dir import DataDir
from ece.demo.cards import DemoCard, demo_card
from ece.demo.market import Filled, fill, minted
from ece.demo.pictures import picture
from ece.demo.stock import OPERATOR, PEOPLE
from ece.demo.trades import fill_trades
from ece.engine.running import RunningEngine, database_of, running_engine
from ece.failure import Failure
from ece.settings import Settings, load_settings
from ece_client import EceError
from persistence.catalog.pages import PAGE_ROWS_MAX
from persistence.catalog.writing import CatalogWriting, Written
from persistence.postgres.errors import StoreError
from persistence.postgres.pool import close_pool, open_pool

CARDS_MAX = 10_000
DRAWN_AT_ONCE = 4
# Pictures of one task: few enough that the progress bar moves.
PICTURES_PER_TASK = 4

Cards = Annotated[int, typer.Option("--cards", min=1, max=CARDS_MAX, help="Number of cards; a set has 50.")]
Market = Annotated[bool, typer.Option(help="Also create users, their copies, auctions, bids and trades.")]
Wait = Annotated[bool, typer.Option(help="Wait until the new copies are minted for good, about half a minute.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Another seed makes other sets in addition.")]


def demo(cards: Cards = 100, seed: Seed = 1, market: Market = True, wait: Wait = True) -> None:
    """Create demo data: sets, cards with a picture each, copies, minted ones, and open auctions.

    Pictures are written to `media/cards` in the data directory, and the gateway
    serves them at /media/cards/…; cards go to the catalog (GET
    /api/v1/catalog/cards). The same seed gives the same cards: a second run
    changes nothing, and a larger `--cards` adds cards. Eight users (demo_ada, …)
    without a password and with play money own copies, sell some of them, bid and
    trade with each other; the next `ece demo` lists unsold copies again. New copies
    are minted on the chain, if there is one. If no engine runs, the command starts one and stops it
    at the end.

    Examples:

    scripts/ece demo

    scripts/ece demo --cards 500 --seed 7

    scripts/ece demo --no-market
    """
    settings, stderr = load_settings(), Console(stderr=True, highlight=False)
    if market and not _has_play_money(settings):
        raise Failure(
            "This engine has no faucet, and users with play money need one. --no-market creates the cards only."
        )
    began = time.perf_counter()
    wanted = [demo_card(seed, place) for place in range(cards)]
    try:
        drawn = draw(wanted, DataDir(settings.data_dir).media / "cards", stderr)
    except OSError as error:
        raise Failure(f"The pictures can't be written: {error}") from error
    try:
        written, filled, done = asyncio.run(_put(settings, wanted, market, wait, stderr))
    except StoreError as error:
        raise Failure(f"The catalog can't be written: {error}. Run the command again to continue.") from error
    except EceError as error:
        raise Failure(f"The engine refused a request: {error}. Run the command again to continue.") from error
    out = Console(highlight=False)
    out.print(
        f"[green]✓[/] {cards:,} cards in {len({card.set.code for card in wanted})} sets after "
        f"{time.perf_counter() - began:.1f} s: {written.created:,} new, {written.changed:,} changed, "
        f"{written.same:,} the same; {drawn:,} pictures drawn.",
        soft_wrap=True,
    )
    if market:
        out.print(f"  {filled.copies:,} copies made, {filled.auctions:,} auctions opened, {filled.bids:,} bids.")
        if filled.trades:
            out.print(f"  {len(filled.trades)} trades made: {', '.join(filled.trades)}.", soft_wrap=True)
        if filled.mints:
            of_them = f"{done:,} of them" if wait else "They"
            out.print(f"  {of_them} are {'minted' if wait else 'being minted'}: scripts/ece chain audit")
    out.print(f"  Look: {settings.base_url}/api/v1/catalog/cards", soft_wrap=True)


def draw(cards: list[DemoCard], folder: Path, stderr: Console) -> int:
    """Draw the pictures that are not there yet; how many those were. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    missing = [card for card in cards if not (folder / card.picture).exists()]
    if not missing:
        return 0
    batches = [missing[first : first + PICTURES_PER_TASK] for first in range(0, len(missing), PICTURES_PER_TASK)]
    workers = min(len(batches), DRAWN_AT_ONCE, os.cpu_count() or 1)
    # Forked before the progress bar has its thread.
    with ProcessPoolExecutor(workers, get_context("fork")) as pool:
        tasks = [pool.submit(_draw_some, batch, folder) for batch in batches]
        with _bar("drawing", len(missing), stderr) as advance:
            for done in as_completed(tasks):
                advance(done.result())
    return len(missing)


def _draw_some(cards: list[DemoCard], folder: Path) -> int:
    for card in cards:
        # Written under another name first: a picture with its own name is complete.
        part = folder / f".{card.picture}.{os.getpid()}"
        part.write_bytes(picture(card))
        part.rename(folder / card.picture)
    return len(cards)


@contextmanager
def _bar(what: str, total: int, stderr: Console) -> Iterator[Callable[[int], None]]:
    columns = TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=stderr, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count: progress.advance(task, count)


async def _put(
    settings: Settings, cards: list[DemoCard], market: bool, wait: bool, stderr: Console
) -> tuple[Written, Filled, int]:
    if not market:
        async with database_of(settings, stderr) as database_url:
            return await _put_cards(database_url, cards), Filled(), 0
    async with running_engine(settings, stderr) as engine:
        written = await _put_cards(engine.database_url, cards)
        async with _client(engine) as client:
            with _bar("copies and auctions", len(cards), stderr) as advance:
                filled = await fill(client, cards, lambda: advance(1))
            filled.trades = await fill_trades(client)
            if not (wait and filled.mints):
                return written, filled, 0
            with _bar("minting", filled.copies, stderr) as advance:
                return written, filled, await minted(client, filled.mints, advance)


@asynccontextmanager
async def _client(engine: RunningEngine) -> AsyncIterator[RestClient]:
    roster = Roster(engine.accounts)
    await roster.enlist(list(PEOPLE))
    await roster.enlist([OPERATOR], OPERATOR_ROLE)
    client = RestClient(engine.base_url, roster)
    try:
        yield client
    finally:
        await client.close()


async def _put_cards(database_url: str, cards: list[DemoCard]) -> Written:
    rows, now_ms = [card.row() for card in cards], time.time_ns() // 1_000_000
    assert len(rows) <= PAGE_ROWS_MAX, "one page has them all"
    pool = await open_pool(database_url, size_max=1)
    try:
        writing = CatalogWriting(pool)
        written = await writing.put(rows, 0, now_ms)
        if written.created + written.changed:
            await writing.settle()
        return written
    finally:
        await close_pool(pool)


def _has_play_money(settings: Settings) -> bool:
    return settings.has_faucet
