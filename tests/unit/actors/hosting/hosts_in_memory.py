"""Hosts over stores in memory, in virtual time, and clients that note every answer they get."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from auction_examples import NAMES, terms
from auction_requests import bid_request, buy_request, decode_event, open_request, state_in, state_request
from virtual_time import EPOCH_MS, VirtualClock

from actors.hosting.host import Host
from actors.hosting.limits import HostLimits
from actors.stream.messages import Answer, Command, Open, Refused, Request, StateAnswer, Update
from domain.auction.state import Auction, apply
from domain.log.codec import first_hash, next_hash
from domain.money import usd
from persistence.placement.directory import slot_of
from tests.memory.event_log import MemoryEventLog
from tests.memory.snapshots import MemorySnapshots
from tests.memory.tables import MemoryTables, Weather

SLOTS = 8
HOUR_MS = 3_600_000
AUCTIONS = tuple(7_000_000_000_000_000 + i for i in range(1, 40))
FIRST = AUCTIONS[0]

_decode_news = msgspec.msgpack.Decoder(list[Update[msgspec.Raw]]).decode


class Published:
    """Takes what hosts announce."""

    def __init__(self) -> None:
        self.pages: list[tuple[str, list[Update[msgspec.Raw]]]] = []

    def publish(self, channel: str, message: bytes) -> None:
        self.pages.append((channel, _decode_news(message)))

    @property
    def updates(self) -> list[Update[msgspec.Raw]]:
        return [update for _, page in self.pages for update in page]


class World:
    """One database, one clock, any number of hosts."""

    def __init__(self) -> None:
        self.tables = MemoryTables()
        self.weather = Weather()
        self.clock = VirtualClock()
        self.published = Published()

    def host(
        self, limits: HostLimits | None = None, clock: VirtualClock | None = None, holds: Any = None,
        copy_locks: Any = None,
    ) -> Host:  # fmt: skip
        host = Host(
            MemoryEventLog(self.tables, self.weather, holds),  # type: ignore[arg-type]
            MemorySnapshots(self.tables, self.weather),  # type: ignore[arg-type]
            self.published,
            slots_total=SLOTS,
            limits=limits or HostLimits(),
            clock=clock or self.clock,
            holds=holds,
            copy_locks=copy_locks,
        )
        host.ownership.slots = frozenset(range(SLOTS))
        host.outages.commit_succeeded(self.clock.now_ms())
        return host

    @asynccontextmanager
    async def running(self, host: Host | None = None, **options: Any) -> AsyncIterator["Client"]:
        """A host at work with its heart beating, and a client of it. Stops as a kill would: nothing is saved."""
        host = host or self.host(**options)
        await host.prepare()
        tasks = [asyncio.create_task(host.run()), asyncio.create_task(self._beat(host))]
        try:
            yield Client(host)
        finally:
            host.timers.stop()
            for task in [*tasks, *host._loader.tasks]:
                task.cancel()
            await asyncio.gather(*tasks, *host._loader.tasks, return_exceptions=True)
            for task in tasks:
                if not task.cancelled() and (error := task.exception()):
                    raise error

    async def _beat(self, host: Host) -> None:
        while True:
            if self.weather.down:
                host.outages.commit_failed()
            else:
                host.outages.commit_succeeded(host.clock.now_ms())
            await asyncio.sleep(0.5)

    def replayed(self, auction: int = FIRST) -> Auction:
        """The state that the log gives, its chain checked."""
        state: Auction | None = None
        digest = first_hash("auction", auction)
        for number, row in enumerate(self.tables.events[auction], 1):
            digest = next_hash(digest, row.epoch, row.seq, row.at, row.body)
            assert (row.seq, row.hash) == (number, digest)
            state = apply(state, decode_event(row.body))
        assert state is not None
        return state


class Client:
    """Asks a host, and keeps every answer under the request's number: one each, or something is wrong."""

    _numbers = itertools.count(1)

    def __init__(self, host: Host) -> None:
        self.host = host
        self.answers: dict[int, list[Answer]] = {}
        self._arrived = asyncio.Event()

    def send(self, request: Request) -> int:
        return self._send(request, self._take)

    def send_raw(self, request: Request) -> int:
        """Send; the answer stays as it comes, whatever kind it is of."""
        return self._send(request, self._take_raw)

    def _send(self, request: Request, take: Callable[[int, Answer], None]) -> int:
        number = next(self._numbers)
        self.answers[number] = []
        self.host.submit(request, number, take)
        return number

    def _take(self, number: int, answer: Answer) -> None:
        if isinstance(answer, StateAnswer):
            # As a gateway would read it.
            answer = msgspec.structs.replace(answer, state=state_in(answer))  # type: ignore[arg-type]
        self._take_raw(number, answer)

    def _take_raw(self, number: int, answer: Answer) -> None:
        self.answers[number].append(answer)
        self._arrived.set()

    def answer(self, number: int) -> Answer:
        [answer] = self.answers[number]
        return answer

    async def settled(self) -> None:
        """Return once every request has an answer."""
        async with asyncio.timeout(600):
            while not all(self.answers.values()):
                self._arrived.clear()
                await self._arrived.wait()

    async def ask(self, request: Request) -> Answer:
        number = self.send(request)
        async with asyncio.timeout(600):
            while not self.answers[number]:
                self._arrived.clear()
                await self._arrived.wait()
        return self.answer(number)

    async def create(self, auction: int = FIRST, **changes: Any) -> Answer:
        return await self.ask(creation(auction, **changes))

    async def state(self, auction: int = FIRST) -> StateAnswer:
        answer = await self.ask(state_request(auction))
        assert isinstance(answer, StateAnswer), answer
        return answer

    async def code(self, request: Request) -> str:
        answer = await self.ask(request)
        assert isinstance(answer, Refused), answer
        return answer.code


def creation(auction: int = FIRST, **changes: Any) -> Open:
    """An auction that begins now and lasts an hour."""
    times = {"starts_at": EPOCH_MS, "ends_at": EPOCH_MS + HOUR_MS}
    return open_request(auction, terms(**({"auction": auction} | times | changes)))


def bid(bidder: int, dollars: int, key: str | None = None, auction: int = FIRST) -> Command:
    return bid_request(auction, bidder, NAMES.get(bidder, f"n{bidder}"), usd(dollars), key or f"{bidder}-{dollars}")


def buy(bidder: int, key: str = "buy", auction: int = FIRST) -> Command:
    return buy_request(auction, bidder, NAMES.get(bidder, f"n{bidder}"), key)


def slot(auction: int = FIRST) -> int:
    return slot_of(auction, SLOTS)
