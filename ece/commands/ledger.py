"""`ece ledger check`: whether the ledger is consistent."""

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
    """What was checked, and what is wrong: how often by kind, and the first findings of each."""

    counts: dict[str, int]
    wrong: dict[str, int] = field(default_factory=dict)
    findings: list[LedgerFinding] = field(default_factory=list)


@ledger.callback()
def _ledger() -> None:
    """Makes typer keep the name of the only command."""


@ledger.command()
def check(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout; progress on stderr.")] = False,
) -> None:
    """Check that the ledger is consistent. The engine may run or not.

    All balances sum to zero. No user's available balance is negative. The
    entries of every account are a hash chain in which each entry leads from one
    balance to the next, and the last to the balance of the account. What is held
    equals what pending transfers, withdrawals and bids hold. A finding names its
    account and entry.

    Example: scripts/ece ledger check

    Exit code: 0 the ledger is consistent, 1 it is not.
    """
    stderr = Console(stderr=True, highlight=False)
    try:
        report = asyncio.run(_checked(load_settings(), stderr))
    except StoreError as error:
        raise Failure(f"The ledger can't be read: {error}") from error
    if as_json:
        sys.stdout.write(json.dumps(_report_json(report)) + "\n")
    else:
        _print_report(Console(highlight=False), report)
    if report.wrong:
        raise typer.Exit(EXIT_WRONG)


async def _checked(settings: Settings, stderr: Console) -> Report:
    async with database_of(settings, stderr) as database_url, ledger_checker(database_url) as checker:
        report = Report(await checker.counts())
        for one in CHECKS:
            stderr.print(f"  {one.holds} …", style="dim")
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
        out.print(f"[green]✓[/] {looked_at}: all sums, chains, balances and holds are correct.", soft_wrap=True)
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
