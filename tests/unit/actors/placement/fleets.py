"""A directory, nodes and simulated hosts, with real streams on loopback, for tests of the director."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import msgspec

from actors.hosting.load_report import EntityRate, LoadReport, encode_load_report
from actors.hosting.ownership.ownership import Assignment
from actors.placement.control import ControlFailed, DirectorLimits, Node
from actors.placement.director import Director
from persistence.placement.directory import HostAddress, slot_of
from persistence.postgres.errors import StoreUnavailable
from tests.unit.actors.stream.stream_servers import LOOPBACK, SECRET, HostServer, host_server

SLOTS = 4
GIB = 1024**3


@dataclass
class FakeHost:
    """One row of the directory, and the server behind it."""

    server: HostServer
    node: str
    incarnation: int = 1
    slots: set[int] = field(default_factory=set)
    entities: set[int] = field(default_factory=set)
    load_report: LoadReport = field(default_factory=LoadReport)
    beats: bool = True
    alive_at: int = 0


class Fleet:
    """What Ray, the directory and the operators are to a director."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self.hosts_there: dict[str, FakeHost] = {}
        self.nodes_there = [Node("n0", 24 * GIB, 2)]
        self.started: list[tuple[str, str]] = []
        self.ended: list[str] = []
        self.deaf: set[str] = set()
        self.given_up: set[str] = set()
        self.starts_fail = False
        self.away = False
        self.drained: set[str] = set()
        self.overrides: dict[int, str] = {}
        self.released: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = []
        self.ordered: list[tuple[str, Assignment]] = []
        self.notices: list[str] = []
        self.looks = 0
        self._times = itertools.count(1)

    # The directory

    async def hosts(self) -> list[HostAddress]:
        self.looks += 1
        if self.away:
            raise StoreUnavailable("away")
        for host in self.hosts_there.values():
            if host.beats:
                host.alive_at = next(self._times)
        return [
            HostAddress(
                name, host.incarnation, LOOPBACK, host.server.port, host.alive_at, tuple(sorted(host.slots)),
                tuple(host.entities), host.node, encode_load_report(host.load_report),
            )
            for name, host in self.hosts_there.items()
        ]  # fmt: skip

    async def dedicated(self) -> dict[int, str | None]:
        return {auction: name for name, host in self.hosts_there.items() for auction in host.entities}

    async def remove_host(self, host_id: str) -> bool:
        return self.hosts_there.pop(host_id, None) is not None

    # The operators

    async def drains(self) -> frozenset[str]:
        return frozenset(self.drained)

    async def slots(self) -> dict[int, str]:
        return dict(self.overrides)

    # Ray

    async def nodes(self) -> list[Node]:
        return self.nodes_there

    async def known(self) -> frozenset[str]:
        return frozenset(self.hosts_there) - self.given_up

    async def start_host(self, host_id: str, node: str) -> None:
        if self.starts_fail:
            raise ControlFailed(host_id)
        self.given_up.discard(host_id)
        self.started.append((host_id, node))
        self.hosts_there[host_id] = FakeHost(await self._stack.enter_async_context(host_server()), node)

    async def end_host(self, host_id: str) -> None:
        self.ended.append(host_id)
        self.die(host_id)

    async def acquire(self, host_id: str, assigned: Assignment) -> None:
        self.ordered.append((host_id, assigned))
        self._hear(host_id)
        for host in self.hosts_there.values():
            host.slots -= {*assigned.slots}
            host.entities -= {*assigned.entities}
        self.hosts_there[host_id].slots |= {*assigned.slots}
        self.hosts_there[host_id].entities |= {*assigned.entities}

    async def reacquire(self, host_id: str, assigned: Assignment) -> None:
        self.ordered.append((host_id, assigned))
        self._hear(host_id)
        for auction in assigned.entities:
            assert slot_of(auction, SLOTS) in self.hosts_there[host_id].slots
        for host in self.hosts_there.values():
            host.entities -= {*assigned.entities}

    async def hand_off(self, host_id: str, slots: Sequence[int], entities: Sequence[int]) -> int:
        self._hear(host_id)
        self.released.append((host_id, tuple(slots), tuple(entities)))
        return 1

    # Fate

    def _hear(self, host_id: str) -> None:
        if host_id in self.deaf:
            raise ControlFailed(host_id)

    def die(self, host_id: str) -> None:
        """The host's process ends: nobody listens any more, and the kernel closes its streams."""
        self.hosts_there[host_id].server.server.close()
        self.hosts_there[host_id].server.cut()
        self.hosts_there[host_id].beats = False

    async def come_back(self, host_id: str) -> None:
        """Ray has started it again."""
        before = self.hosts_there[host_id]
        server = await self._stack.enter_async_context(host_server())
        self.hosts_there[host_id] = FakeHost(server, before.node, before.incarnation + 1)

    def report_rates(self, host_id: str, **rates: int) -> None:
        """These auctions (a7 is 7) of this host have so many orders a second."""
        hottest = [EntityRate(int(name[1:]), rate) for name, rate in rates.items()]
        host = self.hosts_there[host_id]
        host.load_report = msgspec.structs.replace(host.load_report, hottest=hottest)

    def owned(self) -> dict[str, set[int]]:
        """Every host with its slots."""
        return {name: host.slots for name, host in self.hosts_there.items()}


@asynccontextmanager
async def directed(
    hosts: int = 1, spare: int = 1, dedicated_max: int | None = 2
) -> AsyncIterator[tuple[Fleet, Director]]:
    """A director at work on a fleet of one node, to begin with."""
    limits = DirectorLimits(SLOTS, hosts, spare, dedicated_max)
    async with AsyncExitStack() as stack, directing(Fleet(stack), limits) as at_work:
        yield at_work


@asynccontextmanager
async def directing(fleet: Fleet, limits: DirectorLimits) -> AsyncIterator[tuple[Fleet, Director]]:
    """A director at work on a fleet that may have had another before."""
    director = Director(fleet, fleet, fleet, SECRET, limits=limits, notify=fleet.notices.append)
    running = asyncio.create_task(director.run())
    try:
        async with asyncio.timeout(10):
            await director.placed.wait()
        yield fleet, director
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
