"""Membership: which hosts live, on which nodes, and what they own.

The monitor holds a stream to each host, as gateways do: the kernel closes it when the host's process ends. A process
that was stopped, or starves, keeps its streams, but its heartbeat in the directory does not advance.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from actors.hosting.load_report import LoadReport, load_report_of
from actors.placement.control import Node
from actors.stream.connection import GatewayStream, HandshakeFailed, open_stream
from domain.placement.rules import PlacedHost
from persistence.placement.directory import HostAddress

log = structlog.get_logger()

# Six heartbeats.
STALLED_AFTER_S = 3.0
# If two rounds are further apart, silence of hosts does not count: the database or this process was stopped.
BLIND_AFTER_S = 1.5
SHARED_PREFIX = "host-"
DEDICATED_PREFIX = "dedicated-"


class ReadsDirectory(Protocol):
    """Reads the directory; may raise StoreError."""

    async def hosts(self) -> list[HostAddress]: ...

    async def dedicated(self) -> dict[int, str | None]: ...

    async def remove_host(self, host_id: str) -> bool: ...


@dataclass(frozen=True)
class View:
    """Membership at one time. ``owners`` has every slot with its host, alive or not; ``dedicated_owners`` has every
    entity with a dedicated host, and this host.

    ``registered`` are the hosts in the directory that live or may come back, ``living`` those that live.
    """

    nodes: Mapping[str, Node]
    living: Mapping[str, HostAddress]
    registered: Mapping[str, HostAddress]
    owners: Mapping[int, str | None]
    dedicated_owners: Mapping[int, str | None]
    reports: Mapping[str, LoadReport] = field(default_factory=dict)

    @property
    def shared(self) -> list[PlacedHost]:
        """The living shared hosts."""
        return [PlacedHost(h.host_id, h.node) for h in self.living.values() if h.host_id.startswith(SHARED_PREFIX)]

    @property
    def dedicated(self) -> list[HostAddress]:
        """The living dedicated hosts."""
        return [h for h in self.living.values() if h.host_id.startswith(DEDICATED_PREFIX)]

    @property
    def all_placed(self) -> bool:
        """Whether everything has a living owner."""
        all_owners = (*self.owners.values(), *self.dedicated_owners.values())
        return all(owner in self.living for owner in all_owners)


class MembershipMonitor:
    """Makes views. ``changed`` is called, with a message, when a host joins or dies between two rounds."""

    def __init__(
        self, directory: ReadsDirectory, secret: bytes, slots_total: int, changed: Callable[[str], None],
        steady: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._directory = directory
        self._secret = secret
        self._slots_total = slots_total
        self._changed = changed
        self._steady = steady
        self._streams: dict[str, tuple[int, GatewayStream]] = {}
        # By host and incarnation: attempts to connect that are under way, and the hosts whose last one took too long.
        self._connecting: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._hanging: set[tuple[str, int]] = set()
        self._heartbeats: dict[str, tuple[int, int, float]] = {}
        self._looked_at: float | None = None
        self._stalled: set[str] = set()

    async def look(self, nodes: Sequence[Node], known: frozenset[str]) -> View:
        """Read the directory, and connect to hosts that are not connected. Raises StoreError.

        A host that is neither connected nor ``known`` is left over from an earlier cluster and will not come back.
        """
        rows = await self._directory.hosts()
        dedicated = await self._directory.dedicated()
        by_node = {node.node_id: node for node in nodes}
        here = [h for h in rows if h.node in by_node]
        self._hanging &= {(h.host_id, h.incarnation) for h in here}
        if attempts := [task for h in here if not self._connected(h) and (task := self._connect_soon(h)) is not None]:
            await asyncio.wait(attempts)
        registered = {h.host_id: h for h in here if h.host_id in known or self._connected(h)}
        self._note_heartbeats(registered)
        living = {h.host_id: h for h in registered.values() if self._connected(h) and h.host_id not in self._stalled}
        owners: dict[int, str | None] = dict.fromkeys(range(self._slots_total))
        for host in rows:
            owners |= dict.fromkeys((slot for slot in host.slots if slot < self._slots_total), host.host_id)
        reports = {host_id: load_report_of(host.load_report) for host_id, host in living.items()}
        return View(by_node, living, registered, owners, dedicated, reports)

    def close(self) -> None:
        """Close all streams."""
        for task in self._connecting.values():
            task.cancel()
        streams, self._streams = self._streams, {}
        for _, stream in streams.values():
            if stream.transport is not None:
                stream.transport.abort()

    def _note_heartbeats(self, registered: Mapping[str, HostAddress]) -> None:
        """Find hosts without heartbeats while others have them; if none has any, the database is down."""
        now = self._steady()
        blind = self._looked_at is None or now - self._looked_at > BLIND_AFTER_S
        self._looked_at = now
        any_heartbeat = False
        for host in registered.values():
            known = self._heartbeats.get(host.host_id)
            beat = (host.incarnation, host.alive_at)
            if known is None or known[:2] != beat:
                any_heartbeat = True
                self._heartbeats[host.host_id] = (*beat, now)
        if blind or not any_heartbeat:
            # Silence does not count for the time in which no heartbeat could be read.
            self._heartbeats = (
                {host_id: (i, at, now) for host_id, (i, at, _) in self._heartbeats.items()}
                if blind
                else self._heartbeats
            )
            return
        for host in registered.values():
            silent_s = now - self._heartbeats[host.host_id][2]
            if silent_s <= STALLED_AFTER_S:
                self._stalled.discard(host.host_id)
            elif host.host_id not in self._stalled and self._connected(host):
                self._stalled.add(host.host_id)
                self._changed(f"{host.host_id} lives but has been silent for {silent_s:.1f} s")

    def _connected(self, host: HostAddress) -> bool:
        known = self._streams.get(host.host_id)
        return known is not None and known[0] == host.incarnation

    def _connect_soon(self, host: HostAddress) -> "asyncio.Task[None] | None":
        """Begin to connect. None: no round waits for it, since this host has not answered before.

        Otherwise a host that was stopped would delay all that is done for the others.
        """
        key = (host.host_id, host.incarnation)
        task = self._connecting.get(key)
        if task is None:
            task = self._connecting[key] = asyncio.create_task(self._connect(host), name=f"connect-{host.host_id}")
            task.add_done_callback(lambda _: self._connecting.pop(key, None))
        return None if key in self._hanging else task

    async def _connect(self, host: HostAddress) -> None:
        def lost() -> None:
            known = self._streams.get(host.host_id)
            if known is not None and known[0] == host.incarnation:
                del self._streams[host.host_id]
                self._changed(f"{host.host_id} died")

        try:
            stream = await open_stream(host.address, host.port, self._secret, lambda answers: None, lost)
        except (OSError, TimeoutError, HandshakeFailed) as error:
            log.debug("host_unreachable", host=host.host_id, error=str(error))
            if isinstance(error, TimeoutError):
                self._hanging.add((host.host_id, host.incarnation))
            return
        self._hanging.discard((host.host_id, host.incarnation))
        known = self._streams.get(host.host_id)
        if known is not None and known[0] > host.incarnation and stream.transport is not None:
            # It answered late, and its next incarnation is connected.
            stream.transport.abort()
            return
        self._streams[host.host_id] = (host.incarnation, stream)
        self._heartbeats.pop(host.host_id, None)
        self._stalled.discard(host.host_id)
