"""`ece verify`: checks the log of an entity row by row."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from domain.auction.state import Auction
from domain.ids import InvalidId, id_text, parse_id
from domain.kinds import UnknownKind, kind_of
from domain.log.chain import LogRow
from domain.log.kind import Kind
from domain.log.verification import Claim, LogVerifier, SnapshotClaim, SummaryClaim, Verdict
from domain.money import UNITS_PER_USD
from ece.engine.running import database_of
from ece.failure import Failure
from ece.settings import Settings, load_settings
from persistence.log.event_log import EventLog
from persistence.log.history import EntityHistory
from persistence.log.snapshots import SnapshotStore
from persistence.postgres.errors import StoreError
from persistence.summary_tables import SUMMARY_TABLES

ROWS_A_PAGE = 5_000
ENTITIES_A_PAGE = 500
BROKEN_MAX = 200
EXIT_BROKEN = 1
EXIT_USAGE = 2

OnRows = Callable[[int, int], None]
"""Called with the number of rows checked since the last call, and with the total."""


@dataclass
class Summary:
    """The result for many auctions. ``broken`` holds the first ones, ``broken_count`` counts all."""

    auctions: int = 0
    rows: int = 0
    broken_count: int = 0
    broken: dict[int, Verdict] = field(default_factory=dict)

    def count(self, auction: int, verdict: Verdict) -> None:
        self.auctions += 1
        self.rows += verdict.rows
        if verdict.found:
            self.broken_count += 1
            if len(self.broken) < BROKEN_MAX:
                self.broken[auction] = verdict


class Stores:
    """The stores that a verification reads."""

    def __init__(self, event_log: EventLog) -> None:
        self.event_log = event_log
        self.history = EntityHistory(event_log.pool)
        self.snapshots = SnapshotStore(event_log.pool)


def verify(
    auction: Annotated[
        str | None, typer.Argument(help="The auction's id (13 characters).", metavar="[AUCTION]")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every auction there is.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout; progress on stderr.")] = False,
) -> None:
    """Check an auction's log: the hash chain, and that the result follows from the
    rules.

    Each row's hash must be that of its content and of the previous row. Each
    event must be what the rules decide on the state before it. The snapshot and
    the summary row must agree with the log. A finding names the row that was
    changed, is missing or is out of place.

    Examples:

      scripts/ece verify 05v3k8g0g4000      one auction

      scripts/ece verify --all --json       all of them, for machines

    Exit code: 0 the log is correct, 1 it is not, 2 there is no such auction.
    """
    stderr = Console(stderr=True, highlight=False)
    if (auction is None) != every:
        raise typer.BadParameter("give an auction or --all")
    number = None if auction is None else _number(auction, stderr)
    try:
        if number is None:
            sound = asyncio.run(_verify_all(load_settings(), stderr, as_json=as_json))
        else:
            sound = asyncio.run(_verify_one(load_settings(), number, stderr, as_json=as_json))
    except StoreError as error:
        raise Failure(f"The log can't be read: {error}") from error
    if not sound:
        raise typer.Exit(EXIT_BROKEN)


def _number(auction: str, stderr: Console) -> int:
    try:
        return parse_id(auction)
    except InvalidId:
        stderr.print(f"ece: {auction[:40]!r} is not the id of an auction: 13 characters of 0-9 and a-v", markup=False)
        raise typer.Exit(EXIT_USAGE) from None


async def _verify_one(settings: Settings, auction: int, stderr: Console, *, as_json: bool) -> bool:
    async with _stores(settings, stderr) as stores:
        with _progress(stderr) as bar:
            task = bar.add_task("rows", total=None)
            kind = await stores.history.kind(auction)
            if kind is None:
                stderr.print(f"ece: there is no auction {id_text(auction)}")
                raise typer.Exit(EXIT_USAGE)
            verdict = await verified(
                stores, auction, kind, lambda more, all_: bar.update(task, advance=more, total=all_)
            )
    if as_json:
        sys.stdout.write(json.dumps(_verdict_json(auction, verdict)) + "\n")
    else:
        _print_verdict(Console(highlight=False), auction, verdict)
    return not verdict.found


async def _verify_all(settings: Settings, stderr: Console, *, as_json: bool) -> bool:
    summary = Summary()
    async with _stores(settings, stderr) as stores:
        with _progress(stderr) as bar:
            task = bar.add_task("entities", total=await stores.history.entities_count())
            async for entity, kind in _every_entity(stores):
                summary.count(entity, await verified(stores, entity, kind))
                bar.advance(task)
    if as_json:
        members = {"auctions": summary.auctions, "rows": summary.rows, "broken": summary.broken_count}
        found = [_verdict_json(auction, verdict) for auction, verdict in summary.broken.items()]
        sys.stdout.write(json.dumps(members | {"findings": found}) + "\n")
    else:
        _print_summary(Console(highlight=False), summary)
    return not summary.broken_count


async def verified(stores: Stores, entity: int, kind: str, on_rows: OnRows | None = None) -> Verdict:
    """Read and check one entity's log, page by page. Raises StoreError."""
    # Snapshot and summary row are read first: the log, which may grow meanwhile, is then at least as far.
    claims: list[Claim] = []
    summary = await stores.event_log.summary(kind, entity)
    if summary is not None:
        claims.append(SummaryClaim(*summary))
    snapshot = await stores.snapshots.load(entity)
    if snapshot is not None:
        claims.append(SnapshotClaim(snapshot.seq, snapshot.hash, snapshot.state))
    verifier = LogVerifier(_known(kind), entity, claims)
    after, total = -1, max([0, *(claim.seq for claim in claims)])
    while rows := await stores.event_log.tail(entity, after, ROWS_A_PAGE):
        for row in rows:
            verifier.feed(LogRow(row.seq, row.epoch, row.at, row.command_key, row.body, row.hash))
        after = rows[-1].seq
        if on_rows is not None:
            on_rows(len(rows), max(total, after))
    return verifier.finish()


