"""Authenticated sockets of many bidders, at most so many open at once: opened when first needed, the idlest closed."""

import asyncio
import resource
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from bench.wire.client import WireClient

SOCKETS_MAX = 800
# Files that the process needs besides: pipes, databases, REST connections, logs.
OTHER_FILES = 200
CONNECTING_MAX = 64

Connect = Callable[[str], Awaitable[WireClient]]


def sockets_allowed(wanted: int = SOCKETS_MAX) -> int:
    """How many sockets this process may hold open: `wanted`, or what the limit on open files leaves."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        raised = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        soft = raised
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - OTHER_FILES))


class SocketPool:
    """One socket a bidder. A bidder in use (`lease`) is never closed; the least recently used idle one is."""

    def __init__(self, connect: Connect, sockets_max: int) -> None:
        self._connect = connect
        self._sockets_max = sockets_max
        self._open: OrderedDict[str, WireClient] = OrderedDict()
        self._users: dict[str, int] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._connecting = asyncio.Semaphore(CONNECTING_MAX)
        self.opened = 0

    @asynccontextmanager
    async def lease(self, bidder: str) -> AsyncIterator[Callable[[], Awaitable[WireClient]]]:
        """While it lasts the bidder's socket stays; gives a `dial` that returns it, reconnected when it was lost."""
        self._users[bidder] = self._users.get(bidder, 0) + 1
        try:
            yield lambda: self._live(bidder)
        finally:
            self._users[bidder] -= 1
            if not self._users[bidder]:
                del self._users[bidder]

    async def _live(self, bidder: str) -> WireClient:
        client = self._open.get(bidder)
        if client is not None and client.closed is None:
            self._open.move_to_end(bidder)
            return client
        async with self._locks.setdefault(bidder, asyncio.Lock()):
            client = self._open.get(bidder)
            if client is None or client.closed is not None:
                self._close_the_idlest()
                async with self._connecting:
                    client = await self._connect(bidder)
                self._open[bidder] = client
                self.opened += 1
            self._open.move_to_end(bidder)
            return client

    def _close_the_idlest(self) -> None:
        while len(self._open) >= self._sockets_max:
            idle = next((name for name in self._open if name not in self._users), None)
            if idle is None:
                return
            self._open.pop(idle).close()
            self._locks.pop(idle, None)

    async def close(self) -> None:
        """Close every socket and wait until they are."""
        clients = list(self._open.values())
        self._open.clear()
        for client in clients:
            client.close()
        # A socket that ended badly has ended too.
        await asyncio.gather(*(client.wait_closed() for client in clients), return_exceptions=True)
