"""Auctions that move between living hosts while bids flow: nobody is turned away, and nothing is lost."""

import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from engines import Up

from bench.faults.clients import Watcher
from domain.ids import parse_id
from persistence.placement.directory import Directory
from persistence.placement.operator_overrides import OperatorOverrides
from persistence.postgres.pool import close_pool, open_pool
from tests.faults.parts import listening
from tests.faults.scene import DAY_MS, Scene, until

pytestmark = pytest.mark.timeout(120)

PASSES = 10
MOVED_WITHIN_S = 20.0
# The director notices immediately that a host died; a machine with many other tests may still take its time.
BACK_WITHIN_S = 30.0
ALONE_WITHIN_S = 30.0


@dataclass(frozen=True)
class Fleet:
    """The directory, and the overrides of operators."""

    directory: Directory
    overrides: OperatorOverrides

    async def slots(self) -> dict[str, int]:
        return {host.host_id: len(host.slots) for host in await self.directory.hosts() if host.slots}

    async def own_host_of(self, auction: str) -> int:
        """The process that keeps this auction alone, 0 where there is none: hot ones may have such hosts, too."""
        ports = {host.port for host in await self.directory.hosts() if parse_id(auction) in host.entities}
        return next((pid for pid, port in listening() if port in ports), 0)


@pytest.fixture(scope="module")
def two_hosts() -> Iterator[Up]:
    """An engine whose slots are shared by two hosts; none stands by."""
    with tempfile.TemporaryDirectory(prefix="ece-moves-", ignore_cleanup_errors=True) as home:
        up = Up(Path(home), ECE_BCRYPT_COST="4", ECE_HOSTS="2", ECE_SPARE_HOSTS="0")
        with closing(up):
            up.start()
            up.wait_until_ready()
            yield up


@asynccontextmanager
async def stage(up: Up) -> AsyncIterator[tuple[Scene, Fleet]]:
    """Bidders and watchers on the engine, and the fleet that serves them."""
    state = up.wait_until_ready()
    pool = await open_pool(state.database_url, size_max=2)
    try:
        secret = up.key_secrets
        async with Scene(state.url, state.database_url, secret) as scene:
            yield scene, Fleet(Directory(pool), OperatorOverrides(pool))
    finally:
        await close_pool(pool)


async def test_all_slots_go_to_and_fro_while_bids_flow_and_nobody_is_turned_away(two_hosts: Up):
    async with stage(two_hosts) as (scene, fleet):
        before = await fleet.slots()
        slots = sum(before.values())
        assert (sorted(before), slots) == (["host-0", "host-1"], 256)
        scene.start()
        await scene.more_acks(100)
        for number in range(PASSES):
            host = f"host-{number % 2}"
            await fleet.overrides.pin_slots(list(range(slots)), host)
            await until(lambda host=host: has_all(fleet, host, slots), f"{host} has all slots", MOVED_WITHIN_S)
            await scene.more_acks(20)
        await fleet.overrides.unpin_slots()
        assert await scene.finish() == []
        recording = scene.recording
        assert (recording.rejected, recording.lost_connections) == ([], 0)
        # What the rules refused is checked against the log, as the acks are.
        assert {refused.code for refused in recording.refused} <= {"bid_too_low", "already_leading"}
        assert len(recording.acks) >= 100 + 20 * PASSES


async def test_an_auction_with_a_host_of_its_own_outlives_that_host(two_hosts: Up):
    async with stage(two_hosts) as (scene, fleet):
        auction = await scene.open_auction("Alone", DAY_MS, placement="dedicated")
        scene.auctions.append(auction)
        scene.watchers.append(Watcher(scene.base_url, auction, scene.recording))
        scene.start()
        await until(lambda: is_placed(scene, auction, "dedicated"), "it has its own host", ALONE_WITHIN_S)
        assert scene.recording.rejected == []
        await more_acks_of(scene, auction, 20)
        pid = await fleet.own_host_of(auction)
        assert pid, "its host is a process of its own"
        os.kill(pid, signal.SIGKILL)
        await until(lambda: with_its_slot(fleet, auction), "it is back with its slot", BACK_WITHIN_S)
        await more_acks_of(scene, auction, 20)
        await until(lambda: is_placed(scene, auction, "dedicated"), "it has its own host again", ALONE_WITHIN_S)
        await more_acks_of(scene, auction, 20)
        assert await scene.finish() == []


async def has_all(fleet: Fleet, host: str, slots: int) -> bool:
    return await fleet.slots() == {host: slots}


async def with_its_slot(fleet: Fleet, auction: str) -> bool:
    return parse_id(auction) not in await fleet.directory.dedicated()


async def is_placed(scene: Scene, auction: str, placement: str) -> bool:
    return bool((await scene.rest.auction("fault_seller", auction))["placement"] == placement)


async def more_acks_of(scene: Scene, auction: str, number: int) -> None:
    """Wait until so many more bids were acknowledged in this auction."""

    def acks() -> int:
        return sum(1 for ack in scene.recording.acks if ack.order.auction == auction)

    wanted = acks() + number
    await until(lambda: acks() >= wanted, f"{number} more acks in {auction}")
