"""All sockets of one gateway: their limit, the making of sessions, and draining."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from domain.errors import OVERLOADED, RATE_LIMITED
from gateway.fanout.hub import Hub
from gateway.http.address_limit import AddressLimit
from gateway.identity.credentials import Credentials
from gateway.identity.sessions.activity import SessionActivity
from gateway.identity.tokens import TokenIssuer
from gateway.limits.leases import Leases
from gateway.websocket.admission import Admission
from gateway.websocket.connection import NO_CLIENT, Connection, Routes, SessionLimits, SocketClient
from gateway.websocket.operations.operation import OperationTable
from gateway.websocket.session import Session
from gateway.websocket.traffic import Traffic
from gateway.wire.codec import Codec
from persistence.identity.access_changes import AccessChange

DRAIN_WITHIN_S = 2.0


class SocketTotals(NamedTuple):
    """Sums over all open sockets."""

    sockets: int
    subscriptions: int
    behind: int
    unsent_bytes: int


class Sockets:
    """Makes sessions and holds the open ones."""

    def __init__(
        self, operations: OperationTable, router: Routes, hub: Hub, tokens: TokenIssuer, limits: SessionLimits,
        admission: Admission, traffic: Traffic, sockets_max: int, by_address: AddressLimit, now_ms: Callable[[], int],
        services: Any = None, leases: Leases | None = None, activity: SessionActivity | None = None,
        origins: Sequence[str] = (), credentials: Credentials | None = None,
    ) -> None:  # fmt: skip
        """``origins``: whose pages may use the cookies of a handshake, beside the gateway's own."""
        self.origins = origins
        self._activity = activity
        self.operations = operations
        self._router = router
        self._hub = hub
        self._tokens = tokens
        self.limits = limits
        self.admission = admission
        self.traffic = traffic
        self._max = sockets_max
        self._by_address = by_address
        self._now_ms = now_ms
        self._services = services
        self._leases = leases
        self._credentials = credentials
        if credentials is not None:
            credentials.changes.changed.append(self._access_changed)
        self._open: set[Session] = set()
        self._draining = False
        self._none_left = asyncio.Event()

    def __len__(self) -> int:
        return len(self._open)

    def totals(self) -> SocketTotals:
        """Computed on each call: some microseconds for each socket."""
        subscriptions = behind = unsent_bytes = 0
        for session in self._open:
            subscriptions += session.subscriptions
            behind += session.behind
            unsent_bytes += session.unsent_bytes
        return SocketTotals(len(self._open), subscriptions, behind, unsent_bytes)

    def acquire(self, address: str | None) -> str | None:
        """Count one more client of this address; returns the error's code if there is no room, and counts that."""
        if self._draining or len(self._open) >= self._max:
            self.traffic.rejected += 1
            return OVERLOADED
        if not self._by_address.acquire(address):
            self.traffic.rejected += 1
            return RATE_LIMITED
        return None

    def release(self, address: str | None) -> None:
        """Count one client less of this address."""
        self._by_address.release(address)

    def open(self, connection: Connection, codec: Codec, client: SocketClient = NO_CLIENT) -> Session:
        """A session for a new socket."""
        session = Session(
            connection,
            codec,
            self.operations,
            self._router,
            self._hub,
            self._tokens,
            self.limits,
            self.admission,
            self.traffic,
            self._now_ms,
            self._services,
            self._leases,
            client,
            self._activity,
            self._credentials,
        )
        self._open.add(session)
        return session

    def closed(self, session: Session) -> None:
        """Remove a closed socket."""
        session.closed()
        self._open.discard(session)
        if not self._open:
            self._none_left.set()

    def _access_changed(self, _changes: Sequence[AccessChange]) -> None:
        for session in list(self._open):
            session.access_changed()

    async def drain(self) -> None:
        """Accept no more, close all with 1012 (restarting), and wait a little for them to go."""
        self._draining = True
        for session in list(self._open):
            session.restart()
        if self._open:
            self._none_left.clear()
            try:
                async with asyncio.timeout(DRAIN_WITHIN_S):
                    await self._none_left.wait()
            except TimeoutError:
                return
