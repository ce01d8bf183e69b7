"""`ece chaos`: faults in a running engine, while clients bid, trade and mint."""

import asyncio
import json
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bench.engine import LIFTED_LIMITS
from bench.faults.injection.clocks import Clocks
from bench.faults.injection.disk import SmallDisk
from bench.faults.injection.kinds import BY_NAME, FULL_DISK, KINDS, PARTS
from bench.faults.injection.schedule import Fault, schedule
from bench.faults.run import Outcome, run_faults
from bench.faults.waiting import NotInTime
from bench.wire.client import WireTrouble
from ece.commands.bench.engine import own_engine
from ece.failure import Failure
from ece_client import EceError
from persistence.postgres.errors import StoreError

EXIT_VIOLATIONS, EXIT_INTERRUPTED = 1, 130
SEED_MAX = 2**31
SHOWN_MAX = 20


def chaos(
    seconds: Annotated[float, typer.Option(help="Length of the run.", min=5, max=86_400)] = 60.0,
    seed: Annotated[
        int | None, typer.Option(help="The faults follow from it. Without: a random one.", min=0, max=SEED_MAX)
    ] = None,
    every: Annotated[float, typer.Option(help="Seconds between two faults, on average.", min=0.5, max=3600)] = 5.0,
    part: Annotated[
        list[str] | None, typer.Option(help=f"Only faults of these parts: {', '.join(PARTS)}. May be repeated.")
    ] = None,
    faults: Annotated[str | None, typer.Option(help=f"Only these, separated by commas: {', '.join(BY_NAME)}.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Disturb the parts of an engine under load, and check that nothing is lost.

    A new engine is started on temporary data. Bidders, traders and a minter
    work while faults happen: kill -9 and SIGSTOP of its processes, connections
    between its parts reset, held back, delayed or dead, clocks set wrong, a
    slow and a full disk, a second host with the same slots. Then everything is
    checked: each acknowledged command is in the log, once; the log follows the
    rules; no watcher has a gap; each auction has one winner; money and cards
    are conserved; the chain has what the database says; every auction accepted
    bids again in the time that the table of faults states.

    The same seed gives the same faults at the same times (what the processes
    do at that moment is not repeated). Exit code 1: something is wrong.

    Examples:

      scripts/ece chaos                            a minute

      scripts/ece chaos --seconds 600 --json       ten minutes, for machines

      scripts/ece chaos --seed 7 --part host --part postgres

      scripts/ece chaos --faults reset,delay,half_open,clock
    """
    seed = random.randrange(SEED_MAX) if seed is None else seed
    again = _command(seconds, seed, every, part or (), faults)
    planned = _planned(seed, seconds, every, part, faults)
    console = Console(stderr=True, highlight=False)
    outcome = _run(planned, seconds, console)
    if as_json:
        sys.stdout.write(json.dumps({"seed": seed, "seconds": seconds, **outcome.figures()}) + "\n")
    else:
        _print(Console(highlight=False), seed, outcome)
    if outcome.violations:
        console.print(f"Again with: {again}", markup=False, soft_wrap=True)
        raise typer.Exit(EXIT_VIOLATIONS)


def _planned(seed: int, seconds: float, every: float, part: Sequence[str] | None, faults: str | None) -> list[Fault]:
    unknown = set(part or ()) - set(PARTS)
    if unknown:
        raise Failure(f"--part {sorted(unknown)[0]}: there is no such part. Parts are {', '.join(PARTS)}.")
    names = [name.strip() for name in faults.split(",")] if faults else list(BY_NAME)
    for name in names:
        if name not in BY_NAME:
            raise Failure(f"--faults {name}: there is no such fault. Faults are {', '.join(BY_NAME)}.")
    # In the order of the table, so that the seed decides alone.
    kinds = [kind for kind in KINDS if kind.name in names]
    try:
        return schedule(seed, seconds, every, part or PARTS, kinds)
    except ValueError as error:
        raise Failure(f"--faults {faults} --part {', '.join(part or ())}: {error}.") from error


def _command(seconds: float, seed: int, every: float, part: Sequence[str], faults: str | None) -> str:
    """The command line that gives the same faults at the same times."""
    words = ["scripts/ece chaos", f"--seconds {seconds:g}", f"--seed {seed}", f"--every {every:g}"]
    words += [f"--part {one}" for one in part]
    return " ".join([*words, f"--faults {faults}"] if faults else words)


@contextmanager
def _places(faults: Sequence[Fault]) -> Iterator[tuple[Path, Clocks, SmallDisk | None]]:
    """Where the engine's data goes, its clocks, and the disk that can be made full, if one can be mounted."""
    with (
        tempfile.TemporaryDirectory(prefix="ece-chaos-", ignore_cleanup_errors=True) as home,
        tempfile.TemporaryDirectory(prefix="ece-clocks-", ignore_cleanup_errors=True) as clocks,
    ):
        wanted = any(fault.kind == FULL_DISK.name for fault in faults)
        disk = SmallDisk.mounted_on(Path(home)) if wanted else None
        # The embedded PostgreSQL of root runs as another user, who needs access.
        Path(home).chmod(0o711)
        try:
            yield Path(home), Clocks(Path(clocks)), disk
        finally:
            if disk is not None:
                disk.unmount()


def _run(faults: list[Fault], seconds: float, console: Console) -> Outcome:
    def progress(message: str) -> None:
        console.print(f"chaos: {message}", markup=False)

    async def run() -> Outcome:
        with _places(faults) as (home, clocks, disk):
            async with own_engine(
                {**LIFTED_LIMITS, "spare_gateways": 1}, console, home=home, environment=clocks.environment
            ) as engine:
                return await run_faults(engine, clocks, disk, faults, seconds, progress)

    try:
        return asyncio.run(run())
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except (NotInTime, WireTrouble, EceError, StoreError, OSError) as error:
        raise Failure(f"The run stopped: {error}") from error


def _print(out: Console, seed: int, outcome: Outcome) -> None:
    figures: dict[str, Any] = outcome.figures()
    table = Table(title=f"Faults (seed {seed})", title_justify="left", box=None, pad_edge=False)
    table.add_column("fault")
    table.add_column("times", justify="right")
    for name, count in sorted(figures["by_fault"].items()):
        table.add_row(name, str(count))
    out.print(table)
    recovered = figures["recovered_s"]
    out.print(
        f"{figures['acks']:,} acknowledged commands, {figures['trades']:,} trades executed, {figures['minted']:,} "
        f"cards minted, {figures['auctions']:,} auctions ended. Every auction accepted bids again after "
        f"{recovered['median']} s (median), {recovered['worst']} s (worst)."
    )
    if not outcome.violations:
        out.print("[green]✓[/] Nothing is lost, nothing is done twice, and everything agrees.")
        return
    out.print(f"[red]✗[/] {len(outcome.violations):,} violations, {outcome.lost:,} of them losses:")
    for one in outcome.violations[:SHOWN_MAX]:
        out.print(f"  {one.kind} {one.auction}: {one.detail}", markup=False, soft_wrap=True)
