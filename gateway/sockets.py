"""All sockets of one gateway: how many there may be, what a session needs, and draining."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from gateway.admission import Admission
from gateway.frames import Codec
from gateway.hub import Hub
from gateway.identity.tokens import TokenIssuer
from gateway.session import Session, SessionLimits
from gateway.session_protocols import Connection, Routes
from gateway.traffic import Traffic

DRAIN_WITHIN_S = 2.0


class Standing(NamedTuple):
    """What the open sockets have, all together."""

    sockets: int
    subscriptions: int
    behind: int
    unsent_bytes: int


class Sockets:
    """Makes sessions and knows the open ones."""

    def __init__(
        self, router: Routes, hub: Hub, tokens: TokenIssuer, limits: SessionLimits, admission: Admission,
        traffic: Traffic, sockets_max: int, now_ms: Callable[[], int],
    ) -> None:  # fmt: skip
        self._router = router
        self._hub = hub
        self._tokens = tokens
        self.limits = limits
        self.admission = admission
        self.traffic = traffic
        self._max = sockets_max
        self._now_ms = now_ms
        self._open: set[Session] = set()
        self._draining = False
        self._none_left = asyncio.Event()

    def __len__(self) -> int:
        return len(self._open)

    def standing(self) -> Standing:
        """Looked up when asked for: some microseconds for each socket."""
        subscriptions = behind = unsent_bytes = 0
        for session in self._open:
            subscriptions += session.subscriptions
            behind += session.behind
            unsent_bytes += session.unsent_bytes
        return Standing(len(self._open), subscriptions, behind, unsent_bytes)

    def may_open(self) -> bool:
        """Whether one more client may come; one that may not is counted."""
        may = not self._draining and len(self._open) < self._max
        self.traffic.turned_away += not may
        return may

    def open(self, connection: Connection, codec: Codec) -> Session:
        """A session for a new socket."""
        session = Session(
            connection,
            codec,
            self._router,
            self._hub,
            self._tokens,
            self.limits,
            self.admission,
            self.traffic,
            self._now_ms,
        )
        self._open.add(session)
        return session

    def closed(self, session: Session) -> None:
        """The socket is gone."""
        session.closed()
        self._open.discard(session)
        if not self._open:
            self._none_left.set()

    async def drain(self) -> None:
        """Let no one in, tell all to come back (1012), and wait a little for them to go."""
        self._draining = True
        for session in list(self._open):
            session.restart()
        if self._open:
            self._none_left.clear()
            try:
                await asyncio.wait_for(self._none_left.wait(), DRAIN_WITHIN_S)
            except TimeoutError:
                return
