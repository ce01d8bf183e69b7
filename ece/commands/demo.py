"""`ece demo`: fill an engine with cards to look at."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import typer
from httpx import TransportError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bench.wire.accounts import OPERATOR_ROLE, Roster
from bench.wire.rest_client import RestClient, RestRefused
from ece.data_dir import DataDir
from ece.demo.cards import DemoCard, demo_card
from ece.demo.market import Filled, fill
from ece.demo.pictures import picture
from ece.demo.stock import OPERATOR, PEOPLE
from ece.engine.running import RunningEngine, database_of, running_engine
from ece.failure import Failure
from ece.settings import Settings, load_settings
from persistence.catalog.pages import PAGE_ROWS_MAX
from persistence.catalog.writing import CatalogWriting, Written
from persistence.postgres.errors import StoreError
from persistence.postgres.pool import close_pool, open_pool

CARDS_MAX = 10_000
DRAWN_AT_ONCE = 4
# Pictures of one errand: few enough that the bar moves.
ERRAND = 4

Cards = Annotated[int, typer.Option("--cards", min=1, max=CARDS_MAX, help="How many cards; 50 make a set.")]
Market = Annotated[bool, typer.Option(help="Also people, their copies, auctions and bids.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Another number makes other sets, beside those there are.")]


def demo(cards: Cards = 100, seed: Seed = 1, market: Market = True) -> None:
    """Fill the engine with something to look at: sets, cards with a picture drawn for each, copies, open auctions.

    The pictures go to `media/cards` in the data directory, and the gateway shows them at /media/cards/…; the cards
    go into the catalog, where GET /api/v1/catalog/cards finds them. The same seed gives the same cards: done again,
    it changes nothing, and with more `--cards` it adds to what there is. Eight people (demo_ada, …), whom nobody can
    log in as and who have play money, own copies, sell some of them and bid; what was not sold is listed anew by the
    next `ece demo`. Without a running engine one is started for the time that it takes.

    Examples:

    scripts/ece demo

    scripts/ece demo --cards 500 --seed 7

    scripts/ece demo --no-market
    """
    settings, narration = load_settings(), Console(stderr=True, highlight=False)
    if market and not _has_play_money(settings):
        raise Failure(
            "This engine has no faucet, so it is no place for people with play money. "
            "--no-market puts in the cards alone."
        )
    began = time.perf_counter()
    wanted = [demo_card(seed, place) for place in range(cards)]
    try:
        drawn = draw(wanted, DataDir(settings.data_dir).media / "cards", narration)
    except OSError as error:
        raise Failure(f"The pictures can't be written: {error}") from error
    try:
        written, filled = asyncio.run(_put(settings, wanted, market, narration))
    except StoreError as error:
        raise Failure(f"The catalog can't be written: {error}. Run the same command again to go on.") from error
    except (RestRefused, TransportError) as error:
        raise Failure(f"The engine did not go along: {error}. Run the same command again to go on.") from error
    out = Console(highlight=False)
    out.print(
        f"[green]✓[/] {cards:,} cards in {len({card.set.code for card in wanted})} sets after "
        f"{time.perf_counter() - began:.1f} s: {written.created:,} new, {written.changed:,} changed, "
        f"{written.same:,} the same; {drawn:,} pictures drawn.",
        soft_wrap=True,
    )
    if market:
        out.print(f"  {filled.copies:,} copies made, {filled.auctions:,} auctions opened, {filled.bids:,} bids.")
    out.print(f"  Look: {settings.base_url}/api/v1/catalog/cards", soft_wrap=True)


def draw(cards: list[DemoCard], folder: Path, narration: Console) -> int:
    """Draw the pictures that are not there yet; how many those were. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    missing = [card for card in cards if not (folder / card.picture).exists()]
    if not missing:
        return 0
    errands = [missing[first : first + ERRAND] for first in range(0, len(missing), ERRAND)]
    workers = min(len(errands), DRAWN_AT_ONCE, os.cpu_count() or 1)
    # Forked before the progress bar has its thread.
    with ProcessPoolExecutor(workers, get_context("fork")) as pool:
        under_way = [pool.submit(_draw_some, errand, folder) for errand in errands]
        with _bar("drawing", len(missing), narration) as advance:
            for done in as_completed(under_way):
                advance(done.result())
    return len(missing)


def _draw_some(cards: list[DemoCard], folder: Path) -> int:
    for card in cards:
        # Whole or not at all: what has its name stays.
        part = folder / f".{card.picture}.{os.getpid()}"
        part.write_bytes(picture(card))
        part.rename(folder / card.picture)
    return len(cards)


@contextmanager
def _bar(what: str, total: int, narration: Console) -> Iterator[Callable[[int], None]]:
    columns = TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=narration, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count: progress.advance(task, count)


async def _put(settings: Settings, cards: list[DemoCard], market: bool, narration: Console) -> tuple[Written, Filled]:
    if not market:
        async with database_of(settings, narration) as database_url:
            return await _put_cards(database_url, cards), Filled()
    async with running_engine(settings, narration) as engine:
        written = await _put_cards(engine.database_url, cards)
        with _bar("copies and auctions", len(cards), narration) as advance:
            return written, await _fill(engine, cards, lambda: advance(1))


async def _fill(engine: RunningEngine, cards: list[DemoCard], told: Callable[[], None]) -> Filled:
    roster = Roster(engine.accounts)
    await roster.enlist(list(PEOPLE))
    await roster.enlist([OPERATOR], OPERATOR_ROLE)
    client = RestClient(engine.base_url, roster)
    try:
        return await fill(client, cards, told)
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
    return settings.faucet == "on" or (settings.faucet == "auto" and settings.database_url is None)
