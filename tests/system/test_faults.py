"""kill -9 of each part under load, and a restart of everything: no acknowledged bid is lost, none counts twice."""

import asyncio
import os
import signal
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from engines import SharedEngine, Up

from bench.faults.clients import Watcher
from bench.wire_client import Ack, WireClient
from tests.faults.scene import Scene, host_processes, ray_server, until


@pytest.fixture
def scene(engine: SharedEngine) -> Iterator[Scene]:
    yield Scene(engine.base_url, engine.database_url, engine.jwt_secret)
    engine.wait_until_ready()


def victim(engine: SharedEngine, part: str) -> int:
    """The process of a part, 0 while there is none."""
    children = engine.children()
    conductor = children.get("conductor", 0)
    if part == "host":
        return next(iter(host_processes(conductor)), 0)
    if part in ("raylet", "gcs_server"):
        return ray_server(conductor, part)
    return children.get(part, 0)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("part", ["host", "gateway", "postgres", "valkey", "raylet", "gcs_server"])
async def test_killing_a_part_under_load_loses_no_acknowledged_bid(engine: SharedEngine, scene: Scene, part: str):
    async with scene:
        scene.start()
        await scene.more_acks(150)
        pid = victim(engine, part)
        os.kill(pid, signal.SIGKILL)
        await scene.more_acks(150)
        await until(lambda: victim(engine, part) not in (0, pid), f"a new {part} runs")
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
        short = await scene.open_auction("Ends while all is down", 5_000)
        planned_end = read(state.url, short)["ends_at"]
        await asyncio.to_thread(up.interrupt)
        up.start()
        state = await asyncio.to_thread(up.wait_until_ready)
        await scene.more_acks(150)
        # The end lay in the outage: it was moved by the outage's length, and then came.
        await until(lambda: read(state.url, short)["status"] == "closed", "the short auction is closed")
        assert read(state.url, short)["ends_at"] > planned_end
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


def read(url: str, auction: str) -> dict[str, Any]:
    state: dict[str, Any] = httpx.get(f"{url}/api/v1/auctions/{auction}", timeout=5).json()
    return state
