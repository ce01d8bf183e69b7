"""Random days of hosts that share a log, in virtual time: stores fail, hosts die, clients retry; the promises hold.

A day is made from its seed alone. `ECE_SIMULATIONS` looks at more of them.
"""

import asyncio
import os
import random
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from auction_examples import SELLER
from auction_requests import bid_request, buy_request, decode_event, ordered, refused, state_in, state_request
from structlog.testing import capture_logs
from virtual_time import EPOCH_MS, virtual

from actors.hosting.host import Host
from actors.hosting.limits import HostLimits
from actors.stream.messages import Accepted, Answer, Command, Refused, Request, StateAnswer
from domain.auction.commands import PlaceBid
from domain.auction.terms import SoftClose
from domain.kinds import kind_of
from domain.log.chain import LogRow
from domain.log.codec import command_key
from domain.log.verification import LogVerifier
from persistence.postgres.errors import StoreUnavailable
from tests.memory.tables import listed
from tests.unit.actors.hosting.hosts_in_memory import AUCTIONS, World, creation

SEEDS = range(int(os.environ.get("ECE_SIMULATIONS", "12")))
UNCERTAIN = {"unavailable", "overloaded", "moved"}
DAY_MS = 20_000
LOST = refused("unavailable", 0)


def key_of(order: Command) -> tuple[int, str]:
    assert order.key is not None
    return order.key


@dataclass
class Promise:
    """The final answer that a client got to one of its orders."""

    order: Command
    answers: list[Accepted] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)


