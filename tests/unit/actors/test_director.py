"""The director with real streams on loopback: slots are given at the start, and at once when a host's process ends."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from stream_servers import LOOPBACK, SECRET, HostServer, host_server

from actors.director import ControlFailed, Director
from persistence.directory import HostAddress
from persistence.errors import StoreUnavailable

SLOTS = 4


class Cluster:
    """A directory, and hosts that do what they are told."""

    def __init__(self) -> None:
        self.ports: dict[str, tuple[int, int]] = {}
        self.keeps: dict[str, tuple[int, ...]] = {}
        self.deaf: set[str] = set()
        self.away = False
        self.said: list[str] = []

    async def hosts(self) -> list[HostAddress]:
        if self.away:
            raise StoreUnavailable("away")
        return [
            HostAddress(host_id, incarnation, LOOPBACK, port, 0, self.keeps.get(host_id, ()))
            for host_id, (incarnation, port) in self.ports.items()
        ]

    async def take(self, host_id: str, slots: Sequence[int]) -> None:
        if host_id in self.deaf:
            raise ControlFailed(host_id)
        for other, kept in self.keeps.items():
            self.keeps[other] = tuple(slot for slot in kept if slot not in slots)
        self.keeps[host_id] = tuple(sorted({*self.keeps.get(host_id, ()), *slots}))


@asynccontextmanager
async def directed(
    active_wanted: int, *host_ids: str
) -> AsyncIterator[tuple[Cluster, dict[str, HostServer], Director]]:
    cluster = Cluster()
    async with AsyncExitStack() as stack:
        servers = {}
        for host_id in host_ids:
            servers[host_id] = await stack.enter_async_context(host_server())
            cluster.ports[host_id] = (1, servers[host_id].port)
        director = Director(
            cluster, cluster, SECRET, slots_total=SLOTS, host_ids=host_ids, active_wanted=active_wanted,
            say=cluster.said.append,
        )  # fmt: skip
        running = asyncio.create_task(director.run())
        try:
            yield cluster, servers, director
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


async def die(cluster: Cluster, servers: dict[str, HostServer], host_id: str) -> None:
    """The host's process ends: nobody listens any more, and the kernel closes its streams."""
    servers[host_id].server.close()
    servers[host_id].cut()


async def test_slots_are_given_once_all_hosts_are_there():
    async with directed(2, "h0", "h1", "h2") as (cluster, _, director):
        await asyncio.wait_for(director.placed.wait(), 5)
        assert cluster.keeps == {"h0": (0, 2), "h1": (1, 3)}
        assert cluster.said == []


async def test_when_a_host_dies_the_one_that_stands_by_has_its_slots_at_once():
    async with directed(1, "h0", "h1") as (cluster, servers, director):
        await asyncio.wait_for(director.placed.wait(), 5)
        began = time.monotonic()
        await die(cluster, servers, "h0")
        await until(lambda: cluster.keeps.get("h1") == (0, 1, 2, 3))
        assert time.monotonic() - began < 2
        assert director.missing_for_s() > 0
        await until(lambda: len(cluster.said) == 2)
        assert cluster.said == ["h0 died; Ray starts it again", "h1 has taken over 4 slots"]


async def test_a_host_that_comes_back_stands_by():
    async with directed(1, "h0", "h1") as (cluster, servers, director):
        await asyncio.wait_for(director.placed.wait(), 5)
        await die(cluster, servers, "h0")
        await until(lambda: cluster.keeps.get("h1") == (0, 1, 2, 3))
        async with host_server() as again:
            cluster.ports["h0"] = (2, again.port)
            await until(lambda: director.missing_for_s() == 0)
            assert cluster.keeps == {"h0": (), "h1": (0, 1, 2, 3)}
            assert cluster.said[-1] == "h0 serves again"


async def test_a_host_that_can_not_be_told_is_told_again():
    async with directed(1, "h0", "h1") as (cluster, servers, director):
        await asyncio.wait_for(director.placed.wait(), 5)
        cluster.deaf.add("h1")
        await die(cluster, servers, "h0")
        await until(lambda: director.missing_for_s() > 0)
        assert cluster.keeps["h0"] == (0, 1, 2, 3)
        cluster.deaf.clear()
        await until(lambda: cluster.keeps.get("h1") == (0, 1, 2, 3))


async def test_while_the_directory_is_away_nothing_moves_and_afterwards_all_is_placed():
    async with directed(1, "h0", "h1") as (cluster, servers, director):
        await asyncio.wait_for(director.placed.wait(), 5)
        cluster.away = True
        await die(cluster, servers, "h0")
        await until(lambda: director.missing_for_s() > 0)
        assert not director.placed.is_set()
        cluster.away = False
        await asyncio.wait_for(director.placed.wait(), 5)
        assert cluster.keeps["h1"] == (0, 1, 2, 3)
