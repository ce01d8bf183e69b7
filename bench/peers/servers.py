"""The peers by name, and how each is started."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from bench.definition import Context
from bench.engine import LIFTED_LIMITS
from bench.loads.processes import python_module
from bench.peers.engine_stack import EngineStack
from bench.peers.node_packages import installed, node
from bench.peers.stack import EchoStack, PeerStack, Stack, serving
from bench.peers.tables import new_tables

Start = Callable[[Context], AbstractAsyncContextManager[Stack]]


@dataclass(frozen=True)
class Peer:
    """`about` is for people; the server that `start` starts ends with the block."""

    about: str
    start: Start


@asynccontextmanager
async def engine(context: Context, bid_holds: str = "on") -> AsyncIterator[Stack]:
    """This engine; with `off` it reserves no funds for bids."""
    async with context.engine({**LIFTED_LIMITS, "bid_holds": bid_holds}) as own:
        yield EngineStack(own, own.database_url)


@asynccontextmanager
async def _node(store: str, context: Context) -> AsyncIterator[Stack]:
    folder = await installed(context.progress)
    async with (
        context.database() as url,
        new_tables(url) as tables,
        serving([str(node()), "server.js", store, url], cwd=folder) as server,
    ):
        yield PeerStack(server, "socket.io", url, tables)


@asynccontextmanager
async def _row_lock(context: Context) -> AsyncIterator[Stack]:
    async with (
        context.database() as url,
        new_tables(url) as tables,
        serving([*python_module("bench.peers.row_lock"), url]) as server,
    ):
        yield PeerStack(server, "ece", url, tables)


@asynccontextmanager
async def _echo(_context: Context) -> AsyncIterator[Stack]:
    async with serving(python_module("bench.peers.echo")) as server:
        yield EchoStack(server)


PEERS: Mapping[str, Peer] = {
    "prisma": Peer("Express, Socket.io, Prisma: a transaction with FOR UPDATE", partial(_node, "prisma")),
    "pg": Peer("Express, Socket.io, node-postgres: the same transaction", partial(_node, "pg")),
    "one-statement": Peer("Express, Socket.io, node-postgres: one statement a bid", partial(_node, "one-statement")),
    "row-lock": Peer("uvicorn, asyncpg: a transaction with FOR UPDATE", _row_lock),
    "echo": Peer("uvicorn: a bare echo, nothing decided or stored", _echo),
    "uncovered": Peer("this engine with ECE_BID_HOLDS=off", partial(engine, bid_holds="off")),
}
