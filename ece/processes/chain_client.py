"""The client of the chain, for the time of a process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from actors.minting.chain_access import pin_in
from chain.rpc.client import ChainRpc
from ece.settings import Settings, revealed


@asynccontextmanager
async def chain_client(settings: Settings) -> AsyncIterator[ChainRpc | None]:
    """A client of the chain; None without a chain."""
    if not settings.rpc_urls:
        yield None
        return
    rpc = ChainRpc(settings.rpc_urls, pin=pin_in(revealed(settings.database_url)))
    await rpc.start()
    try:
        yield rpc
    finally:
        await rpc.stop()
