"""Watchers miss nothing unnoticed: updates that are lost, delayed or cut, compared with the log."""

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, closing
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
from engines import SharedEngine, Up
from valkey_server import Valkey

from bench.faults.auction_log import read_logs
from bench.faults.checker import violations
from bench.faults.clients import Watcher
from bench.faults.injection.proxy import Message, Proxy
from bench.faults.recording import Recording
from tests.faults.scene import Scene, until

pytestmark = pytest.mark.timeout(240)

EVENTS_OF_UPDATE = 7
# Longer than any deadline of those who publish and listen.
LONG_PAUSE_S = 12.0


class Network:
    """An engine whose Redis is a Valkey of the tests' own, behind a proxy of the tests' own."""

    def __init__(self, engine: SharedEngine, valkey: Valkey, proxy: Proxy) -> None:
        self.engine = engine
        self.valkey = valkey
        self.to_valkey = proxy


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with ExitStack() as stack:
        home = Path(tempfile.mkdtemp(prefix="ece-net-"))
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        valkey = Valkey(home)
        valkey.launch()
        stack.callback(valkey.kill)
        proxy = Proxy(str(valkey.socket))
        proxy.start()
        stack.callback(proxy.stop)
        up = stack.enter_context(
            closing(Up(home, ECE_BCRYPT_COST="4", ECE_REDIS_URL=f"redis://127.0.0.1:{proxy.port}"))
        )
        up.start()
        state = up.wait_until_ready()
        secret = up.key_secrets
        engine = SharedEngine(state.url, state.ws_url, state.database_url, state.redis_url, secret, up.data_dir)
        yield Network(engine, valkey, proxy)


@pytest.fixture
def scene(network: Network) -> Scene:
    engine = network.engine
    engine.wait_until_ready()
    return Scene(engine.base_url, engine.database_url, engine.key_secrets)


def has_events(message: Message) -> bool:
    """Whether a message has an update with events, not only repeated states."""
    _, channel, payload = message
    if not channel.startswith(b"ece:updates"):
        return False
    return any(
        len(update) > EVENTS_OF_UPDATE and update[EVENTS_OF_UPDATE] for update in msgspec.msgpack.decode(payload)
    )


async def test_single_messages_that_are_dropped_leave_gaps_that_are_told_and_filled(network: Network, scene: Scene):
    turns = itertools.count()

    def every_third(message: Message) -> bool:
        return has_events(message) and next(turns) % 3 == 0

    async with scene:
        scene.start()
        await scene.more_acks(20)
        before = network.to_valkey.dropped
        network.to_valkey.drop(every_third)
        await scene.more_acks(300)
        assert await scene.finish() == []
        network.to_valkey.drop(None)
    assert network.to_valkey.dropped - before > 5


async def test_a_lost_last_word_is_caught_by_the_reminder_that_follows(network: Network, scene: Scene):
    async with scene:
        scene.start()
        await scene.more_acks(50)
        await scene.quiet()
        network.to_valkey.drop(has_events)
        before = network.to_valkey.dropped
        # The closings are the last events of each auction, and no update with them is delivered.
        assert await scene.finish() == []
        network.to_valkey.drop(None)
        assert network.to_valkey.dropped >= before + len(scene.auctions)


@pytest.mark.parametrize("pause_s", [1.0, LONG_PAUSE_S])
async def test_after_a_pause_of_valkey_every_watcher_stands_where_the_log_does(
    network: Network, scene: Scene, pause_s: float
):
    async with scene:
        scene.start()
        await scene.more_acks(50)
        loop = asyncio.get_running_loop()
        paused_at = loop.time()
        network.valkey.pause()
        await scene.more_acks(100)
        # All updates of the last bids are published while no gateway receives them.
        await scene.quiet()
        await until(lambda: loop.time() - paused_at >= pause_s, "the pause was long enough")
        network.valkey.go_on()
        await scene.watchers_at_the_end()
        assert await scene.finish() == []


async def test_after_a_restart_of_valkey_every_watcher_stands_where_the_log_does(network: Network, scene: Scene):
    async with scene:
        scene.start()
        await scene.more_acks(50)
        network.valkey.kill()
        await scene.more_acks(100)
        await scene.quiet()
        await network.valkey.start()
        await scene.watchers_at_the_end()
        assert await scene.finish() == []


@pytest.mark.parametrize("fault", ["cut", "hold", "strand"])
async def test_a_broken_way_to_valkey_is_noticed_and_nothing_missed(network: Network, scene: Scene, fault: str):
    """Cut: the connection ends. Held: it stands, and all comes late. Stranded: it stands, and nothing comes ever."""
    way = network.to_valkey
    async with scene:
        scene.start()
        await scene.more_acks(50)
        if fault == "cut":
            for _ in range(5):
                way.cut()
                await scene.more_acks(30)
            await scene.quiet()
        elif fault == "hold":
            way.hold()
            await scene.more_acks(100)
            await scene.quiet()
            way.flow()
        else:
            way.strand()
            await scene.more_acks(100)
            await scene.quiet()
        await scene.watchers_at_the_end()
        assert await scene.finish() == []


@asynccontextmanager
async def way_to_the_gateway(engine: SharedEngine) -> AsyncIterator[Proxy]:
    port = urlsplit(engine.base_url).port
    assert port is not None
    proxy = Proxy(port)
    proxy.start()
    try:
        yield proxy
    finally:
        await asyncio.to_thread(proxy.stop)


@pytest.mark.parametrize("fault", ["cut", "hold"])
async def test_clients_whose_way_to_the_gateway_breaks_resume_without_a_gap(engine: SharedEngine, fault: str):
    async with way_to_the_gateway(engine) as way:
        url = f"http://127.0.0.1:{way.port}"
        async with Scene(url, engine.database_url, engine.key_secrets) as scene:
            scene.start()
            for _ in range(5):
                await scene.more_acks(40)
                if fault == "cut":
                    way.cut()
                else:
                    way.hold()
                    asyncio.get_running_loop().call_later(0.5, way.flow)
            await scene.more_acks(40)
            assert await scene.finish() == []
            assert (scene.recording.lost_connections > 0) == (fault == "cut")


@pytest.mark.parametrize("missed", [1, 1_000, 100_000])
async def test_a_watcher_that_missed_events_is_told_them_all_or_where_things_stand(engine: SharedEngine, missed: int):
    """Up to 2,000 come one by one; beyond that a state says that there was more. Both are what was committed."""
    async with Scene(engine.base_url, engine.database_url, engine.key_secrets, auctions=1, bidders=1) as scene:
        recording = Recording()
        gone = Watcher(engine.base_url, scene.auctions[0], recording)
        await gone.connect()
        assert gone.client is not None
        gone.client.close()
        await gone.client.wait_closed()
        position = gone.seen.position
        await scene.bid_in_turn(missed)
        await gone.connect()
        assert gone.seen.position == (position[0], position[1] + missed)
        assert [len(gone.seen.events), len(gone.seen.states)] == ([missed, 1] if missed <= 2_000 else [0, 2])
        logs = await read_logs(engine.database_url, scene.auctions)
        assert violations(recording, logs, closed=False) == []
        await gone.stop()