def _known(kind: str) -> Kind:
    try:
        return kind_of(kind)
    except UnknownKind:
        raise Failure(f"This version has no rules for the kind {kind!r}: use the version that wrote it.") from None


async def _every_entity(stores: Stores) -> AsyncIterator[tuple[int, str]]:
    last = -1
    while page := await stores.history.entities_after(last, ENTITIES_A_PAGE):
        for entity, kind in page:
            yield entity, kind
        last = page[-1][0]


@asynccontextmanager
async def _stores(settings: Settings, stderr: Console) -> AsyncIterator[Stores]:
    async with database_of(settings, stderr) as database_url, _opened(database_url) as stores:
        yield stores


@asynccontextmanager
async def _opened(database_url: str) -> AsyncIterator[Stores]:
    event_log = EventLog(database_url, SUMMARY_TABLES, pool_max=2)
    await event_log.open()
    try:
        yield Stores(event_log)
    finally:
        await event_log.close()


def _progress(stderr: Console) -> Progress:
    columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=stderr, transient=True)


def _verdict_json(auction: int, verdict: Verdict) -> dict[str, Any]:
    return {
        "auction": id_text(auction),
        "ok": not verdict.found,
        "rows": verdict.rows,
        "judged_to": verdict.judged_to,
        "found": verdict.found,
        "findings": [{"row": f.seq, "kind": f.kind, "detail": f.detail} for f in verdict.findings],
        "result": None if verdict.state is None else _result(verdict.state),
    }


def _result(state: Any) -> dict[str, Any]:
    """The state that the log gives: an auction's main fields, else all that it has."""
    if not isinstance(state, Auction):
        return dict(msgspec.to_builtins(state))
    return {
        "status": state.status.value,
        "price": state.price,
        "bids": state.bids,
        "leader": state.leader_name,
        "winner": state.leader_name if state.winner is not None else None,
        "closed_reason": state.closed_reason,
        "ends_at": state.ends_at,
    }


def _print_verdict(out: Console, auction: int, verdict: Verdict) -> None:
    if not verdict.found:
        out.print(f"[green]✓[/] Auction {id_text(auction)}: {verdict.rows:,} rows, all hashes and events are correct.")
    else:
        out.print(f"[red]✗[/] Auction {id_text(auction)}: {verdict.found:,} findings in {verdict.rows:,} rows.")
        out.print(_findings_table({auction: verdict}))
        if verdict.found > len(verdict.findings):
            out.print(f"  … and {verdict.found - len(verdict.findings):,} more.")
    if isinstance(verdict.state, Auction):
        out.print("  " + escape(_described(verdict.state)))
    if verdict.judged_to < verdict.last_seq:
        out.print(f"  The rules were checked up to row {verdict.judged_to:,}; what follows is only what the log says.")


def _described(auction: Auction) -> str:
    price = f"{auction.price / UNITS_PER_USD:,.2f} USD after {auction.bids:,} bids"
    if not auction.ended:
        return f"The log gives: {auction.status.value}, {price}, led by {auction.leader_name or 'nobody'}."
    if auction.winner is None:
        return f"The log gives: {auction.status.value}, unsold, {price}."
    return (
        f"The log gives: {auction.status.value} ({auction.closed_reason}), sold to {auction.leader_name} for {price}."
    )


def _print_summary(out: Console, summary: Summary) -> None:
    if not summary.broken_count:
        out.print(
            f"[green]✓[/] {summary.auctions:,} auctions, {summary.rows:,} rows: all hashes and events are correct."
        )
        return
    out.print(
        f"[red]✗[/] {summary.broken_count:,} of {summary.auctions:,} auctions ({summary.rows:,} rows) have findings."
    )
    out.print(_findings_table(summary.broken))


def _findings_table(verdicts: dict[int, Verdict]) -> Table:
    table = Table(box=None, pad_edge=True)
    many = len(verdicts) > 1
    for name in ("Auction", "Row", "What", "Which")[0 if many else 1 :]:
        table.add_column(name, justify="right" if name == "Row" else "left", no_wrap=name != "Which")
    for auction, verdict in verdicts.items():
        for finding in verdict.findings:
            cells = (id_text(auction), f"{finding.seq:,}", finding.kind, escape(finding.detail))
            table.add_row(*cells[0 if many else 1 :])
    return table
