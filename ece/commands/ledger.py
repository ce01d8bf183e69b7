"""`ece ledger check`: is the money right?"""

import asyncio
import json
import sys
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from domain.ids import id_text
from ece.engine.running import database_of
from ece.failure import Failure
from ece.settings import Settings, load_settings
from persistence.ledger.check import CHECKS, LedgerFinding, ledger_checker
from persistence.postgres.errors import StoreError

EXIT_WRONG = 1

ledger = typer.Typer(no_args_is_help=True, help="The ledger.\n\nBegin with: scripts/ece ledger check")


@dataclass
class Report:
    """What was looked at, and what is wrong: how often by kind, and the first places of each."""

    counts: dict[str, int]
    wrong: dict[str, int] = field(default_factory=dict)
    findings: list[LedgerFinding] = field(default_factory=list)


@ledger.callback()
def _ledger() -> None:
    """A group of its own, also while it has one command."""


@ledger.command()
def check(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout; progress on stderr.")] = False,
) -> None:
    """Check that the money is right, with SQL of its own, while the engine runs or not.

    All balances sum to zero; nobody has less than nothing available; every account's entries are an unbroken chain of
    hashes, each leading from one balance to the next and the last to where the account stands; and what is held is
    what pending transfers, withdrawals and bids hold. What is wrong is named, with its account and entry.

    Example: scripts/ece ledger check

    Exit code: 0 all is right, 1 something is wrong.
    """
    narration = Console(stderr=True, highlight=False)
    try:
        report = asyncio.run(_checked(load_settings(), narration))
    except StoreError as error:
        raise Failure(f"The ledger can't be read: {error}") from error
    if as_json:
        sys.stdout.write(json.dumps(_report_json(report)) + "\n")
    else:
        _print_report(Console(highlight=False), report)
    if report.wrong:
        raise typer.Exit(EXIT_WRONG)


async def _checked(settings: Settings, narration: Console) -> Report:
    async with database_of(settings, narration) as database_url, ledger_checker(database_url) as checker:
        report = Report(await checker.counts())
        for one in CHECKS:
            narration.print(f"  {one.holds} …", style="dim")
            count, findings = await checker.findings(one)
            if count:
                report.wrong[one.kind] = count
                report.findings += findings
    return report


def _report_json(report: Report) -> dict[str, Any]:
    findings = [
        {
            "kind": finding.kind,
            "account": None if finding.account is None else id_text(finding.account),
            "entry": finding.seq,
            "detail": finding.detail,
        }
        for finding in report.findings
    ]
    return {"ok": not report.wrong, **report.counts, "wrong": report.wrong, "findings": findings}


def _print_report(out: Console, report: Report) -> None:
    looked_at = ", ".join(f"{count:,} {what}" for what, count in report.counts.items())
    if not report.wrong:
        out.print(f"[green]✓[/] {looked_at}: every sum, chain, balance and hold right.", soft_wrap=True)
        return
    out.print(f"[red]✗[/] {looked_at}: {sum(report.wrong.values()):,} findings.", soft_wrap=True)
    table = Table(box=None, pad_edge=True)
    for name in ("What", "Account", "Entry", "Which"):
        table.add_column(name, justify="right" if name == "Entry" else "left", no_wrap=name != "Which")
    for finding in report.findings:
        account = "" if finding.account is None else id_text(finding.account)
        entry = "" if finding.seq is None else f"{finding.seq:,}"
        table.add_row(finding.kind, account, entry, escape(finding.detail))
    out.print(table)
    if sum(report.wrong.values()) > len(report.findings):
        out.print(f"  … and {sum(report.wrong.values()) - len(report.findings):,} more.")
