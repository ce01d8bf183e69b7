"""The port through which the director controls hosts, and the limits of placement."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from actors.hosting.ownership.ownership import Assignment


@dataclass(frozen=True)
class Node:
    """A machine that hosts can run on."""

    node_id: str
    memory_bytes: int
    cores: int


class ControlFailed(Exception):
    """A host could not be reached, or did not do what was ordered."""


class ControlsHosts(Protocol):
    """Controls hosts. Every method may raise ControlFailed, and has a deadline."""

    async def nodes(self) -> list[Node]:
        """The living nodes that offer processors."""

    async def known(self) -> frozenset[str]:
        """The hosts that run, start or restart."""

    async def start_host(self, host_id: str, node: str) -> None:
        """Start a host of this name on this node; it registers itself once it serves."""

    async def end_host(self, host_id: str) -> None:
        """Have this host drain, and end it."""

    async def acquire(self, host_id: str, assigned: Assignment) -> None:
        """Have the host acquire these."""

    async def reacquire(self, host_id: str, assigned: Assignment) -> None:
        """Have the host acquire these entities, which had a dedicated host, with their slots again."""

    async def hand_off(self, host_id: str, slots: Sequence[int], entities: Sequence[int]) -> int:
        """Have the host hand off these. Returns the time (ms) from which another host may own them."""


@dataclass(frozen=True)
class DirectorLimits:
    """``hosts`` and ``spare_hosts`` are for each node. ``dedicated_max`` None: as many as the nodes have room for."""

    slots_total: int
    hosts: int = 1
    spare_hosts: int = 1
    dedicated_max: int | None = None
