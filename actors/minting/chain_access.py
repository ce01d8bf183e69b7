"""The chain as the pipeline needs it, over the RPC client."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog
from solders.signature import Signature

from actors.minting.ports import ChainFault, Final
from chain.rpc.client import ChainRpc
from chain.rpc.errors import AlreadyProcessed, ChainError, ChainUnavailable, TransactionRejected
from chain.rpc.failover import Pin
from domain.minting.landing import Seen
from persistence.chain.genesis import ChainGenesis
from persistence.postgres.errors import StoreError
from persistence.postgres.pool import close_pool, open_pool

log = structlog.get_logger()


@asynccontextmanager
async def asking() -> AsyncIterator[None]:
    """Errors of RPC as ChainFault."""
    try:
        yield
    except ChainError as error:
        raise ChainFault(f"{error.code}: {error}") from error


def pin_in(database_url: str) -> Pin:
    """The chain is the first one that was ever used with this database."""

    async def pin(genesis: str) -> str:
        try:
            pool = await open_pool(database_url, size_max=1)
            try:
                return await ChainGenesis(pool).pin(genesis)
            finally:
                await close_pool(pool)
        except StoreError as error:
            raise ChainUnavailable(f"which chain the database belongs to is unknown: {error}") from error

    return pin


class ChainAccess:
    """``actors.minting.ports.Chain``."""

    def __init__(self, rpc: ChainRpc) -> None:
        self._rpc = rpc

    async def final(self) -> Final:
        """Height before slot: what is in a block up to that height has a slot up to this one."""
        async with asking():
            height = await self._rpc.block_height("finalized")
            return Final(height, await self._rpc.slot("finalized"))

    async def send(self, raw: bytes) -> None:
        """An endpoint that rejects the bytes is not the chain: only the height ends a transaction."""
        try:
            await self._rpc.send(raw)
        except AlreadyProcessed:
            return
        except TransactionRejected as rejected:
            log.warning("transaction_rejected", error=str(rejected))
        except ChainError as error:
            raise ChainFault(f"{error.code}: {error}") from error

    async def seen(self, signatures: Sequence[str], *, search_history: bool = False) -> list[Seen | None]:
        """A status without an outcome that is final can change."""
        wanted = [Signature.from_string(one) for one in signatures]
        async with asking():
            found = await self._rpc.statuses(wanted, search_history=search_history)
        return [
            None
            if one is None
            else Seen(one.slot, None if one.error is None else str(one.error), one.commitment == "finalized")
            for one in found
        ]
