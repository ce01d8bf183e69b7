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
from domain.log.chain import Finding, LogRow
from domain.log.kind import Kind
from domain.log.verification import Claim, LogVerifier, SnapshotClaim, SummaryClaim, Verdict
from domain.money import UNITS_PER_USD
from domain.trade.settlement import settled_fault
from domain.trade.state import Trade
from ece.commands.chain.anchors import (
    AnchorChecks,
    AnchorReport,
    anchor_checks,
    anchor_json,
    print_anchor,
    with_anchor,
)
from ece.engine.running import database_of
from ece.failure import Failure
from ece.settings import Settings, load_settings
from persistence.log.anchors import Anchors
from persistence.log.event_log import EventLog
from persistence.log.history import EntityHistory
from persistence.log.snapshots import SnapshotStore
from persistence.postgres.errors import StoreError
from persistence.summary_tables import SUMMARY_TABLES
from persistence.trades.settled import TradeSettlements

ROWS_A_PAGE = 5_000
ENTITIES_A_PAGE = 500
BROKEN_MAX = 200
EXIT_BROKEN = 1
EXIT_USAGE = 2
# The kind of a finding: what was executed is not what the log says.
SETTLEMENT = "settlement"

Entity = tuple[str, int]
"""(kind, id)."""

OnRows = Callable[[int, int], None]
"""Called with the number of rows checked since the last call, and with the total."""


@dataclass
class Summary:
    """The result for many entities. ``broken`` holds the first ones, by (kind, id); ``broken_count`` counts all."""

    entities: int = 0
    rows: int = 0
    broken_count: int = 0
    broken: dict[Entity, Verdict] = field(default_factory=dict)

    def count(self, entity: Entity, verdict: Verdict) -> None:
        self.entities += 1
        self.rows += verdict.rows
        if verdict.found:
            self.broken_count += 1
            if len(self.broken) < BROKEN_MAX:
                self.broken[entity] = verdict


class Stores:
    """The stores that a verification reads."""

    def __init__(self, event_log: EventLog) -> None:
        self.event_log = event_log
        self.history = EntityHistory(event_log.pool)
        self.snapshots = SnapshotStore(event_log.pool)
        self.anchors = Anchors(event_log.pool)
        self.trades = TradeSettlements(event_log.pool)


