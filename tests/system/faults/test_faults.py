"""kill -9 of each part under load, and a restart of everything: no acknowledged bid is lost, none counts twice."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from engines import SharedEngine, Up

from bench.wire.client import WireClient
from tests.faults.parts import process_of
from tests.faults.scene import Scene, until


@pytest.fixture
def scene(engine: SharedEngine) -> Iterator[Scene]:
    engine.wait_until_ready()
    yield Scene(engine.base_url, engine.database_url, engine.key_secrets)
    engine.wait_until_ready()


async def victim(engine: SharedEngine, part: str, but: int = 0) -> int:
    """The process of a part, as soon as there is one, other than this one."""
    found: list[int] = []

    async def there() -> bool:
        found.append(await process_of(part, engine.children(), engine.database_url))
        return found[-1] not in (0, but)

    await until(there, f"a {part} other than {but} runs")
    return found[-1]


@pytest.mark.timeout(300)
async def test_killing_parts_under_load_loses_no_acknowledged_bid(
    engine: SharedEngine, scene: Scene, killed: tuple[str, ...], round_number: int
):
    async with scene:
        scene.start()
        await scene.more_acks(150)
        dead = {part: await victim(engine, part) for part in killed}
        for pid in dead.values():
            os.kill(pid, signal.SIGKILL)
        await scene.more_acks(150)
        for part, pid in dead.items():
            await victim(engine, part, but=pid)
        await scene.more_acks(50)
        assert await scene.finish() == []
        assert len(scene.recording.acks) >= 350


@pytest.mark.timeout(240)
async def test_a_host_that_stands_still_under_load_loses_its_slots_and_wakes_up_harmless(
    engine: SharedEngine, scene: Scene
):
    """SIGSTOP: its process and its streams live, only its heartbeat stands still."""
    async with scene:
        scene.start()
        await scene.more_acks(150)
        sleeper = await victim(engine, "host")
        os.kill(sleeper, signal.SIGSTOP)
        try:
            await victim(engine, "host", but=sleeper)
            await scene.more_acks(150)
        finally:
            os.kill(sleeper, signal.SIGCONT)
        await scene.more_acks(150)
        assert await scene.finish() == []


@pytest.mark.timeout(300)
async def test_a_restart_of_everything_under_load_loses_no_acknowledged_bid(up: Up):
    up.start()
    state = await asyncio.to_thread(up.wait_until_ready)
    secret = up.key_secrets
    async with Scene(state.url, state.database_url, secret) as scene:
        scene.start()
        await scene.more_acks(150)
        short = await scene.open_auction("Ends while all is down", 10_000)
        planned_end = (await read(scene, short))["ends_at"]
        await asyncio.to_thread(up.interrupt)
        await until(lambda: time.time_ns() // 1_000_000 > planned_end, "the planned end has passed")
        up.start()
        state = await asyncio.to_thread(up.wait_until_ready)
        await scene.more_acks(150)
        # The end lay in the outage: it was moved by the outage's length. Then it is closed with the others, once.
        await until(lambda: was_moved(scene, short, planned_end), "the end of the short auction was moved")
        scene.auctions.append(short)
        assert await scene.finish() == []


@pytest.mark.timeout(120)
async def test_a_watcher_from_another_epoch_gets_a_snapshot(engine: SharedEngine, scene: Scene):
    async with scene:
        [auction, *_] = scene.auctions
        client = await WireClient.connect(engine.base_url, None)
        first = await client.subscribe(f"auction:{auction}", {"epoch": 99, "seq": 1})
        assert (first["recovered"], first["state"]["status"]) == (False, "open")
        client.close()


async def read(scene: Scene, auction: str) -> dict[str, Any]:
    return await scene.rest.auction("fault_seller", auction)


async def was_moved(scene: Scene, auction: str, planned_end: int) -> bool:
    state = await read(scene, auction)
    return bool(state["status"] == "open" and state["ends_at"] > planned_end)
