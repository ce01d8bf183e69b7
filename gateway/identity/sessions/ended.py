"""Sessions that have ended: each gateway knows those whose access tokens could still be good.

Redis tells at once; PostgreSQL, where every end is, is read at the start, after each reconnection to Redis, and twice
a second: so an end is known everywhere within a second also while Redis is away, or silent.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

import structlog

from gateway.identity.tokens import CLOCK_SKEW_S
from persistence.identity.sessions import LATE_COMMIT_MS
from persistence.postgres.errors import StoreError
from persistence.redis.announcements import Listener

# The oldest are forgotten first.
ENDED_MAX = 200_000
POLL_S = 0.5
# Ends that come in this time close their sockets together: each pass looks at all sockets.
GATHER_S = 0.05
IDS_IN_MESSAGE_MAX = 100

log = structlog.get_logger(__name__)


class EndedStore(Protocol):
    """``persistence.identity.sessions.SessionStore``."""

    async def ended_since(self, at_ms: int) -> list[tuple[str, int]]: ...


class EndedSessions:
    """The ids of ended sessions (``in``). ``start`` follows PostgreSQL and Redis until ``stop``."""

    def __init__(self, store: EndedStore, listener: Listener, now_ms: Callable[[], int], token_ttl_s: int) -> None:
        self._store = store
        self._listener = listener
        self._now_ms = now_ms
        self._kept_ms = (token_ttl_s + CLOCK_SKEW_S) * 1000
        self._ended_at: dict[str, int] = {}
        self._read_until = 0
        self._fresh: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []
        # What closes the sockets of these sessions.
        self.on_ended: Callable[[frozenset[str]], None] | None = None

    def __contains__(self, session: object) -> bool:
        return session in self._ended_at

    def __len__(self) -> int:
        return len(self._ended_at)

    def add(self, sessions: Iterable[str], ended_at: int | None = None) -> None:
        """These sessions have ended: their tokens are refused from now on, their sockets closed in a moment."""
        at_ms = self._now_ms() if ended_at is None else ended_at
        new = [session for session in sessions if session not in self._ended_at]
        if not new:
            return
        self._ended_at.update(dict.fromkeys(new, at_ms))
        if not self._fresh:
            asyncio.get_running_loop().call_later(GATHER_S, self._close_sockets)
        self._fresh.update(new)
        while len(self._ended_at) > ENDED_MAX:
            del self._ended_at[next(iter(self._ended_at))]

    async def load(self) -> None:
        """Read all ends whose tokens could still be good. Raises StoreUnavailable."""
        self._read_until = 0
        await self._read()

    def start(self) -> None:
        """Follow what ends."""
        self._tasks = [
            asyncio.create_task(self._listen(), name="ended-sessions"),
            asyncio.create_task(self._poll(), name="ended-sessions-poll"),
        ]

    async def stop(self) -> None:
        """End it, and close the connection to Redis."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._listener.close()

    async def _listen(self) -> None:
        async for item in self._listener.messages():
            if item is None:
                # Connected: what was announced before is in PostgreSQL.
                await self._read_or_warn()
            else:
                self.add(item[1].decode(errors="replace").split(",")[:IDS_IN_MESSAGE_MAX])

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            await self._read_or_warn()

    async def _read_or_warn(self) -> None:
        try:
            await self._read()
        except StoreError as error:
            # Read again in a moment.
            log.warning("ended_sessions_not_read", error=str(error))

    async def _read(self) -> None:
        now_ms = self._now_ms()
        since = max(now_ms - self._kept_ms, self._read_until - LATE_COMMIT_MS)
        for session, ended_at in reversed(await self._store.ended_since(since)):
            self.add([session], ended_at)
        self._read_until = now_ms
        self._forget(now_ms - self._kept_ms)

    def _forget(self, before_ms: int) -> None:
        """Those whose tokens have expired; in the order in which they became known, that is nearly of their age."""
        for session in list(self._ended_at)[:IDS_IN_MESSAGE_MAX]:
            if self._ended_at[session] > before_ms:
                return
            del self._ended_at[session]

    def _close_sockets(self) -> None:
        ended, self._fresh = frozenset(self._fresh), set()
        if self.on_ended is not None:
            self.on_ended(ended)
