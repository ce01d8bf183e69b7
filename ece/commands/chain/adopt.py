"""`ece chain adopt`: have the database belong to another chain."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from chain.rpc.client import ChainRpc
from chain.rpc.errors import ChainError
from chain.rpc.limits import RpcLimits
from ece.commands.chain.endpoints import rpc_urls_of
from ece.engine.running import database_of
from ece.failure import Failure
from ece.settings import Settings, load_settings
from ece.supervisor.chain import shown_url
from persistence.chain.genesis import ChainGenesis
from persistence.postgres.errors import StoreError
from persistence.postgres.pool import close_pool, open_pool

LIMITS = RpcLimits(request_s=3.0, call_s=5.0)


def adopt(
    yes: Annotated[bool, typer.Option("--yes", help="Do it without a question.")] = False,
) -> None:
    """Have this database belong to the chain of the RPC servers.

    A database belongs to the first chain that was used with it, and another
    one is refused. Only use this if the chain before does not exist any more.
    All RPC servers have to answer, and to belong to one chain. Jobs that were
    signed are signed again. Cards that were minted on the chain before stay
    recorded: ece chain audit lists them. Restart the engine afterwards.

    Example: scripts/ece chain adopt
    """
    settings, out = load_settings(), Console(highlight=False)
    try:
        asyncio.run(_adopt(settings, out, yes))
    except StoreError as error:
        raise Failure(f"The database can't be read: {error}") from error


async def _adopt(settings: Settings, out: Console, yes: bool) -> None:
    async with database_of(settings, Console(stderr=True, highlight=False)) as database_url:
        genesis = await common_genesis(rpc_urls_of(settings))
        pool = await open_pool(database_url, size_max=1)
        try:
            store = ChainGenesis(pool)
            known = await store.known()
            if known is None or known == genesis:
                out.print(f"Nothing to do: the RPC servers have genesis {genesis}, the database {known or 'none yet'}.")
                return
            out.print(f"The database belongs to the chain {known}.", soft_wrap=True)
            out.print(f"The RPC servers belong to the chain {genesis}.", soft_wrap=True)
            if not yes:
                await asyncio.to_thread(typer.confirm, "Does the first one not exist any more?", abort=True)
            adopted = await store.adopt(genesis)
        finally:
            await close_pool(pool)
    if adopted is not None:
        queued, minted = adopted
        out.print(f"Done. {queued:,} jobs will be signed again; {minted:,} cards were minted on the chain before.")
        out.print("Restart the engine.")


async def common_genesis(urls: list[str]) -> str:
    """What all of these servers say. Raises Failure."""
    found: dict[str, str] = {}
    for url in urls:
        rpc = ChainRpc([url], LIMITS)
        await rpc.start()
        try:
            found[shown_url(url)] = await rpc.genesis_hash()
        except ChainError as error:
            raise Failure(f"{escape(shown_url(url))} does not answer: {error}") from error
        finally:
            await rpc.stop()
    if len(set(found.values())) != 1:
        chains = ", ".join(f"{name}: {genesis}" for name, genesis in found.items())
        raise Failure(f"The RPC servers belong to several chains ({chains}): correct ECE_SOLANA_RPC_URL.")
    return next(iter(found.values()))
