"""The director gives slots to hosts: at the start, and at once when a host dies.

It holds a stream to each host, as gateways do: the kernel closes it the moment that a host's process ends. It decides
nothing itself (``domain.placement`` does) and keeps nothing: the directory has it all, so it can die at any time.
"""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from actors.router import LooksUpHosts
from actors.stream import GatewayStream, HandshakeFailed, open_stream
from domain.placement import plan
from persistence.directory import HostAddress
from persistence.errors import StoreError

log = structlog.get_logger()

LOOK_EVERY_S = 0.5
# At the start wait so long for all hosts before giving slots to those that are there.
GATHER_S = 5.0


class ControlFailed(Exception):
    """A host could not be told, or did not do what it was told."""


class ControlsHosts(Protocol):
    """The way to command a host."""

    async def take(self, host_id: str, slots: Sequence[int]) -> None:
        """Make the host keep these slots. Raises ControlFailed."""


class Director:
    """``run`` until cancelled. ``placed`` is set while every slot has a living keeper."""

    def __init__(
        self, directory: LooksUpHosts, control: ControlsHosts, secret: bytes, *, slots_total: int,
        host_ids: Sequence[str], active_wanted: int, say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._directory = directory
        self._control = control
        self._secret = secret
        self._slots_total = slots_total
        self._host_ids = frozenset(host_ids)
        self._active_wanted = active_wanted
        self._say = say
        self._streams: dict[str, tuple[int, GatewayStream]] = {}
        self._missing_since = dict.fromkeys(host_ids, time.monotonic())
        self._gather_until = 0.0
        self._ever_placed = False
        self._wake = asyncio.Event()
        self.placed = asyncio.Event()

    async def run(self) -> None:
        """Watch and place, for ever."""
        self._gather_until = time.monotonic() + GATHER_S
        while True:
            try:
                await self._look()
            except StoreError as error:
                log.warning("directory_unavailable", error=str(error))
            except ControlFailed as error:
                log.warning("host_not_told", error=str(error))
            # Not wait_for: before Python 3.12 it can swallow being cancelled.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._wake.wait()
            self._wake.clear()

    def missing_for_s(self) -> float:
        """How long the longest missing host has been away, 0 when all are there."""
        now = time.monotonic()
        return max((now - since for since in self._missing_since.values()), default=0.0)

    async def _look(self) -> None:
        hosts = {h.host_id: h for h in await self._directory.hosts() if h.host_id in self._host_ids}
        await asyncio.gather(*(self._connect(host) for host in hosts.values() if not self._connected(host)))
        living = [host for host in hosts.values() if self._connected(host)]
        if not self._ever_placed and self._missing_since and time.monotonic() < self._gather_until:
            return
        owners: dict[int, str | None] = dict.fromkeys(range(self._slots_total))
        for host in living:
            owners |= dict.fromkeys((slot for slot in host.slots if slot < self._slots_total), host.host_id)
        moves = defaultdict(list)
        for slot, host_id in plan(owners, [host.host_id for host in living], self._active_wanted).items():
            moves[host_id].append(slot)
        for host_id, slots in moves.items():
            await self._control.take(host_id, slots)
            if self._ever_placed:
                self._say(f"{host_id} has taken over {len(slots)} slots")
        if living:
            self._ever_placed = True
            self.placed.set()

    def _connected(self, host: HostAddress) -> bool:
        known = self._streams.get(host.host_id)
        return known is not None and known[0] == host.incarnation

    async def _connect(self, host: HostAddress) -> None:
        def lost() -> None:
            known = self._streams.get(host.host_id)
            if known is not None and known[0] == host.incarnation:
                del self._streams[host.host_id]
                self._missing_since[host.host_id] = time.monotonic()
                self.placed.clear()
                self._say(f"{host.host_id} died; Ray starts it again")
                self._wake.set()

        try:
            stream = await open_stream(host.address, host.port, self._secret, lambda answers: None, lost)
        except (OSError, TimeoutError, HandshakeFailed) as error:
            log.debug("host_unreachable", host=host.host_id, error=str(error))
            return
        self._streams[host.host_id] = (host.incarnation, stream)
        self._missing_since.pop(host.host_id, None)
        if self._ever_placed:
            self._say(f"{host.host_id} serves again")
