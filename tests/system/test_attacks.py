"""A real gateway under attack: bidders, health checks and REST go on, and whoever attacks is cut off.

How much slower bids become is measured by `ece bench attacks`; here it shows when somebody can stop them.
"""

import asyncio
import itertools
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
import pytest
from engines import Up, until

from bench.engine import Engine
from bench.loads.attackers import Attacked
from bench.loads.load import Seat
from bench.loads.shapes import Shape, open_seats
from bench.measures.attacks import Probed, attack, probe
from bench.percentiles import percentile
from bench.wire.accounts_by_rest import AccountsByRest
from bench.wire.client import Ack, WireClient

pytestmark = pytest.mark.alone

ATTACK_S = 5.0
CONNECTIONS_MAX, PER_ADDRESS_MAX = 800, 100
LIMITS = {
    "ECE_REQUEST_TIMEOUT_S": "2",
    "ECE_RESPONSE_TIMEOUT_S": "2",
    "ECE_CONNECTIONS_MAX": str(CONNECTIONS_MAX),
    "ECE_CONNECTIONS_PER_ADDRESS_MAX": str(PER_ADDRESS_MAX),
    # Those for people: others of these tests lift them.
    "ECE_SOCKET_COMMANDS_PER_S": "200",
    "ECE_SOCKET_COMMANDS_BURST": "400",
    "ECE_BCRYPT_COST": "4",
}
# Each of these attacks used to stop the gateway for seconds, or to take hundreds of MiB.
ACK_P99_MAX_S = 0.5
MEMORY_GROWTH_MAX = 48 * 1_048_576


@dataclass(frozen=True)
class Target:
    up: Up
    seat: Seat
    steps: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def gateway(self) -> psutil.Process:
        pid = self.up.child("gateway")
        assert pid is not None
        return psutil.Process(pid)

    @property
    def log(self) -> str:
        return (self.up.data_dir.path / "logs/gateway.log").read_text()


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    """An engine with short deadlines, and an auction on it."""
    with (
        tempfile.TemporaryDirectory(prefix="ece-attacks-", ignore_cleanup_errors=True) as home,
        closing(Up(Path(home), **LIMITS)) as up,
    ):
        up.start()
        up.wait_until_ready()
        engine = Engine(up.url, AccountsByRest(up.url))
        [seat] = asyncio.run(open_seats(engine, Shape("attacked", 1, 1, "")))
        yield Target(up, seat)


@asynccontextmanager
async def bidding(target: Target) -> AsyncIterator[list[float]]:
    """Somebody bids all the while; how long each ack took. Each bid is accepted, on the same socket."""
    took_s: list[float] = []
    client = await WireClient.connect(target.up.url, target.seat.tokens[0])

    async def bid() -> None:
        while True:
            amount = target.seat.top + next(target.steps) * target.seat.step
            began_s = time.perf_counter()
            answer = await client.bid(target.seat.auction, amount, uuid4().hex)
            assert isinstance(answer, Ack), answer
            took_s.append(time.perf_counter() - began_s)
            await asyncio.sleep(0.01)

    task = asyncio.create_task(bid())
    try:
        yield took_s
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        client.close()


async def attacked(target: Target, kind: str, connections: int) -> tuple[Attacked, Probed]:
    """Attack while others go on, and look at what these notice."""
    resident = target.gateway.memory_info().rss
    probed = Probed()
    async with bidding(target) as took_s:
        probing = asyncio.create_task(probe(target.up.url, probed))
        came = await attack(target.up.url, kind, ATTACK_S, connections)
        probing.cancel()
        await asyncio.gather(probing, return_exceptions=True)
    assert (set(probed.health), set(probed.rest)) == ({"200"}, {"200"})
    assert len(took_s) > 20
    assert (percentile(sorted(took_s), 0.99) or 0) < ACK_P99_MAX_S
    assert max(probed.memory_bytes) - resident < MEMORY_GROWTH_MAX
    return came, probed


async def test_slow_bodies_hold_no_place_and_end_with_a_408(target: Target):
    came, probed = await attacked(target, "slow_bodies", 600)
    assert came.answers.keys() == {"408"}
    assert came.answers["408"] >= 600
    assert probed.dropped["late"] >= 600


async def test_responses_that_nobody_reads_hold_no_place_and_are_cut_off(target: Target):
    _, probed = await attacked(target, "unread_responses", 8)
    assert probed.dropped.keys() == {"unread"}
    assert probed.dropped["unread"] >= 8


async def test_a_header_without_an_end_is_a_431_and_freezes_nobody(target: Target):
    came, _ = await attacked(target, "endless_header", 2)
    assert came.answers.keys() == {"431"}
    # The last ones were still under way.
    assert came.cut >= came.answers["431"] >= came.cut - 2 > 2


@pytest.mark.parametrize("kind", ["ping_flood", "fragment_flood"])
async def test_a_flood_of_frames_that_are_no_messages_is_cut_off(target: Target, kind: str):
    came, _ = await attacked(target, kind, 4)
    assert came.cut >= 4


async def test_silent_connections_give_way_and_are_closed_counted_and_logged(target: Target):
    came, probed = await attacked(target, "silent", 1_500)
    assert came.open <= CONNECTIONS_MAX + 64
    assert probed.dropped["displaced"] > 0
    await asyncio.to_thread(until, lambda: "connections_dropped" in target.log, 30, "the log says what was dropped")
    await all_gone(target)


async def test_one_address_has_its_share(target: Target):
    came, probed = await attacked(target, "one_address", 2 * PER_ADDRESS_MAX)
    assert came.answers.keys() == {"429"}
    assert probed.dropped["address"] >= PER_ADDRESS_MAX
    await all_gone(target)


async def all_gone(target: Target) -> None:
    """Every connection that said nothing was closed in time."""

    def only_ours() -> bool:
        metrics = httpx.get(f"{target.up.url}/metrics").text
        return "\nece_connections_open 1.0\n" in metrics

    await asyncio.to_thread(until, only_ours, 20, "all silent connections are closed")


async def test_a_gateway_without_a_free_file_says_so_and_recovers(target: Target):
    # What is opened is closed again when the deadline comes.
    before = target.gateway.rlimit(psutil.RLIMIT_NOFILE)
    async with bidding(target) as took_s:
        target.gateway.rlimit(psutil.RLIMIT_NOFILE, (target.gateway.num_fds() + 5, before[1]))
        clients = [socket.create_connection(("127.0.0.1", target.up.port)) for _ in range(20)]
        said = "file_descriptors_exhausted"
        await asyncio.to_thread(until, lambda: said in target.log, 10, "the log says that no file can be opened")
        for client in clients:
            client.close()
        again = "file_descriptors_available_again"
        await asyncio.to_thread(until, lambda: again in target.log, 10, "the log says that it is over")
        bids = len(took_s)
        await asyncio.to_thread(until, lambda: len(took_s) > bids + 5, 10, "bids go on")
        assert (await asyncio.to_thread(httpx.get, f"{target.up.url}/healthz")).status_code == 200
    target.gateway.rlimit(psutil.RLIMIT_NOFILE, before)
