"""`ece audit`: verifies the audit trail."""

import asyncio
import json
import re
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer
from rich.console import Console

from domain.audit import Finding, Head
from domain.ids import id_text
from ece.engine.running import database_of
from ece.failure import Failure
from ece.settings import load_settings
from persistence.audit.chain import FINDINGS_MAX, AuditChain, findings_of
from persistence.audit.checks import AuditChecks
from persistence.postgres.errors import StoreError
from persistence.postgres.pool import Pool, close_pool, open_pool

EXIT_BROKEN = 1
_NOTED = re.compile(r"(\d{1,18}):([0-9a-f]{64})")

audit = typer.Typer(
    no_args_is_help=True, help="The audit trail: who did what from where.\n\nBegin with: scripts/ece audit verify"
)


@audit.callback()
def _audit() -> None:
    pass


@audit.command()
def verify(
    noted: Annotated[
        str | None, typer.Option("--head", help="POSITION:HASH that an earlier run printed: the chain must contain it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Check every entry against the chain of hashes: changed, missing and reordered rows are found.

    Exit code 1 if there are findings. Note the head that it prints somewhere
    else: with it a later run also finds that the end of the trail was cut.

    Example: scripts/ece audit verify --json
    """
    try:
        findings, head = asyncio.run(_verified(_head_of(noted)))
    except StoreError as error:
        raise Failure(f"The audit trail can't be read: {error}") from error
    text = f"{head.position}:{head.hash.hex()}"
    if as_json:
        found = [{"kind": one.kind, "entry": _id(one), "detail": one.detail} for one in findings]
        sys.stdout.write(json.dumps({"ok": not findings, "head": text, "findings": found}) + "\n")
    else:
        _print(findings, head.position, text)
    if findings:
        raise typer.Exit(EXIT_BROKEN)


@audit.command()
def acknowledge() -> None:
    """End the alert of a broken trail, once it is explained: the periodic check begins again.

    Nothing of the trail changes, and `verify` goes on to show what is wrong. The
    periodic check finds it again, unless the end was cut: it goes through the trail
    from its beginning, 1,000 entries a minute.

    Example: scripts/ece audit acknowledge
    """
    try:
        count = asyncio.run(_on_pool(lambda pool: AuditChecks(pool).acknowledge()))
    except StoreError as error:
        raise Failure(f"The audit trail can't be read: {error}") from error
    Console(highlight=False).print(f"[green]✓[/] {count} findings are acknowledged.")


async def _on_pool(work: Callable[[Pool], Awaitable[int]]) -> int:
    async with database_of(load_settings(), Console(stderr=True, highlight=False)) as database_url:
        pool = await open_pool(database_url, size_max=1)
        try:
            return await work(pool)
        finally:
            await close_pool(pool)


def _print(findings: list[Finding], count: int, head: str) -> None:
    out = Console(highlight=False, soft_wrap=True)
    for one in findings:
        out.print(f"[red]✗[/] {one.kind}{' ' + _id(one) if one.entry_id is not None else ''}: {one.detail}")
    if not findings:
        out.print(f"[green]✓[/] {count:,} entries, all as they were written.")
    out.print(f"Head: {head}")


def _id(finding: Finding) -> Any:
    return None if finding.entry_id is None else id_text(finding.entry_id)


def _head_of(noted: str | None) -> Head | None:
    if noted is None:
        return None
    found = _NOTED.fullmatch(noted.lower())
    if found is None:
        raise Failure("--head is POSITION:HASH, as an earlier run printed it.")
    return Head(int(found[1]), bytes.fromhex(found[2]))


async def _verified(noted: Head | None) -> tuple[list[Finding], Head]:
    findings: list[Finding] = []
    async with database_of(load_settings(), Console(stderr=True, highlight=False)) as database_url:
        pool = await open_pool(database_url, size_max=1)
        try:
            async for found in findings_of(AuditChain(pool), time.time_ns() // 1_000_000, noted):
                if isinstance(found, Head):
                    return findings, found
                if len(findings) < FINDINGS_MAX:
                    findings.append(found)
        finally:
            await close_pool(pool)
    raise AssertionError("the last one is the head")
