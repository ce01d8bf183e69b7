"""How the director commands hosts, and what it is to bring about."""

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
    """A host could not be told, or did not do what it was told."""


class ControlsHosts(Protocol):
    """The way to command hosts. Every method may raise ControlFailed; each has a deadline."""

    async def nodes(self) -> list[Node]:
        """The nodes that are alive and offer their processors."""

    async def known(self) -> frozenset[str]:
        """The hosts that run or are being started, be it for the first time or again."""

    async def start_host(self, host_id: str, node: str) -> None:
        """Have a host of this name started there; it registers itself once it serves."""

    async def end_host(self, host_id: str) -> None:
        """Have this host save what it has, and end."""

    async def acquire(self, host_id: str, assigned: Assignment) -> None:
        """Make the host own these."""

    async def reacquire(self, host_id: str, assigned: Assignment) -> None:
        """Make the host own these entities of its slots again."""

    async def hand_off(self, host_id: str, slots: Sequence[int], entities: Sequence[int]) -> int:
        """Make the host hand these off; the time (ms) from when on another may own them."""


@dataclass(frozen=True)
class DirectorLimits:
    """On each node ``hosts`` own slots and ``spare_hosts`` are spare. ``dedicated_max``: None for what nodes bear."""

    slots_total: int
    hosts: int = 1
    spare_hosts: int = 1
    dedicated_max: int | None = None