def verify(
    entity: Annotated[
        str | None, typer.Argument(help="The id of an auction or a trade (13 characters).", metavar="[ID]")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every auction and trade there is.")] = False,
    chain: Annotated[
        bool | None,
        typer.Option(
            "--chain/--no-chain", help="Compare anchors with the chain. Default: for one entity, if there is one."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout; progress on stderr.")] = False,
) -> None:
    """Check the log of an auction or a trade: the hash chain, and that the result follows from the
    rules.

    Each row's hash must be that of its content and of the previous row. Each
    event must be what the rules decide on the state before it. The snapshot and
    the summary row must agree with the log, and so must the anchor: its
    inclusion proof, and the memo on the chain; and what was executed, if it is a
    trade. A finding names the row that was
    changed, is missing or is out of place.

    Examples:

      scripts/ece verify 05v3k8g0g4000      one auction or trade

      scripts/ece verify --all --json       all of them, for machines

    Exit code: 0 the log is correct, 1 it is not, 2 there is no such id.
    """
    stderr = Console(stderr=True, highlight=False)
    if (entity is None) != every:
        raise typer.BadParameter("give an id or --all")
    number = None if entity is None else _number(entity, stderr)
    try:
        if number is None:
            sound = asyncio.run(_verify_all(load_settings(), stderr, bool(chain), as_json=as_json))
        else:
            sound = asyncio.run(_verify_one(load_settings(), number, stderr, chain, as_json=as_json))
    except StoreError as error:
        raise Failure(f"The log can't be read: {error}") from error
    if not sound:
        raise typer.Exit(EXIT_BROKEN)


def _number(text: str, stderr: Console) -> int:
    try:
        return parse_id(text)
    except InvalidId:
        stderr.print(f"ece: {text[:40]!r} is not an id: 13 characters of 0-9 and a-v", markup=False)
        raise typer.Exit(EXIT_USAGE) from None


async def _verify_one(settings: Settings, entity: int, stderr: Console, chain: bool | None, *, as_json: bool) -> bool:
    async with _stores(settings, stderr) as stores, anchor_checks(settings, chain) as checks:
        with _progress(stderr) as bar:
            task = bar.add_task("rows", total=None)
            kind = await stores.history.kind(entity)
            if kind is None:
                stderr.print(f"ece: there is no auction or trade {id_text(entity)}")
                raise typer.Exit(EXIT_USAGE)
            verdict = await verified(
                stores, entity, kind, lambda more, all_: bar.update(task, advance=more, total=all_)
            )
        report = await _anchor(stores, checks, entity)
    verdict = with_anchor(verdict, report)
    if as_json:
        sys.stdout.write(json.dumps(_verdict_json((kind, entity), verdict) | {"anchor": anchor_json(report)}) + "\n")
    else:
        out = Console(highlight=False)
        _print_verdict(out, (kind, entity), verdict)
        print_anchor(out, report)
    return not verdict.found


async def _anchor(stores: Stores, checks: AnchorChecks, entity: int) -> AnchorReport | None:
    anchored = await stores.anchors.of_entity(entity)
    return None if anchored is None else await checks.report(anchored)


async def _verify_all(settings: Settings, stderr: Console, chain: bool, *, as_json: bool) -> bool:
    summary = Summary()
    async with _stores(settings, stderr) as stores, anchor_checks(settings, chain) as checks:
        with _progress(stderr) as bar:
            task = bar.add_task("entities", total=await stores.history.entities_count())
            async for entity, kind in _every_entity(stores):
                verdict = await verified(stores, entity, kind)
                summary.count((kind, entity), with_anchor(verdict, await _anchor(stores, checks, entity)))
                bar.advance(task)
    if as_json:
        members = {"entities": summary.entities, "rows": summary.rows, "broken": summary.broken_count}
        found = [_verdict_json(entity, verdict) for entity, verdict in summary.broken.items()]
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
    anchored = await stores.anchors.of_entity(entity)
    if anchored is not None:
        claims.append(anchored.claim)
    verifier = LogVerifier(_known(kind), entity, claims)
    after, total = -1, max([0, *(claim.seq for claim in claims)])
    while rows := await stores.event_log.tail(entity, after, ROWS_A_PAGE):
        for row in rows:
            verifier.feed(LogRow(row.seq, row.epoch, row.at, row.command_key, row.body, row.hash))
        after = rows[-1].seq
        if on_rows is not None:
            on_rows(len(rows), max(total, after))
    return await _with_settlement(stores, entity, verifier.finish())


async def _with_settlement(stores: Stores, entity: int, verdict: Verdict) -> Verdict:
    """The verdict on a trade with a finding if the database did not execute what its log says."""
    if not isinstance(verdict.state, Trade) or verdict.judged_to < verdict.last_seq:
        return verdict
    fault = settled_fault(verdict.state, await stores.trades.of(entity))
    if fault is None:
        return verdict
    finding = Finding(verdict.last_seq, SETTLEMENT, f"the settlement of the trade: {fault}")
    return msgspec.structs.replace(verdict, found=verdict.found + 1, findings=(*verdict.findings, finding))


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


def _verdict_json(entity: Entity, verdict: Verdict) -> dict[str, Any]:
    return {
        "kind": entity[0],
        "id": id_text(entity[1]),
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


def _print_verdict(out: Console, entity: Entity, verdict: Verdict) -> None:
    name = _name(entity)
    if not verdict.found:
        out.print(f"[green]✓[/] {name}: {verdict.rows:,} rows, all hashes and events are correct.")
    else:
        out.print(f"[red]✗[/] {name}: {verdict.found:,} findings in {verdict.rows:,} rows.")
        out.print(_findings_table({entity: verdict}))
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
            f"[green]✓[/] {summary.entities:,} entities, {summary.rows:,} rows: all hashes and events are correct."
        )
        return
    out.print(
        f"[red]✗[/] {summary.broken_count:,} of {summary.entities:,} entities ({summary.rows:,} rows) have findings."
    )
    out.print(_findings_table(summary.broken))


def _name(entity: Entity) -> str:
    return f"{entity[0].capitalize()} {id_text(entity[1])}"


def _findings_table(verdicts: dict[Entity, Verdict]) -> Table:
    table = Table(box=None, pad_edge=True)
    many = len(verdicts) > 1
    for name in ("Entity", "Row", "What", "Which")[0 if many else 1 :]:
        table.add_column(name, justify="right" if name == "Row" else "left", no_wrap=name != "Which")
    for entity, verdict in verdicts.items():
        for finding in verdict.findings:
            cells = (_name(entity), f"{finding.seq:,}", finding.kind, escape(finding.detail))
            table.add_row(*cells[0 if many else 1 :])
    return table
