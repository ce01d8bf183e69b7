"""`ece node` and `ece slots`: which hosts own which slots, and how to move them during operation."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from actors.hosting.load_report import LoadReport, load_report_of
from domain.ids import id_text
from ece.data_dir import DataDir
from ece.failure import Failure
from ece.settings import load_settings
from persistence.placement.directory import Directory, HostAddress
from persistence.placement.operator_overrides import OperatorOverrides
from persistence.postgres.errors import StoreUnavailable
from persistence.postgres.pool import Pool, close_pool, open_pool

# A host sends a heartbeat twice a second.
SILENT_AFTER_MS = 3_000
POLL_S = 0.1
NODE_CHARACTERS = 12
# Output to a file or a pipe is not cut at the width of a terminal.
FILE_COLUMNS = 160
MIB = 1024 * 1024

node = typer.Typer(
    no_args_is_help=True,
    help=(
        "The machines that hosts run on: list them, and drain one before it is removed.\n\n"
        "The director moves the slots and auctions of a drained node to other nodes without refusing bids. The engine "
        "has to run; it may run on another machine (ECE_DATABASE_URL)."
    ),
)
slots = typer.Typer(
    no_args_is_help=True,
    help=(
        "Which host owns which auctions: auctions map to a fixed number of slots, and each slot has one owner.\n\n"
        "The director balances slots over the hosts. A slot that an operator moved stays on its host until "
        "`ece slots free`, or until that host dies."
    ),
)

Wait = Annotated[float, typer.Option("--wait", min=0, max=3600, help="Seconds to wait for the end; 0: return at once.")]
NodeName = Annotated[str, typer.Argument(metavar="NODE", help="A node's id or a unique prefix: see `ece node list`.")]


@node.command("list")
def list_nodes() -> None:
    """List the nodes with their hosts and load."""
    _run(_list_nodes)


@node.command()
def drain(name: NodeName, wait: Wait = 120.0) -> None:
    """Move everything off a node, and place nothing there. Its hosts stop, and the
    node can be removed.

    Example: scripts/ece node drain 4f1c2a
    """
    _run(lambda pool: _drain(pool, name, wait))


@node.command()
def undrain(name: NodeName) -> None:
    """Place hosts on a drained node again."""
    _run(lambda pool: _undrain(pool, name))


@slots.command("list")
def list_hosts() -> None:
    """List the hosts with their slots and load."""
    _run(_list_hosts)


@slots.command()
def move(
    which: Annotated[str, typer.Argument(metavar="SLOTS", help="Slots, for example 0-63,80, or `all`.")],
    host: Annotated[str, typer.Argument(metavar="HOST", help="The new owner: see `ece slots list`.")],
    wait: Wait = 60.0,
) -> None:
    """Move slots to a host and pin them there.

    Example: scripts/ece slots move 0-63 host-2
    """
    _run(lambda pool: _move(pool, which, host, wait))


@slots.command()
def free() -> None:
    """Remove all pins: the director balances all slots again."""
    _run(_free)


def _run(work: Callable[[Pool], Awaitable[None]]) -> None:
    async def connected() -> None:
        async with _pool() as pool:
            await work(pool)

    try:
        asyncio.run(connected())
    except StoreUnavailable as error:
        raise Failure(f"The database does not answer: {error}. `scripts/ece doctor` shows what is wrong.") from None


@asynccontextmanager
async def _pool() -> AsyncIterator[Pool]:
    settings = load_settings()
    state = DataDir(settings.data_dir).read_state()
    url = settings.database_url.get_secret_value() if settings.database_url else state.database_url if state else None
    if url is None:
        raise Failure(f"No engine runs on {settings.data_dir}, and ECE_DATABASE_URL is not set. Start one: scripts/up")
    pool = await open_pool(url, size_max=2)
    try:
        yield pool
    finally:
        await close_pool(pool)


async def _list_nodes(pool: Pool) -> None:
    hosts, draining = await Directory(pool).hosts(), await OperatorOverrides(pool).drains()
    table = Table(box=None, pad_edge=False)
    for column in ("NODE", "STATE", "HOSTS", "SLOTS", "DEDICATED", "ORDERS/S", "MEMORY"):
        table.add_column(column, justify="left" if column in ("NODE", "STATE") else "right", no_wrap=True)
    for name in sorted({host.node for host in hosts if _alive(host) or host.owns_something} | draining):
        there = [host for host in hosts if host.node == name and (_alive(host) or host.owns_something)]
        reports = [load_report_of(host.load_report) for host in there if _alive(host)]
        table.add_row(
            name[:NODE_CHARACTERS] or "?",
            _state_of_node(name in draining, there),
            str(len(reports)),
            str(sum(len(host.slots) for host in there)),
            str(sum(len(host.entities) for host in there)),
            f"{sum(report.orders_rate for report in reports):,.0f}",
            f"{sum(report.rss_bytes for report in reports) / MIB:,.0f} MiB",
        )
    _console().print(table)


def _state_of_node(drained: bool, hosts: list[HostAddress]) -> str:
    if drained:
        return "draining" if hosts else "drained"
    return "serving" if any(_alive(host) for host in hosts) else "silent"


async def _list_hosts(pool: Pool) -> None:
    hosts, overrides = await Directory(pool).hosts(), await OperatorOverrides(pool).slots()
    table = Table(box=None, pad_edge=False)
    for column in ("HOST", "NODE", "STATE", "SLOTS", "ENTITIES", "ORDERS/S", "COMMIT", "WAITING", "HOTTEST"):
        right = column not in ("HOST", "NODE", "STATE", "HOTTEST")
        table.add_column(column, justify="right" if right else "left", no_wrap=True)
    for host in hosts:
        if _alive(host) or host.owns_something:
            report = load_report_of(host.load_report)
            table.add_row(
                host.host_id,
                host.node[:NODE_CHARACTERS] or "?",
                _state_of_host(host),
                str(len(host.slots)),
                f"{report.entities:,}",
                f"{report.orders_rate:,.0f}",
                f"{report.commit_ms:.1f} ms",
                f"{report.inbox + report.loading:,}",
                _hottest(host, report),
            )
    _console().print(table)
    if overrides:
        _console().print(
            f"{len(overrides)} slot(s) are pinned by an operator; `scripts/ece slots free` removes the pins."
        )


def _state_of_host(host: HostAddress) -> str:
    if not _alive(host):
        return "silent"
    if host.entities:
        return "dedicated"
    return "serving" if host.slots else "spare"


def _hottest(host: HostAddress, report: LoadReport) -> str:
    if host.entities:
        return ", ".join(id_text(entity) for entity in host.entities)
    return ", ".join(f"{id_text(hot.entity)} ({hot.rate:,}/s)" for hot in report.hottest[:2])


async def _drain(pool: Pool, name: str, wait_s: float) -> None:
    directory, overrides = Directory(pool), OperatorOverrides(pool)
    hosts, draining = await directory.hosts(), await overrides.drains()
    alive = {host.node for host in hosts if _alive(host)}
    full = _only_one(name, alive | {host.node for host in hosts if host.owns_something} | draining)
    if not alive - draining - {full}:
        raise Failure("No other node has a running host to move slots to. Add a node first.")
    await overrides.drain(full)
    if wait_s == 0:
        _console().print(f"{full[:NODE_CHARACTERS]} is being drained; `scripts/ece node list` shows the progress.")
        return

    async def left() -> int:
        there = [host for host in await directory.hosts() if host.node == full]
        return sum(len(host.slots) + len(host.entities) for host in there) + sum(1 for host in there if _alive(host))

    await _until_none(left, f"Draining {full[:NODE_CHARACTERS]}", wait_s)
    _console().print(f"{full[:NODE_CHARACTERS]} is drained and can be removed.")


async def _undrain(pool: Pool, name: str) -> None:
    overrides = OperatorOverrides(pool)
    full = _only_one(name, await overrides.drains())
    await overrides.undrain(full)
    _console().print(f"{full[:NODE_CHARACTERS]} is in use again: the director starts hosts there.")


async def _move(pool: Pool, which: str, host_id: str, wait_s: float) -> None:
    directory = Directory(pool)
    hosts = {host.host_id: host for host in await directory.hosts()}
    if host_id not in hosts or not _alive(hosts[host_id]):
        raise Failure(f"{host_id} is not running. `scripts/ece slots list` shows the hosts that are.")
    wanted = _slots_of(which, load_settings().slots)
    await OperatorOverrides(pool).pin_slots(wanted, host_id)

    async def left() -> int:
        kept = next((host.slots for host in await directory.hosts() if host.host_id == host_id), ())
        return len(set(wanted) - set(kept))

    if wait_s:
        await _until_none(left, f"Moving {len(wanted)} slot(s) to {host_id}", wait_s)
    _console().print(f"{len(wanted)} slot(s) are pinned to {host_id} until `scripts/ece slots free`.")


async def _free(pool: Pool) -> None:
    await OperatorOverrides(pool).unpin_slots()
    _console().print("The director balances all slots again.")


async def _until_none(left: Callable[[], Awaitable[int]], what: str, wait_s: float) -> None:
    """Show how many are left until none is. Raises Failure at the time-out; the director continues."""
    deadline = time.monotonic() + wait_s
    number = await left()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=number)
        while number:
            if time.monotonic() > deadline:
                raise Failure(
                    f"{number} left after {wait_s:g} s. The director continues: see `scripts/ece slots list`."
                )
            await asyncio.sleep(POLL_S)
            number = await left()
            progress.update(task, completed=(progress.tasks[task].total or 0) - number)


def _slots_of(text: str, slots_total: int) -> list[int]:
    """The slots of `0-3,7` or `all`. Raises Failure."""
    if text == "all":
        return list(range(slots_total))
    found: set[int] = set()
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            found.update(range(int(first), int(last or first) + 1))
    except ValueError:
        raise Failure(f"{text!r} is not a list of slots. Write 0-63,80 or `all`.") from None
    if not found or min(found) < 0 or max(found) >= slots_total:
        raise Failure(f"{text!r} is outside the slots of this engine: 0 to {slots_total - 1}.")
    return sorted(found)


def _only_one(name: str, nodes: "set[str] | frozenset[str]") -> str:
    """The one node whose id begins with this. Raises Failure."""
    found = sorted(node for node in nodes if node.startswith(name))
    if len(found) != 1 or not name:
        known = ", ".join(sorted(node[:NODE_CHARACTERS] for node in nodes)) or "none"
        raise Failure(f"{'No node' if not found else 'More than one node'} begins with {name!r}. There are: {known}.")
    return found[0]


def _alive(host: HostAddress) -> bool:
    return time.time_ns() // 1_000_000 - host.alive_at < SILENT_AFTER_MS


def _console() -> Console:
    console = Console(highlight=False, soft_wrap=True)
    return console if console.is_terminal else Console(highlight=False, soft_wrap=True, width=FILE_COLUMNS)
