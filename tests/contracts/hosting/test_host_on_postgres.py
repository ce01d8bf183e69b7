"""A host over a real PostgreSQL whose connections are cut under it: no ack lost, none false, nothing twice."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from auction_examples import AUCTION, terms
from auction_requests import bid_request, open_request, state_in, state_request

from actors.clock import Clock
from actors.hosting.host import Host
from actors.hosting.limits import HostLimits
from actors.stream.messages import Accepted, Answer, Refused, Request, StateAnswer
from domain.kinds import kind_of
from domain.log.chain import LogRow
from domain.log.codec import command_key
from domain.log.verification import LogVerifier
from persistence.log.event_log import EventLog
from persistence.log.snapshots import SnapshotStore
from persistence.postgres.pool import Pool
from persistence.summary_tables import SUMMARY_TABLES

_numbers = itertools.count(1)
BIDDERS = range(10, 18)
DOUBTS = 60
ACKS = 40
BIDS_EACH_MAX = 2_000


class NoNews:
    """Nobody listens."""

    def publish(self, channel: str, message: bytes) -> None:
        pass


SURE_WITHIN_S = 60.0


class Client:
    """Asks, and asks again with the same key while nobody knows."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.doubts = 0
        self.acks = 0

    async def ask(self, request: Request) -> Answer:
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.host.submit(request, next(_numbers), lambda _, answer: future.set_result(answer))
        async with asyncio.timeout(20):
            return await future

    async def surely(self, request: Request) -> Answer:
        # A loaded machine may take many tries: an entity has to be loaded between two cuts.
        async with asyncio.timeout(SURE_WITHIN_S):
            while True:
                answer = await self.ask(request)
                if not isinstance(answer, Refused) or answer.code != "unavailable":
                    self.acks += isinstance(answer, Accepted)
                    return answer
                self.doubts += 1
                await asyncio.sleep(0.01)


async def cut_connections(pool: Pool, chance: random.Random) -> None:
    """End other backends of this database, over and over."""
    while True:
        await asyncio.sleep(chance.uniform(0.005, 0.03))
        await pool.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND datname = current_database() AND random() < 0.6"
        )


async def bid_along(client: Client, bidder: int, chance: random.Random) -> dict[tuple[int, str], Answer]:
    """Ever higher bids, each to its certain end, until enough of them were in doubt for a time."""
    told: dict[tuple[int, str], Answer] = {}
    for number in range(BIDS_EACH_MAX):
        if client.doubts >= DOUBTS and client.acks >= ACKS:
            break
        amount = 1_000_000 + chance.randrange(200_000) + number * 900_000
        order = bid_request(AUCTION, bidder, f"n{bidder}", amount, f"k{number}")
        told[bidder, f"k{number}"] = await client.surely(order)
        await asyncio.sleep(chance.uniform(0, 0.01))
    return told


@asynccontextmanager
async def host_at_work(database_url: str) -> AsyncIterator[Client]:
    log = EventLog(database_url, SUMMARY_TABLES)
    await log.open()
    limits = HostLimits(snapshot_every_events=20)
    host = Host(log, SnapshotStore(log.pool), NoNews(), slots_total=8, limits=limits, clock=Clock())
    host.ownership.slots = frozenset(range(8))
    await host.prepare()
    running = asyncio.create_task(host.run())
    try:
        yield Client(host)
    finally:
        host.timers.stop()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await log.close()


@asynccontextmanager
async def connections_cut(pool: Pool, chance: random.Random) -> AsyncIterator[None]:
    cutting = asyncio.create_task(cut_connections(pool, chance))
    try:
        yield
    finally:
        cutting.cancel()
        await asyncio.gather(cutting, return_exceptions=True)


@pytest.mark.parametrize("seed", [1, 2])
async def test_cut_connections_lose_no_ack_and_make_none_false(database_url: str, pool: Pool, seed: int):
    await pool.execute("TRUNCATE entity_events, entity_snapshots, entities, auctions")
    async with host_at_work(database_url) as client:
        now = client.host.clock.now_ms()
        listed = await client.surely(open_request(AUCTION, terms(starts_at=now, ends_at=now + 3_600_000)))
        assert isinstance(listed, StateAnswer)
        async with connections_cut(pool, random.Random(seed)):
            days = await asyncio.gather(*(bid_along(client, who, random.Random(seed + who)) for who in BIDDERS))
        standing = await client.surely(state_request(AUCTION))
        assert client.doubts >= DOUBTS, "hardly an append was cut off"
        assert client.acks >= ACKS, "hardly a bid went through"
    await reckon(pool, {key: answer for day in days for key, answer in day.items()}, standing)


async def reckon(pool: Pool, told: dict[tuple[int, str], Answer], standing: Answer) -> None:
    rows = await pool.fetch(
        "SELECT seq, epoch, at, command_key, body, hash FROM entity_events WHERE entity_id = $1 ORDER BY seq", AUCTION
    )
    verifier = LogVerifier(kind_of("auction"), AUCTION)
    for row in rows:
        verifier.feed(LogRow(*row))
    verdict = verifier.finish()
    assert verdict.findings == ()
    assert isinstance(standing, StateAnswer)
    assert (standing.seq, state_in(standing).price) == (len(rows), verdict.state.price)
    places = {row["command_key"]: row["seq"] for row in rows if row["command_key"] is not None}
    acks = {command_key(*key): a.seq for key, a in told.items() if isinstance(a, Accepted)}
    # What was acknowledged is there, in the place that was told; what was refused for good is not.
    assert acks == places
