"""All client connections of one gateway: how many there may be, how long each may take, and what was cut off.

A connection waits while its next request has not arrived as a whole. Waiting costs a client nothing, so connections
that wait are what gives way: after a deadline, when a newcomer finds no room, and when unfinished requests hold too
much memory. Those that wait longest go first, so a client that sends its request at once is served during an attack.
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

# Why connections are refused or cut off: values of the label of ece_connections_dropped_total.
FULL, ADDRESS, DISPLACED, MEMORY = "full", "address", "displaced", "memory"
SILENT, LATE, UNREAD, HEADERS, MALFORMED = "silent", "late", "unread", "headers", "malformed"
DROP_REASONS = (FULL, ADDRESS, DISPLACED, MEMORY, SILENT, LATE, UNREAD, HEADERS, MALFORMED)

log = structlog.get_logger(__name__)


SOCKETS_MAX = 10_000
# By default there may be so many connections that are no WebSockets.
CONNECTIONS_BESIDE_SOCKETS = 4_096
CONNECTIONS_PER_ADDRESS_MAX = 2_000


@dataclass(frozen=True)
class ConnectionLimits:
    """Bounds of a gateway's connections; see docs/architecture.md, Bounds."""

    connections_max: int = SOCKETS_MAX + CONNECTIONS_BESIDE_SOCKETS
    head_bytes_max: int = 65_536
    unfinished_bytes_max: int = 67_108_864
    request_timeout_s: float = 10.0
    response_timeout_s: float = 20.0


class Connection(Protocol):
    """What is counted here, and ended."""

    def expire(self) -> None:
        """Its request did not arrive in time."""

    def end(self, reason: str) -> None:
        """Say why where a client waits for an answer, and close."""


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
        """How many wait for a request."""
        return len(self._waiting)

    def admit(self, connection: Connection, address: str | None) -> str | None:
        """Count a new connection, which waits from now on. The reason where there is no room for it."""
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
        """An admitted connection is gone."""
        self.open -= 1
        self.by_address.release(address)
        self._waiting.pop(connection, None)

    def wait(self, connection: Connection) -> None:
        """From now on this connection has the request's deadline to send one."""
        self._waiting.pop(connection, None)
        self._waiting[connection] = asyncio.get_running_loop().time()

    def serve(self, connection: Connection) -> None:
        """Its request is here."""
        self._waiting.pop(connection, None)

    def hold(self, size: int) -> None:
        """Unfinished requests hold so many bytes more; the oldest go where that is too much."""
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
        """Begin to enforce deadlines."""
        self._sweeping = asyncio.create_task(self._sweep_for_ever(), name="connection deadlines")

    async def stop(self) -> None:
        """No deadlines from now on."""
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
                # Without deadlines anybody could fill the gateway.
                log.exception("connection_sweep_failed")

    def sweep(self, now_s: float) -> None:
        """Drop what has waited too long."""
        while self._waiting:
            oldest, since_s = next(iter(self._waiting.items()))
            if now_s - since_s < self.limits.request_timeout_s:
                return
            del self._waiting[oldest]
            oldest.expire()

    def _look_at_files(self) -> None:
        """Say so when no file can be opened: new clients are cut off by the kernel's refusal, without an error here."""
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
        """One line for what was dropped since the last one, not one a connection."""
        if self.dropped == self._reported or now_s - self._reported_s < REPORT_EVERY_S:
            return
        log.warning(
            "connections_dropped",
            open=self.open,
            connections_max=self.limits.connections_max,
            **(self.dropped - self._reported),
        )
        self._reported, self._reported_s = self.dropped.copy(), now_s
