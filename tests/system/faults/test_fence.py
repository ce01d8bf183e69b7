"""Two hosts, each a process of its own on a real PostgreSQL, who both believe that they keep the same auctions."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import pytest
from engines import SharedEngine

from bench.faults import checker
from bench.faults.auction_log import AuctionLog, read_logs
from bench.faults.checker import Violation, violations
from bench.faults.recording import Recording
from domain.ids import id_text
from persistence.ledger.faucet import fund
from persistence.postgres.pool import close_pool, open_pool
from tests.faults.broken import sabotaged
from tests.faults.hosts import (
    HostChild,
    Line,
    StreamBidder,
    close_auction,
    host_child,
    open_auction,
    state_of,
)
from tests.faults.scene import until

BIDDER_FIRST, BIDDERS_MAX = 1_000, 1_000
HOUR_S = 3_600
HOUR_MS = HOUR_S * 1_000
DAY_MS = 24 * HOUR_MS


class Stage:
    """Two hosts, auctions, bidders, and the checker."""

    def __init__(self, database_url: str, hosts: Sequence[HostChild]) -> None:
        self.database_url = database_url
        self.hosts = hosts
        self.lines = [Line(host) for host in hosts]
        self.recording = Recording()
        self.auctions: list[int] = []
        self.bidders: list[StreamBidder] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def list_auction(self, line: Line, duration_ms: int = DAY_MS) -> int:
        connection = await asyncpg.connect(self.database_url)
        try:
            auction: int = await connection.fetchval("SELECT next_id()")
        finally:
            await connection.close()
        now_ms: int = (await line.child.order("health"))["now_ms"]
        await open_auction(line, auction, now_ms, duration_ms)
        self.auctions.append(auction)
        return auction

    def bid(self, lines: list[Line], bidders: int) -> list[StreamBidder]:
        """So many more bidders, from now on."""
        first = BIDDER_FIRST + len(self.bidders)
        new = [StreamBidder(first + n, lines, self.auctions, self.recording) for n in range(bidders)]
        self.bidders += new
        self._tasks += [asyncio.create_task(bidder.run()) for bidder in new]
        return new

    async def more_acks(self, bidders: Sequence[StreamBidder], number: int) -> None:
        wanted = sum(bidder.acks for bidder in bidders) + number
        await until(lambda: self._failed() or sum(b.acks for b in bidders) >= wanted, f"{number} more acks")
        assert not self._failed(), self._failed()

    async def end(self, line: Line) -> list[Violation]:
        """Let the last bids be answered, close all auctions, and check."""
        for bidder in self.bidders:
            bidder.stopping = True
        async with asyncio.timeout(60):
            await asyncio.gather(*self._tasks)
        for auction in self.auctions:
            await close_auction(line, auction)
        return violations(self.recording, await self.logs(), closed=True)

    async def logs(self) -> dict[str, AuctionLog]:
        return await read_logs(self.database_url, [id_text(auction) for auction in self.auctions])

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for line in self.lines:
            line.close()

    def _failed(self) -> list[BaseException]:
        done = [task for task in self._tasks if task.done() and not task.cancelled()]
        return [error for task in done if (error := task.exception()) is not None]


async def has_stepped_down(host: HostChild) -> bool:
    return not (await host.order("health"))["slots"]


async def has_ended(line: Line, auction: int) -> bool:
    return (await state_of(line, auction)).status != "open"


async def fund_bidders(database_url: str) -> None:
    """These bidders have no accounts but in the ledger."""
    pool = await open_pool(database_url, size_max=1)
    try:
        await fund(pool, range(BIDDER_FIRST, BIDDER_FIRST + BIDDERS_MAX), time.time_ns() // 1_000_000)
    finally:
        await close_pool(pool)


@asynccontextmanager
async def stage(
    engine: SharedEngine, database_url: str, *, ahead_s: Sequence[int] = (0, 0), broken: str | None = None
) -> AsyncIterator[Stage]:
    """One host for each of `ahead_s`: so far ahead is its wall clock."""
    environment = None if broken is None else sabotaged(broken)
    async with AsyncExitStack() as stack:
        hosts = [
            await stack.enter_async_context(
                host_child(f"fence-{n}", database_url, engine.redis_url, ahead_s=ahead, environment=environment)
            )
            for n, ahead in enumerate(ahead_s)
        ]
        await fund_bidders(database_url)
        made = Stage(database_url, hosts)
        stack.push_async_callback(made.close)
        yield made


async def both_believe(made: Stage) -> tuple[list[StreamBidder], list[StreamBidder]]:
    """The first host owns all slots and does not notice that the second acquired them; each has its own bidders."""
    [one, other] = made.hosts
    await one.take_all()
    for _ in range(2):
        await made.list_auction(made.lines[0])
    await one.order("ignore_directory")
    await other.take_all()
    return made.bid([made.lines[0]], 4), made.bid([made.lines[1]], 4)


async def test_two_hosts_that_both_believe_to_keep_an_auction_write_one_log_and_no_ack_is_false(
    engine: SharedEngine, database_url: str
):
    async with stage(engine, database_url) as made:
        mine, others = await both_believe(made)
        # The second writer collides, reloads and tries again: the log has room for both.
        await made.more_acks(mine, 40)
        await made.more_acks(others, 40)
        assert [(await host.order("health"))["slots"] for host in made.hosts] == [4, 4]
        # With the next heartbeat the first host steps down, and its bidders are sent to the second.
        await made.hosts[0].order("follow_directory")
        await until(lambda: all(bidder.moved for bidder in mine), "the first host sends everybody away")
        await made.more_acks(others, 20)
        # What a host refuses is fenced by its lease, which this one has without a right: only the log is between them.
        found = await made.end(made.lines[1])
        assert [one for one in found if one.kind != checker.STALE_REFUSAL] == []


async def test_without_the_fence_the_checker_sees_the_bids_that_a_second_writer_loses(
    engine: SharedEngine, database_url: str
):
    async with stage(engine, database_url, broken="no fence") as made:
        mine, others = await both_believe(made)
        await made.more_acks(mine, 30)
        await made.more_acks(others, 30)
        await made.hosts[0].order("follow_directory")
        await until(lambda: all(bidder.moved for bidder in mine), "the first host sends everybody away")
        assert checker.LOST in {found.kind for found in await made.end(made.lines[1])}


@pytest.mark.timeout(180)
@pytest.mark.parametrize("stopped_s", [0, 30])
async def test_a_host_that_wakes_up_after_its_slots_went_elsewhere_is_harmless(
    engine: SharedEngine, database_url: str, stopped_s: int
):
    """For as long as the takeover takes, and for half a minute in which an auction ends."""
    async with stage(engine, database_url) as made:
        [sleeper, taker] = made.hosts
        await sleeper.take_all()
        for _ in range(2):
            await made.list_auction(made.lines[0])
        ends_meanwhile = await made.list_auction(made.lines[0], max(20, stopped_s) * 1_000)
        bidders = made.bid(made.lines, 8)
        await made.more_acks(bidders, 60)
        sleeper.stop()
        stopped_at = time.monotonic()
        await taker.take_all()
        await made.more_acks(bidders, 60)
        await until(lambda: time.monotonic() - stopped_at >= stopped_s, "it was stopped long enough")
        sleeper.go_on()
        # What waited in its inbox is decided on a state of the past, collides, and is decided again or rejected.
        await until(lambda: has_stepped_down(sleeper), "the sleeper has stepped down")
        await made.more_acks(bidders, 30)
        if stopped_s:
            assert (await state_of(made.lines[1], ends_meanwhile)).status == "closed"
        assert await made.end(made.lines[1]) == []


async def test_slots_that_move_from_host_to_host_and_back_under_load_lose_nothing_on_the_way(
    engine: SharedEngine, database_url: str
):
    """Released and taken, or taken from a host that is killed right after the hand-off."""
    async with stage(engine, database_url, ahead_s=(0, 0, 0)) as made:
        first, second, last = made.hosts
        await first.take_all()
        for _ in range(3):
            await made.list_auction(made.lines[0])
        bidders = made.bid(made.lines, 8)
        for source, target in [(first, second), (second, first)] * 4:
            await made.more_acks(bidders, 30)
            await target.take_all(await source.release_all())
        await made.more_acks(bidders, 30)
        await first.release_all()
        first.process.kill()
        await last.take_all()
        await made.more_acks(bidders, 60)
        assert await made.end(made.lines[2]) == []


async def test_a_wall_clock_that_jumps_by_an_hour_closes_and_opens_nothing(engine: SharedEngine, database_url: str):
    async with stage(engine, database_url, ahead_s=(0,)) as made:
        [host], [line] = made.hosts, made.lines
        await host.take_all()
        long = await made.list_auction(line, 30 * 60 * 1_000)
        short = await made.list_auction(line, 3_000)
        ends_at = (await state_of(line, short)).ends_at
        bidders = made.bid([line], 4)
        await made.more_acks(bidders, 20)
        await host.order("set_wall", ahead_s=HOUR_S)
        await made.more_acks(bidders, 20)
        assert (await state_of(line, long)).status == "open"
        await host.order("set_wall", ahead_s=-HOUR_S)
        await until(lambda: has_ended(line, short), "the short auction has ended")
        await host.order("set_wall", ahead_s=0)
        assert await made.end(line) == []
        log = (await made.logs())[id_text(short)]
        [(closing, _)] = log.closings
        assert 0 <= log.rows[closing].at - ends_at < HOUR_MS // 10


@pytest.mark.parametrize("ahead_s", [HOUR_S, -HOUR_S])
async def test_a_host_whose_clock_is_wrong_by_an_hour_takes_over_and_closes_or_reopens_nothing_wrongly(
    engine: SharedEngine, database_url: str, ahead_s: int
):
    """The hour that it believes to have passed was an outage to it: ends that lie there are moved. Then a host whose
    clock is right takes over again."""
    async with stage(engine, database_url, ahead_s=(0, ahead_s)) as made:
        [right, wrong] = made.hosts
        await right.take_all()
        open_still = await made.list_auction(made.lines[0], 30 * 60 * 1_000)
        ended = await made.list_auction(made.lines[0])
        bidders = made.bid([made.lines[0], made.lines[1]], 4)
        await made.more_acks(bidders, 20)
        await close_auction(made.lines[0], ended)
        await wrong.take_all()
        await made.more_acks(bidders, 20)
        states = [(await state_of(made.lines[1], auction)).status for auction in (open_still, ended)]
        assert states == ["open", "closed"]
        await right.take_all()
        await made.more_acks(bidders, 20)
        states = [(await state_of(made.lines[0], auction)).status for auction in (open_still, ended)]
        assert states == ["open", "closed"]
        assert await made.end(made.lines[0]) == []
