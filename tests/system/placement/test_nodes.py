"""An engine on several nodes: they come and go, and so do director and Ray driver; bids go on."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.faults.parts import owner_of_slots
from tests.faults.scene import until
from tests.system.placement.engine_on_nodes import (
    HOSTS_OF_A_NODE,
    EngineOnNodes,
    engine_on_nodes,
    flow,
    longest_silence,
    tell,
)

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineOnNodes]:
    with engine_on_nodes() as mine:
        yield mine


async def test_a_node_that_joins_gets_hosts_and_its_share_and_no_bid_is_refused_for_it(engine: EngineOnNodes):
    async with engine.scene() as scene:
        await engine.add_node()
        await engine.spread_over(len(engine.raylets))
        await flow(scene)
        assert engine.disturbed(scene) == []
        assert await scene.finish() == []


async def test_a_node_is_drained_without_a_refused_bid_and_used_again_afterwards(engine: EngineOnNodes):
    async with engine.scene() as scene:
        nodes, overrides = len(engine.raylets), engine.overrides
        leaving = (await engine.living())[0].node
        await overrides.drain(leaving)
        await engine.spread_over(nodes - 1)
        assert leaving not in await engine.nodes()
        await flow(scene)
        assert await overrides.undrain(leaving)
        await engine.spread_over(nodes)
        assert leaving in await engine.nodes()
        await flow(scene)
        assert engine.disturbed(scene) == []
        assert await scene.finish() == []


async def test_when_a_node_dies_the_others_take_over_and_nobody_waits_for_it(engine: EngineOnNodes):
    async with engine.scene() as scene:
        assert engine.head.runs_director(), "which is not on the node that dies"
        nodes, began_ns = len(engine.raylets), time.monotonic_ns()
        node = await engine.kill_node()
        await engine.all_kept()
        await flow(scene)
        silent_s = longest_silence(scene, began_ns)
        tell(f"a node was killed: no auction was without acks for longer than {silent_s:.1f} s")
        assert silent_s < 10
        await until(lambda: f"node {node[:12]} is gone" in engine.up.output, "it is said that the node is gone")
        await engine.spread_over(nodes - 1)
        assert scene.recording.lost_connections == 0
        assert await scene.finish() == []


async def test_a_director_that_was_killed_is_back_and_replaces_dead_hosts(engine: EngineOnNodes):
    async with engine.scene() as scene:
        await engine.end(engine.head.director(), engine.head.director, "director")
        await flow(scene)
        assert engine.disturbed(scene) == []
        os.kill(await owner_of_slots(engine.state.database_url), signal.SIGKILL)
        await flow(scene)
        await engine.spread_over(len(engine.raylets))
        assert await scene.finish() == []


async def test_a_host_that_dies_with_the_director_is_replaced_all_the_same(engine: EngineOnNodes):
    async with engine.scene() as scene:
        began_ns = time.monotonic_ns()
        host, director = await owner_of_slots(engine.state.database_url), engine.head.director()
        os.kill(host, signal.SIGKILL)
        await engine.end(director, engine.head.director, "director")
        await flow(scene)
        tell(f"host and director were killed: silence of {longest_silence(scene, began_ns):.1f} s at most")
        await engine.spread_over(len(engine.raylets))
        assert await scene.finish() == []


async def test_a_ray_driver_that_was_killed_finds_the_hosts_serving(engine: EngineOnNodes):
    async with engine.scene() as scene:
        driver, director, hosts = engine.up.child("ray-driver"), engine.head.director(), set(engine.head.hosts())
        assert driver
        await engine.end(driver, lambda: engine.up.child("ray-driver"), "Ray driver")
        await until(lambda: engine.head.director() not in (0, director), "the new Ray driver has its own director")
        await until(lambda: engine.up.output.count("serves again (") >= 1, "it says so")
        await flow(scene)
        assert set(engine.head.hosts()) == hosts
        assert len(hosts) == HOSTS_OF_A_NODE * len(engine.raylets)
        assert engine.disturbed(scene) == []
        assert await scene.finish() == []