class Day:
    """One simulated day."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.world = World()
        self.world.weather.pause = self.pause
        self.hosts: list[Host] = []
        self.tasks: dict[Host, list[asyncio.Task[None]]] = {}
        self.promises: dict[tuple[int, int, str], Promise] = {}
        self.answered: dict[int, int] = {}
        self.heights: dict[int, int] = {}
        self.limits = HostLimits(
            inbox_max=60, mailbox_max=25, batch_max=40, snapshot_every_events=5, passivate_after_ms=300
        )

    async def pause(self) -> None:
        await asyncio.sleep(self.random.choice([0, 0, 0.001, 0.004, 0.02]))

    # -- hosts

    async def start_host(self) -> None:
        host = self.world.host(self.limits)
        self.hosts.append(host)
        self.tasks[host] = [asyncio.create_task(host.run()), asyncio.create_task(self.maintain(host))]
        # As the directory would report it.
        for auction, head in self.world.tables.summaries.items():
            host.timers.set(auction, head.due_at)

    async def maintain(self, host: Host) -> None:
        while True:
            await asyncio.sleep(0.3)
            host.outages.commit_succeeded(self.world.clock.now_ms())
            host.maintain()
            with suppress(StoreUnavailable):
                await host.records.flush()

    async def kill(self, host: Host) -> None:
        """As kill -9: nobody is answered, nothing is saved."""
        self.hosts.remove(host)
        host.timers.stop()
        tasks = [*self.tasks.pop(host), *host._loader.tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- the day

    async def troubles(self) -> None:
        """Every now and then something goes wrong."""
        while True:
            await asyncio.sleep(self.random.uniform(0.05, 0.6))
            match self.random.randrange(6):
                case 0 | 1:
                    self.world.weather.writes.extend(self.random.choices(["lost", "landed", "fine"], k=3))
                case 2:
                    self.world.weather.down = True
                    await asyncio.sleep(self.random.uniform(0.01, 0.5))
                    self.world.weather.down = False
                case 3:
                    await self.kill(self.random.choice(self.hosts))
                    await self.start_host()
                case 4:
                    await self.start_host()
                case _:
                    if len(self.hosts) > 1:
                        await self.kill(self.hosts[0])

    async def client(self, bidder: int) -> None:
        """Bids, and sends again what it does not know the end of; at times also what it knows."""
        while self.world.clock.now_ms() < EPOCH_MS + DAY_MS:
            order = self.new_order(bidder)
            await self.until_certain(order)
            if self.random.random() < 0.3:
                await asyncio.sleep(self.random.uniform(0, 0.5))
                await self.until_certain(self.random.choice(self.of(bidder)).order)
            await asyncio.sleep(self.random.uniform(0, 0.05))

    def new_order(self, bidder: int) -> Command:
        auction = self.random.choice(AUCTIONS[:3])
        key = f"k{len(self.promises)}"
        height = self.heights[auction] = self.heights.get(auction, 0) + self.random.randrange(-40_000, 400_000)
        order: Command = bid_request(auction, bidder, f"n{bidder}", max(1, 1_000_000 + height), key)
        if self.random.random() < 0.02:
            order = buy_request(auction, bidder, f"n{bidder}", key)
        self.promises[auction, bidder, key] = Promise(order)
        return order

    def of(self, bidder: int) -> list[Promise]:
        return [promise for (_, who, _), promise in self.promises.items() if who == bidder and promise.answers] or [
            promise for (_, who, _), promise in self.promises.items() if who == bidder
        ]

    async def until_certain(self, order: Command) -> None:
        promise = self.promises[order.entity, *key_of(order)]
        for _ in range(200):
            answer = await self.ask(order)
            if isinstance(answer, Accepted):
                promise.answers.append(answer)
                return
            assert isinstance(answer, Refused), answer
            if answer.code not in UNCERTAIN:
                promise.refusals.append(answer.code)
                return
            await asyncio.sleep(self.random.uniform(0.001, 0.1))
        raise AssertionError("a client never learned what became of its order")

    async def ask(self, request: Request) -> Answer:
        """To any host; one that dies before it answers leaves `unavailable`, as a lost stream does."""
        host = self.random.choice(self.hosts)
        number = len(self.answered)
        self.answered[number] = 0
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def reply(_: int, answer: Answer) -> None:
            self.answered[number] += 1
            if not future.done():
                future.set_result(answer)

        host.submit(request, number, reply)
        while not future.done() and host in self.hosts:
            await asyncio.wait([future], timeout=0.5)
        if not future.done():
            self.answered[number] += 1
            return LOST
        return future.result()

    async def live(self) -> None:
        await self.start_host()
        for i, auction in enumerate(AUCTIONS[:3]):
            request = creation(
                auction,
                ends_at=EPOCH_MS + DAY_MS - 4_000 * i,
                reserve_price=(None, 3_000_000, 9_000_000_000)[i],
                buy_now_price=(None, 90_000_000, None)[i],
                soft_close=(None, None, SoftClose(1_000, 1_000, 20))[i],
            )
            assert isinstance(await self.ask(request), StateAnswer)
        trouble = asyncio.create_task(self.troubles())
        try:
            await asyncio.gather(*(self.client(bidder) for bidder in range(SELLER + 1, SELLER + 6)))
        finally:
            trouble.cancel()
            await asyncio.gather(trouble, return_exceptions=True)
        self.world.weather.writes.clear()
        self.world.weather.down = False
        await asyncio.sleep(60)
        self.states = [await self.ask(state_request(auction)) for auction in AUCTIONS[:3]]
        for host in list(self.hosts):
            await self.kill(host)

    # -- the reckoning

    def check(self) -> None:
        assert set(self.answered.values()) == {1}, "every request is answered once"
        for auction in AUCTIONS[:3]:
            self.check_log(auction)
        for promise in self.promises.values():
            self.check_promise(promise)
        assert sum(len(promise.answers) for promise in self.promises.values()) > 50

    def check_log(self, auction: int) -> None:
        """The chain, and that each row follows from the rules; closed once, and everyone sees that."""
        rows = self.world.tables.events[auction]
        verifier = LogVerifier(kind_of("auction"), auction)
        for row in rows:
            verifier.feed(LogRow(row.seq, row.epoch, row.at, row.command_key, row.body, row.hash))
        verdict = verifier.finish()
        assert verdict.findings == ()
        assert verdict.state is not None
        assert verdict.state.status.value == "closed"
        answer = self.states[AUCTIONS.index(auction)]
        assert isinstance(answer, StateAnswer)
        state = state_in(answer)
        assert (answer.seq, state.price, state.status) == (len(rows), verdict.state.price, "closed")
        summary = listed(self.world.tables.summaries[auction])
        assert (summary.seq, summary.winner, summary.due_at) == (len(rows), verdict.state.winner, None)

    def check_promise(self, promise: Promise) -> None:
        order, answers = promise.order, promise.answers
        found = self.world.tables.keys.get((order.entity, command_key(*key_of(order))))
        if not answers:
            assert promise.refusals, "nobody is left without an answer"
            assert found is None, f"{promise.refusals} was told of a bid that counts"
            return
        assert promise.refusals == [], "what was accepted is never refused afterwards"
        assert found is not None, "an acknowledged bid is never lost"
        event = decode_event(found.body)
        for answer in answers:
            assert (answer.seq, answer.at, answer.epoch) == (found.seq, found.at, found.epoch)
            assert (answer.result.price, answer.result.minimum, answer.result.ends_at) == (
                event.price,
                event.minimum,
                event.ends_at,
            )
        command = ordered(order)
        if isinstance(command, PlaceBid):
            assert event.maximum == command.amount
        assert event.bidder == command.bidder


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_no_ack_is_lost_none_is_false_and_every_request_is_answered_once(
    seed: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("actors.hosting.entity.entity.RECENT_KEYS_MAX", 3)

    @virtual
    async def scenario() -> None:
        day = Day(seed)
        await day.live()
        day.check()

    with capture_logs() as logs:
        scenario()
    faults = [entry for entry in logs if entry["event"] in ("order_failed", "batch_failed", "auction_unreadable")]
    assert faults == []
