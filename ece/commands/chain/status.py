"""`ece chain status`: the chain, its RPC servers, and the minting pool."""

import asyncio
import json
import sys
from contextlib import suppress
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from chain.rpc.client import ChainRpc
from chain.rpc.endpoint import EndpointStatus
from chain.rpc.errors import ChainError
from chain.rpc.limits import RpcLimits
from ece.commands.chain.adopt import adopt
from ece.commands.chain.audit import audit
from ece.commands.chain.endpoints import rpc_urls_of
from ece.engine.running import database_of
from ece.failure import Failure
from ece.settings import Settings, load_settings
from persistence.chain.genesis import ChainGenesis
from persistence.chain.status import ActorReport, ChainStatus, ChainWork
from persistence.postgres.errors import StoreError
from persistence.postgres.pool import close_pool, open_pool

LIMITS = RpcLimits(request_s=3.0, call_s=5.0)
LAMPORTS_PER_SOL = 1_000_000_000
_COLOURS = {"healthy": "green", "lagging": "yellow", "unknown": "yellow"}

ANOTHER_CHAIN = 'Correct ECE_SOLANA_RPC_URL; see docs/operations.md, "Another chain".'

AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]

chain = typer.Typer(
    no_args_is_help=True,
    help="The chain: state, RPC servers, minting pool.\n\nBegin with: scripts/ece chain status",
)


chain.command()(adopt)
chain.command()(audit)


@chain.callback()
def _group() -> None:
    """The chain: state, RPC servers, minting pool."""


class ChainState(msgspec.Struct, frozen=True):
    """What the RPC servers say. ``slot`` and ``final_slot`` are None while none answers.

    ``pinned``: the genesis of the database's chain; None if it never had one.
    """

    slot: int | None
    final_slot: int | None
    height: int | None
    genesis: str | None
    endpoints: list[EndpointStatus]
    error: str | None = None
    pinned: str | None = None

    @property
    def lag(self) -> int | None:
        """Slots from the newest to the newest final one."""
        return None if self.slot is None or self.final_slot is None else self.slot - self.final_slot


@chain.command()
def status(as_json: AsJson = False) -> None:
    """Show the slot, the health of each RPC server, and what the minting pool does.

    Exit code 1 if no RPC server answers. Keys in URLs are not shown.

    Example: scripts/ece chain status --json
    """
    settings = load_settings()
    state, work = asyncio.run(_read(settings))
    if as_json:
        sys.stdout.write(json.dumps(_fields(state, work)) + "\n")
    else:
        _print(Console(highlight=False), state, work)
    if state.slot is None:
        raise typer.Exit(1)


async def _read(settings: Settings) -> tuple[ChainState, ChainWork]:
    try:
        async with database_of(settings, Console(stderr=True, highlight=False)) as database_url:
            pool = await open_pool(database_url, size_max=1)
            try:
                work, pinned = await ChainStatus(pool).work(), await ChainGenesis(pool).known()
            finally:
                await close_pool(pool)
            return await chain_state(rpc_urls_of(settings), pinned), work
    except StoreError as error:
        raise Failure(f"The state of the minting pool can't be read: {error}") from error


async def chain_state(urls: list[str], pinned: str | None = None) -> ChainState:
    """Ask all servers at once. ``pinned``: the genesis of the database's chain."""
    rpc = ChainRpc(urls, LIMITS, pinned)
    await rpc.start()
    slot = final_slot = height = genesis = error = None
    try:
        await rpc.probe()
        slot, height = await rpc.slot("processed"), await rpc.block_height("finalized")
        final_slot, genesis = await rpc.slot("finalized"), await rpc.genesis_hash()
    except ChainError as fault:
        error = f"{fault.code}: {fault}"
    finally:
        endpoints = rpc.endpoints()
        with suppress(OSError):
            await rpc.stop()
    return ChainState(slot, final_slot, height, genesis, endpoints, error, pinned)


def _fields(state: ChainState, work: ChainWork) -> dict[str, Any]:
    queued = sum(counts.get("queued", 0) for counts in work.jobs.values())
    return {
        **msgspec.to_builtins(state),
        "lag": state.lag,
        "queue": {
            "jobs": work.jobs,
            "queued": queued,
            "open_transactions": work.open_transactions,
            "oldest_queued_ms": work.oldest_queued_ms,
        },
        "actors": [{**msgspec.to_builtins(actor), "reported_ms_ago": age} for actor, age in work.actors],
    }


def _print(out: Console, state: ChainState, work: ChainWork) -> None:
    if state.pinned is not None and any(one.state == "foreign" for one in state.endpoints):
        out.print(f"[red]✗[/] This database belongs to the chain {state.pinned}. {ANOTHER_CHAIN}", soft_wrap=True)
    elif state.slot is None:
        out.print(f"[red]✗[/] No RPC server answers: {escape(state.error or 'unknown')}", soft_wrap=True)
    if state.slot is not None:
        out.print(
            f"slot {state.slot:,}, final {state.final_slot:,} ({state.lag} behind), final height {state.height:,}"
        )
        out.print(f"genesis {state.genesis}")
    out.print(_endpoints_table(state.endpoints))
    for kind, counts in work.jobs.items():
        out.print(f"{kind:<20} " + ", ".join(f"{count:,} {name}" for name, count in counts.items()))
    out.print(f"{work.open_transactions:,} transactions open; oldest job {work.oldest_queued_ms / 1000:,.1f} s old")
    for actor, age_ms in work.actors:
        _print_actor(out, actor, age_ms)
    if not work.actors:
        out.print("[yellow]No minting actor has reported lately.[/]")


def _endpoints_table(endpoints: list[EndpointStatus]) -> Table:
    table = Table("RPC server", "state", "slot", "lag", "latency", "last error")
    for one in endpoints:
        colour = _COLOURS.get(one.state, "red")
        table.add_row(
            escape(one.name), f"[{colour}]{one.state}[/]", _number(one.slot), _number(one.lag),
            "" if one.latency_ms is None else f"{one.latency_ms:,.1f} ms", escape(one.last_error or ""),
        )  # fmt: skip
    return table


def _print_actor(out: Console, actor: ActorReport, age_ms: int) -> None:
    sol = "unknown" if actor.balance is None else f"{actor.balance / LAMPORTS_PER_SOL:,.4f} SOL"
    out.print(
        f"{actor.name}: {actor.in_flight:,} in flight, {actor.landed:,} landed, {actor.jobs_done:,} jobs done, "
        f"{actor.jobs_per_s:,.1f} a second; reported {age_ms / 1000:,.1f} s ago",
        soft_wrap=True,
    )
    out.print(f"  fee payer {actor.fee_payer}: {sol}", soft_wrap=True)
    if actor.note is not None:
        out.print(f"  [yellow]{escape(actor.note)}[/]", soft_wrap=True)


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
