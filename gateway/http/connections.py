"""All client connections of one gateway: their number, deadlines, and counts of dropped connections.

A connection waits while its next request has not arrived as a whole. Waiting connections are dropped after a deadline,
when there is no room for a new one, and when unfinished requests use too much memory. Those that wait longest are
dropped first, so a client that sends its request without delay is served during an attack.
"""

import asyncio
import errno
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from gateway.http.address_limit import AddressLimit

SWEEP_EVERY_S = 0.25
REPORT_EVERY_S = 10.0

# Why connections are refused or dropped: values of the label of ece_connections_dropped_total.
FULL, ADDRESS, DISPLACED, MEMORY = "full", "address", "displaced", "memory"
SILENT, LATE, UNREAD, HEADERS, MALFORMED = "silent", "late", "unread", "headers", "malformed"
DROP_REASONS = (FULL, ADDRESS, DISPLACED, MEMORY, SILENT, LATE, UNREAD, HEADERS, MALFORMED)

log = structlog.get_logger(__name__)


SOCKETS_MAX = 10_000
# The default number of connections in addition to those of WebSockets.
CONNECTIONS_WITHOUT_SOCKETS = 4_096
CONNECTIONS_PER_ADDRESS_MAX = 2_000


@dataclass(frozen=True)
class ConnectionLimits:
    """Bounds of a gateway's connections; see docs/architecture.md, Bounds."""

    connections_max: int = SOCKETS_MAX + CONNECTIONS_WITHOUT_SOCKETS
    head_bytes_max: int = 65_536
    unfinished_bytes_max: int = 67_108_864
    request_timeout_s: float = 10.0
    response_timeout_s: float = 20.0


class Connection(Protocol):
    """A connection that is counted, and may be ended."""

    def expire(self) -> None:
        """End it, since its request did not arrive in time."""

    def end(self, reason: str) -> None:
        """Close; with an error response if the client waits for one."""


@dataclass
class Connections:
    """Shared by all connections of a gateway."""

    limits: ConnectionLimits = field(default_factory=ConnectionLimits)
    by_address: AddressLimit = field(default_factory=lambda: AddressLimit(CONNECTIONS_PER_ADDRESS_MAX))
    open: int = 0
    unfinished_bytes: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    # Those that wait, the longest first, with the time (of the loop's clock) since when.
    _waiting: dict[Connection, float] = field(default_factory=dict)
    _sweeping: asyncio.Task[None] | None = None
    _reported: Counter[str] = field(default_factory=Counter)
    _reported_s: float = -REPORT_EVERY_S
    _files_short: bool = False

    @property
    def waiting(self) -> int:
        """The number of connections that wait for a request."""
        return len(self._waiting)

    def admit(self, connection: Connection, address: str | None) -> str | None:
        """Count a new connection, which waits from now on. Returns the reason if there is no room for it."""
        if not self.by_address.acquire(address):
            self.dropped[ADDRESS] += 1
            return ADDRESS
        if self.open >= self.limits.connections_max and not self._drop_oldest(DISPLACED):
            self.by_address.release(address)
            self.dropped[FULL] += 1
            return FULL
        self.open += 1
        self.wait(connection)
        return None

    def leave(self, connection: Connection, address: str | None) -> None:
        """Remove an admitted connection, which was closed."""
        self.open -= 1
        self.by_address.release(address)
        self._waiting.pop(connection, None)

    def wait(self, connection: Connection) -> None:
        """The connection waits for a request, which has a deadline."""
        self._waiting.pop(connection, None)
        self._waiting[connection] = asyncio.get_running_loop().time()

    def serve(self, connection: Connection) -> None:
        """The request of this connection has arrived."""
        self._waiting.pop(connection, None)

    def hold(self, size: int) -> None:
        """Count bytes of unfinished requests; beyond the limit the oldest are dropped."""
        self.unfinished_bytes += size
        while self.unfinished_bytes > self.limits.unfinished_bytes_max and self._drop_oldest(MEMORY):
            pass

    def drop(self, connection: Connection, reason: str) -> None:
        """End a connection, and count it."""
        self._waiting.pop(connection, None)
        self.dropped[reason] += 1
        connection.end(reason)

    def _drop_oldest(self, reason: str) -> bool:
        oldest = next(iter(self._waiting), None)
        if oldest is None:
            return False
        self.drop(oldest, reason)
        return True

    # -- deadlines

    def start(self) -> None:
        """Start to enforce deadlines."""
        self._sweeping = asyncio.create_task(self._sweep_for_ever(), name="connection deadlines")

    async def stop(self) -> None:
        """Stop to enforce deadlines."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            try:
                self.sweep(asyncio.get_running_loop().time())
                self._look_at_files()
                self._report(time.monotonic())
            except Exception:
                # Without deadlines, idle connections could use up the gateway.
                log.exception("connection_sweep_failed")

    def sweep(self, now_s: float) -> None:
        """Drop the connections whose deadline has passed."""
        while self._waiting:
            oldest, since_s = next(iter(self._waiting.items()))
            if now_s - since_s < self.limits.request_timeout_s:
                return
            del self._waiting[oldest]
            oldest.expire()

    def _look_at_files(self) -> None:
        """Log when no file can be opened: the kernel then refuses new connections without an error in this process."""
        try:
            os.close(os.open(os.devnull, os.O_RDONLY))
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            if not self._files_short:
                log.error("file_descriptors_exhausted", connections=self.open, error=str(error))
            self._files_short = True
        else:
            if self._files_short:
                log.warning("file_descriptors_available_again", connections=self.open)
            self._files_short = False

    def _report(self, now_s: float) -> None:
        """Log one line for all connections dropped since the last one."""
        if self.dropped == self._reported or now_s - self._reported_s < REPORT_EVERY_S:
            return
        log.warning(
            "connections_dropped",
            open=self.open,
            connections_max=self.limits.connections_max,
            **(self.dropped - self._reported),
        )
        self._reported, self._reported_s = self.dropped.copy(), now_s
