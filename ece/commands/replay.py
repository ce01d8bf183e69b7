"""`ece replay`: sends recorded auctions through the engine."""

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


Recording = Annotated[Path, typer.Argument(help="The eBay auctions as CSV, or estate lots as JSON.", metavar="FILE")]
Speed = Annotated[
    float | None,
    typer.Option(
        min=1.0,
        metavar="N",
        help="N times real time (86400: a recorded day takes 1 s); without it as fast as possible.",
    ),
]
InferReserves = Annotated[
    bool, typer.Option("--infer-reserves", help="Assume a hidden reserve where the recorded price implies one.")
]
Limit = Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the first N auctions of the file.")]
Concurrency = Annotated[int, typer.Option(min=1, max=CONCURRENCY_MAX, help="Auctions at once (without --speed).")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout; progress on stderr.")]


def replay(
    file: Recording,
    speed: Speed = None,
    infer_reserves: InferReserves = False,
    limit: Limit = None,
    concurrency: Concurrency = CONCURRENCY,
    as_json: AsJson = False,
) -> None:
    """Replay recorded auctions through the engine and compare the prices.

    Each bidder has a WebSocket and sends the recorded bids in time order. Then
    each auction is closed and its price is compared with the recorded one; for
    estate lots the price after each bid is compared as well. The command starts
    an engine if none runs on this data directory, and stops it at the end. It
    can be repeated: it lists new auctions each time and uses the same bidders.

    Examples:

      scripts/ece replay ebay_auctions.csv

      scripts/ece replay ebay_auctions.csv --infer-reserves

      scripts/ece replay ebay_auctions.csv --speed 20000       a week in 30 s

      scripts/ece replay ebay_auctions.csv --limit 50 --json

    Exit code: 0 done, 2 the file can't be used, 3 the engine gave a price that
    its rules don't.
    """
    stderr = Console(stderr=True)
    dataset = _read(file, stderr)
    if limit is not None:
        dataset = Dataset(dataset.auctions[:limit], dataset.broken)
    options = ReplayOptions(infer_reserves, speed, concurrency)
    progress = Progress()
    try:
        outcomes = uvloop.run(_run(load_settings(), dataset, options, progress, stderr))
    except KeyboardInterrupt:
        stderr.print(f"Stopped: {progress.sent:,} of {progress.bids:,} bids had been sent.", highlight=False)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if as_json:
        sys.stdout.write(
            json.dumps({**report(file.name, dataset, outcomes, progress), "infer_reserves": infer_reserves}) + "\n"
        )
    else:
        print_report(Console(), outcomes, progress)
    # The independent implementation of the rules and the engine must agree, whatever was recorded.
    if not all(outcome.follows_the_rules for outcome in outcomes):
        raise typer.Exit(EXIT_ENGINE_DIFFERS)


def _read(file: Path, stderr: Console) -> Dataset:
    try:
        dataset = read_recording(file)
    except UnusableRecording as error:
        _refuse(stderr, str(error))
    except OSError as error:
        _refuse(
            stderr,
            f"{file} can't be read ({error.strerror}): it needs a CSV with the columns {', '.join(COLUMNS)}, "
            "or estate lots as JSON",
        )
    print_broken(stderr, dataset)
    return dataset


def _refuse(stderr: Console, reason: str) -> NoReturn:
    stderr.print(f"ece: {reason}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(EXIT_WRONG_FILE)


async def _run(
    settings: Settings, dataset: Dataset, options: ReplayOptions, progress: Progress, stderr: Console
) -> list[Outcome]:
    async with running_engine(settings, stderr) as engine, watching(progress, stderr):
        try:
            return await replay_auctions(engine.base_url, engine.accounts, dataset.auctions, options, progress)
        except* Exception as failures:
            raise Failure(f"The replay stopped: {_first(failures)}") from failures


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    failure: BaseException = failures
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure
