"""What goes wrong in one run: a few faults, at times and in an order that the seed decides."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from actors.hosting.commit.lease import LEASE_S
from persistence.placement.directory import Superseded
from persistence.postgres.errors import StoreError
from tests.simulation.clients import World
from tests.simulation.database import Database
from tests.simulation.network import Bus
from tests.simulation.processes import Machinery, Placement, RunningGateway, RunningHost

OUTAGES_S = (0.02, 0.2, 1.0, 3.5)
STOPS_S = (0.3, 1.5, 4.0, 7.0)


class Faults:
    """The faults, one method each."""

    def __init__(
        self, machinery: Machinery, placement: Placement, world: World, dice: random.Random, *, seizing: bool
    ) -> None:  # fmt: skip
        """``seizing``: also, and often, ``slots_seized_at_once``."""
        self._machinery = machinery
        self._placement = placement
        self._world = world
        self._dice = dice
        self._gateways = len(world.gateways)
        self.all: Sequence[Callable[[], Awaitable[None]]] = (
            self.host_killed, self.host_killed, self.host_replaced, self.host_stopped, self.slots_moved,
            self.slots_seized, self.slots_seized, self.database_restarted, self.database_cut, self.database_cut,
            self.commits_slow, self.streams_cut, self.streams_held, self.gateway_killed, self.gateway_stopped,
            self.clients_cut, self.redis_lossy, self.redis_restarted, *([self.slots_seized_at_once] * 8 * seizing),
        )  # fmt: skip

    @property
    def _database(self) -> Database:
        return self._machinery.database

    @property
    def _bus(self) -> Bus:
        return self._machinery.bus

    async def host_killed(self) -> None:
        """A host dies wherever it is, and starts again after a while."""
        host_id = self._dice.choice(list(self._placement.hosts))
        self._machinery.kill(self._placement.hosts[host_id].process)
        await asyncio.sleep(self._dice.random())
        self._placement.start(host_id)

    async def host_replaced(self) -> None:
        """A second incarnation of a host that lives."""
        self._placement.start(self._dice.choice(list(self._placement.hosts)))

    async def host_stopped(self) -> None:
        """SIGSTOP: all others may take it for dead."""
        host = self._dice.choice(list(self._placement.hosts.values()))
        host.process.stop(self._dice.choice(STOPS_S))

    async def slots_moved(self) -> None:
        """A hand-off; perhaps the director dies in the middle of it."""
        owners = await self._placement.owners()
        serving = self._placement.serving()
        if len(serving) < 2:
            return
        source, target = self._dice.sample(serving, 2)
        slots = [slot for slot, owner in owners.items() if owner == source.host_id]
        with suppress(StoreError, TimeoutError, Superseded):
            await self._placement.move(slots, source, target, dies=self._dice.random() < 0.3)

    async def slots_seized(self) -> None:
        """A host is stopped until its lease is over, and comes back when another one owns its slots."""
        serving = self._placement.serving()
        if len(serving) >= 2:
            source, target = self._dice.sample(serving, 2)
            source.process.stop(LEASE_S + 1 + self._dice.random())
            await asyncio.sleep(LEASE_S + self._dice.random())
            await self._seize(source, target)

    async def slots_seized_at_once(self) -> None:
        """Another host acquires the slots of one that lives and has a lease, as by a director that is cut off.

        Perhaps the host hears of it late, and a gateway, too, so that it goes on sending to that host.
        """
        serving = self._placement.serving()
        if len(serving) >= 2:
            source, target = self._dice.sample(serving, 2)
            if self._dice.random() < 0.7:
                for_s = self._dice.choice(STOPS_S)
                for process in (source.process, self._dice.choice(self._world.gateways).process):
                    self._database.directory_silent(process, for_s)
            await self._seize(source, target)

    async def _seize(self, source: RunningHost, target: RunningHost) -> None:
        if self._placement.hosts[source.host_id] is not source:
            # Its slots are by now those of the process that has replaced it, which has a lease.
            return
        owners = await self._placement.owners()
        slots = [slot for slot, owner in owners.items() if owner == source.host_id]
        if slots:
            with suppress(StoreError, TimeoutError, Superseded):
                await self._placement.seize(slots, target)

    async def database_restarted(self) -> None:
        self._database.restart(self._dice.choice(OUTAGES_S))

    async def database_cut(self) -> None:
        """A host loses its connections to the database."""
        self._database.cut(self._dice.choice(list(self._placement.hosts.values())).process)

    async def commits_slow(self) -> None:
        self._database.slow_s = self._dice.choice((0.05, 0.5, 7.0))
        await asyncio.sleep(self._dice.random() * 2)
        self._database.slow_s = 0.0

    async def streams_cut(self) -> None:
        """Connections of a host break, with what is under way on them."""
        host = self._dice.choice(list(self._placement.hosts.values()))
        self._machinery.network.cut(host.process)

    async def streams_held(self) -> None:
        """Nothing gets through between a gateway, or the database, and a host."""
        host = self._dice.choice(list(self._placement.hosts.values()))
        other = self._dice.choice([self._database.process, *(one.process for one in self._world.gateways)])
        self._machinery.network.part(host.process, other, self._dice.choice(STOPS_S))

    async def gateway_killed(self) -> None:
        """And another one starts."""
        place = self._dice.randrange(len(self._world.gateways))
        gateway = self._world.gateways[place]
        self._machinery.kill(gateway.process)
        await asyncio.sleep(self._dice.random() * 0.5)
        self._gateways += 1
        self._world.gateways[place] = RunningGateway(self._machinery, f"gateway.{self._gateways}")

    async def gateway_stopped(self) -> None:
        self._dice.choice(self._world.gateways).process.stop(self._dice.choice(STOPS_S))

    async def clients_cut(self) -> None:
        """All clients of a gateway lose their connections."""
        gateway = self._dice.choice(self._world.gateways)
        self._machinery.network.cut(gateway.process)

    async def redis_lossy(self) -> None:
        self._bus.lose_some(self._dice.random() * 2)

    async def redis_restarted(self) -> None:
        self._bus.restart(self._dice.choice(OUTAGES_S))

    async def happen(self, count: int, within_s: float) -> None:
        """So many of them, at random times within this time."""
        loop = asyncio.get_running_loop()
        times = sorted(self._dice.random() * within_s for _ in range(count))
        began_s = loop.time()
        under_way = []
        for at_s in times:
            await asyncio.sleep(max(0.0, began_s + at_s - loop.time()))
            fault = self._dice.choice(self.all)
            self._machinery.network.trace(f"fault {fault.__name__}")
            under_way.append(asyncio.ensure_future(fault()))
        await asyncio.gather(*under_way)
