"""kill -9 of each part under load, and a restart of everything: no acknowledged bid is lost, none counts twice."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from engines import SharedEngine, Up

from bench.faults.clients import Watcher
from bench.wire_client import Ack, WireClient
from tests.faults.parts import process_of
from tests.faults.scene import Scene, until


@pytest.fixture
def scene(engine: SharedEngine) -> Iterator[Scene]:
    engine.wait_until_ready()
    yield Scene(engine.base_url, engine.database_url, engine.jwt_secret)
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


@pytest.mark.timeout(300)
async def test_a_restart_of_everything_under_load_loses_no_acknowledged_bid(up: Up):
    up.start()
    state = await asyncio.to_thread(up.wait_until_ready)
    secret = up.data_dir.secret("jwt").get_secret_value()
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
        # The end lay in the outage: it was moved by the outage's length, and then came.
        await until(lambda: has_closed(scene, short), "the short auction is closed")
        assert (await read(scene, short))["ends_at"] > planned_end
        assert await scene.finish() == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize("missed", [1, 1_000])
async def test_a_watcher_that_missed_events_gets_them_again_in_order(engine: SharedEngine, scene: Scene, missed: int):
    async with scene:
        [auction, *_] = scene.auctions
        gone = Watcher(engine.base_url, auction, scene.recording)
        await gone.connect()
        assert gone.client is not None
        gone.client.close()
        await gone.client.wait_closed()
        await bid_in_turn(scene, auction, missed)
        position = gone.seen.position
        await gone.connect()
        assert [event.seq for event in gone.seen.events] == [position[1] + n for n in range(1, missed + 1)]
        assert {event.type for event in gone.seen.events} == {"bid"}
        await gone.stop()


@pytest.mark.timeout(120)
async def test_a_watcher_that_missed_more_than_is_kept_for_it_gets_a_snapshot(engine: SharedEngine, scene: Scene):
    async with scene:
        [auction, *_] = scene.auctions
        client = await WireClient.connect(engine.base_url, None)
        first = await client.subscribe(f"auction:{auction}", {"epoch": 99, "seq": 1})
        assert (first["recovered"], first["state"]["status"]) == (False, "open")
        client.close()


async def bid_in_turn(scene: Scene, auction: str, times: int) -> None:
    """So many accepted bids of one bidder, who raises their own maximum, many in flight."""
    client = await WireClient.connect(scene.base_url, scene.bidders[0].account.token)
    for start in range(0, times, 50):
        orders = range(start, min(start + 50, times))
        answers = await asyncio.gather(*(client.bid(auction, 2_000_000 + n, f"r{n}") for n in orders))
        assert all(isinstance(answer, Ack) for answer in answers), answers
    client.close()


async def read(scene: Scene, auction: str) -> dict[str, Any]:
    return await scene.rest.auction("fault_seller", auction)


async def has_closed(scene: Scene, auction: str) -> bool:
    return bool((await read(scene, auction))["status"] == "closed")
