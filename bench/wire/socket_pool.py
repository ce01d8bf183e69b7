"""Clients of many bidders, at most so many open at once: opened when first needed, the idlest closed."""

import asyncio
import resource
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from ece_client import Client

SOCKETS_MAX = 800
# Files that the process needs besides: pipes, databases, REST connections, logs.
OTHER_FILES = 200
CONNECTING_MAX = 64

MakeClient = Callable[[str], Client]


def sockets_allowed(wanted: int = SOCKETS_MAX) -> int:
    """How many sockets this process may hold open: `wanted`, or what the limit on open files leaves."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        raised = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        soft = raised
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - OTHER_FILES))


class ClientPool:
    """One client a bidder. A bidder in use (`lease`) is never closed; the least recently used idle one is."""

    def __init__(self, make: MakeClient, sockets_max: int) -> None:
        self._make = make
        self._sockets_max = sockets_max
        self._open: OrderedDict[str, Client] = OrderedDict()
        self._users: dict[str, int] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._connecting = asyncio.Semaphore(CONNECTING_MAX)
        self._closed_connections = 0

    @property
    def opened(self) -> int:
        """How many connections were made so far."""
        return self._closed_connections + sum(client.session.connections for client in self._open.values())

    @asynccontextmanager
    async def lease(self, bidder: str) -> AsyncIterator[Client]:
        """The bidder's client, connected; it stays open while the block runs."""
        self._users[bidder] = self._users.get(bidder, 0) + 1
        try:
            yield await self._live(bidder)
        finally:
            self._users[bidder] -= 1
            if not self._users[bidder]:
                del self._users[bidder]

    async def _live(self, bidder: str) -> Client:
        async with self._locks.setdefault(bidder, asyncio.Lock()):
            client = self._open.get(bidder)
            if client is None:
                await self._close_the_idlest()
                client = self._open[bidder] = self._make(bidder)
                try:
                    async with self._connecting:
                        await client.connect()
                except BaseException:
                    del self._open[bidder]
                    raise
            self._open.move_to_end(bidder)
            return client

    async def _close_the_idlest(self) -> None:
        while len(self._open) >= self._sockets_max:
            idle = next((name for name in self._open if name not in self._users), None)
            if idle is None:
                return
            client = self._open.pop(idle)
            self._locks.pop(idle, None)
            await self._close(client)

    async def _close(self, client: Client) -> None:
        self._closed_connections += client.session.connections
        await client.close()

    async def close(self) -> None:
        """Close every client."""
        clients = list(self._open.values())
        self._open.clear()
        await asyncio.gather(*(self._close(client) for client in clients))
