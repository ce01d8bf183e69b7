"""`ece replay`: recorded auctions, run again through the engine."""

import json
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
import uvloop
from rich.console import Console

from bench.recordings.ebay import COLUMNS
from bench.recordings.files import read_recording
from bench.recordings.model import Dataset, UnusableRecording
from bench.recordings.replay import CONCURRENCY, CONCURRENCY_MAX, Outcome, Progress, ReplayOptions
from bench.recordings.replay import replay as replay_auctions
from ece.commands.replay_view import print_broken, print_report, report, watching
from ece.engine.running import running_engine
from ece.failure import Failure
from ece.settings import Settings, load_settings

EXIT_WRONG_FILE = 2
EXIT_ENGINE_DIFFERS = 3
EXIT_INTERRUPTED = 130


def replay(
    file: Annotated[Path, typer.Argument(help="The eBay auctions as CSV, or estate lots as JSON.", metavar="FILE")],
    speed: Annotated[
        float | None,
        typer.Option(
            min=1.0,
            metavar="N",
            help="N times real time (a recorded day at 86400 takes 1 s) instead of as fast as they go.",
        ),
    ] = None,
    infer_reserves: Annotated[
        bool, typer.Option("--infer-reserves", help="Assume a hidden reserve where the recorded price points to one.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only the first N auctions of the file.")
    ] = None,
    concurrency: Annotated[
        int, typer.Option(min=1, max=CONCURRENCY_MAX, help="Auctions at once (without --speed).")
    ] = CONCURRENCY,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout; progress on stderr.")] = False,
) -> None:
    """Replay recorded auctions through the engine and compare the prices.

    Every bid of the file is sent in time order through a real WebSocket of its bidder's own; each auction is then
    closed, and its price compared with the recorded one; of estate lots the price after each bid is compared, too.
    The engine is started if none runs on this data directory, and left as it was found. It can be run again and
    again: auctions are new each time, bidders are used again.

    Examples:

      scripts/ece replay ebay_auctions.csv                      all of it, as fast as it goes

      scripts/ece replay ebay_auctions.csv --infer-reserves     with hidden reserves where the record shows one

      scripts/ece replay ebay_auctions.csv --speed 20000        a week in 30 s, at its own rhythm

      scripts/ece replay ebay_auctions.csv --limit 50 --json    figures for machines

    Exit code: 0 done, 2 the file can't be used, 3 the engine gave a price that its rules don't.
    """
    narration = Console(stderr=True)
    dataset = _read(file, narration)
    if limit is not None:
        dataset = Dataset(dataset.auctions[:limit], dataset.broken)
    options = ReplayOptions(infer_reserves, speed, concurrency)
    progress = Progress()
    try:
        outcomes = uvloop.run(_run(load_settings(), dataset, options, progress, narration))
    except KeyboardInterrupt:
        narration.print(f"Stopped: {progress.sent:,} of {progress.bids:,} bids had been sent.", highlight=False)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if as_json:
        sys.stdout.write(
            json.dumps({**report(file.name, dataset, outcomes, progress), "infer_reserves": infer_reserves}) + "\n"
        )
    else:
        print_report(Console(), outcomes, progress)
    # The independent telling of the rules and the engine must agree, whatever was recorded.
    if not all(outcome.follows_the_rules for outcome in outcomes):
        raise typer.Exit(EXIT_ENGINE_DIFFERS)


def _read(file: Path, narration: Console) -> Dataset:
    try:
        dataset = read_recording(file)
    except UnusableRecording as error:
        _refuse(narration, str(error))
    except OSError as error:
        _refuse(
            narration,
            f"{file} can't be read ({error.strerror}): it needs a CSV with the columns {', '.join(COLUMNS)}, "
            "or estate lots as JSON",
        )
    print_broken(narration, dataset)
    return dataset


def _refuse(narration: Console, reason: str) -> NoReturn:
    narration.print(f"ece: {reason}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(EXIT_WRONG_FILE)


async def _run(
    settings: Settings, dataset: Dataset, options: ReplayOptions, progress: Progress, narration: Console
) -> list[Outcome]:
    async with running_engine(settings, narration) as engine, watching(progress, narration):
        try:
            return await replay_auctions(engine.base_url, engine.accounts, dataset.auctions, options, progress)
        except* Exception as failures:
            raise Failure(f"The replay stopped: {_first(failures)}") from failures


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    failure: BaseException = failures
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure
