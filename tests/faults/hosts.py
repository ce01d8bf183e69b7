"""Hosts as processes of their own, without Ray, and bidders who talk to them as a gateway does."""

import asyncio
import itertools
import json
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from auction_requests import bid_request, close_request, open_request, refused, result_of, state_in, state_request

from actors.stream.connection import GatewayStream, HandshakeFailed, open_stream
from actors.stream.messages import Accepted, Answer, Command, Refused, Request, StateAnswer
from bench.faults.recording import Acked, Order, Recording, RefusedOrder
from domain.auction.terms import Terms
from domain.auction.views import PublicState
from domain.ids import id_text

SECRET = "a secret of the fault tests' own hosts"
SLOTS = 4
USD = 1_000_000
STARTS_WITHIN_S = 60.0
ANSWERS_WITHIN_S = 60.0
# As long as a gateway waits, shortened: the next host may know better.
BID_WAIT_S = 2.0
UNKNOWN = ("unavailable", "overloaded", "moved")


@dataclass
class HostChild:
    """One host's process."""

    host_id: str
    process: asyncio.subprocess.Process
    port: int = 0

    async def order(self, do: str, **fields: Any) -> dict[str, Any]:
        """Have it do something, and wait until it has."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **fields}).encode() + b"\n")
        return await self.next_answer()

    async def next_answer(self, within_s: float = ANSWERS_WITHIN_S) -> dict[str, Any]:
        assert self.process.stdout is not None
        async with asyncio.timeout(within_s):
            line = await self.process.stdout.readline()
        assert line, f"{self.host_id} has ended"
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def take_all(self, released_at: int | None = None) -> None:
        await self.order("take", slots=list(range(SLOTS)), released_at=released_at)

    async def release_all(self) -> int:
        """Hand off all slots; returns the time from which another host may own them."""
        return int((await self.order("release", slots=list(range(SLOTS))))["released_at"])

    def stop(self) -> None:
        """SIGSTOP: it lives, and does nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def host_child(
    host_id: str, database_url: str, redis_url: str, *, ahead_s: int = 0, environment: Mapping[str, str] | None = None
) -> AsyncIterator[HostChild]:
    """A host that serves, without slots yet; killed at the end. `ahead_s`: how wrong its wall clock is."""
    configuration = {
        "host_id": host_id, "slots_total": SLOTS, "database_url": database_url, "redis_url": redis_url,
        "cluster_secret": SECRET, "ahead_s": ahead_s,
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.host_main", json.dumps(configuration),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env={**os.environ, **(environment or {})},
    )  # fmt: skip
    child = HostChild(host_id, process)
    try:
        child.port = (await child.next_answer(STARTS_WITHIN_S))["port"]
        yield child
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


class Line:
    """A stream to one host; connects again when it is lost. Late answers are delivered as well."""

    _ids = itertools.count(1)

    def __init__(self, child: HostChild) -> None:
        self.child = child
        self._stream: GatewayStream | None = None
        self._asked: dict[int, asyncio.Future[Answer]] = {}
        self._connecting = asyncio.Lock()

    async def send(self, request: Request) -> "asyncio.Future[Answer]":
        """The answer to come; `unavailable` when the stream is lost first. Raises what open_stream raises."""
        async with self._connecting:
            if self._stream is None:
                secret = SECRET.encode()
                self._stream = await open_stream("127.0.0.1", self.child.port, secret, self._answered, self._lost)
        number = next(self._ids)
        self._asked[number] = asyncio.get_running_loop().create_future()
        self._stream.send([(number, request)])
        return self._asked[number]

    async def ask(self, request: Request) -> Answer:
        """The answer, however often it has to be asked for."""
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            while True:
                with suppress(OSError, TimeoutError, HandshakeFailed):
                    answer = await (await self.send(request))
                    if not isinstance(answer, Refused) or answer.code not in UNKNOWN:
                        return answer
                await asyncio.sleep(0.05)

    def close(self) -> None:
        if self._stream is not None and self._stream.transport is not None:
            self._stream.transport.abort()

    def _answered(self, answers: list[tuple[int, Answer]]) -> None:
        for number, answer in answers:
            self._asked.pop(number).set_result(answer)

    def _lost(self) -> None:
        self._stream = None
        asked, self._asked = self._asked, {}
        for future in asked.values():
            if not future.done():
                future.set_result(refused("unavailable", 0))


class StreamBidder:
    """Bids over the lines given, the first one first; goes to the next when a host does not answer, or has moved."""

    def __init__(self, number: int, lines: list[Line], auctions: list[int], recording: Recording) -> None:
        self.number = number
        self.name = f"bidder{number}"
        self.lines = lines
        self.acks = 0
        self.late_acks = 0
        self.moved = 0
        self.stopping = False
        self._auctions = auctions
        self._recording = recording
        self._random = random.Random(number)
        self._minimum: dict[int, int] = {}
        self._at = 0

    async def run(self) -> None:
        for count in itertools.count():
            if self.stopping:
                return
            auction = self._random.choice(self._auctions)
            amount = self._minimum.get(auction, USD) + self._random.randrange(0, 3 * USD, 10_000)
            order = Order(id_text(auction), self.name, f"k{count}", amount, time.monotonic_ns())
            self._recording.orders.append(order)
            await self._until_known(auction, order)

    async def _until_known(self, auction: int, order: Order) -> None:
        request = bid_request(auction, self.number, self.name, order.amount, order.key)
        while not (self.stopping and self.lines[self._at].child.process.returncode is not None):
            answer = await self._try(request, order)
            if isinstance(answer, Accepted):
                self._minimum[auction] = result_of(answer).minimum
                return
            if isinstance(answer, Refused) and answer.code not in UNKNOWN:
                self._minimum[auction] = max(self._minimum.get(auction, 0), answer.details.get("minimum", 0))
                self._recording.refused.append(
                    RefusedOrder(
                        order,
                        answer.code,
                        answer.details.get("price"),
                        answer.details.get("minimum"),
                        answer.server_time,
                    )
                )
                return
            if isinstance(answer, Refused) and answer.code == "moved":
                self.moved += 1
                if self.stopping and len(self.lines) == 1:
                    return
            self._at = (self._at + 1) % len(self.lines)
            await asyncio.sleep(0.02)

    async def _try(self, request: Command, order: Order) -> Answer | None:
        """None: it did not answer in time. A late ack is still recorded."""
        try:
            coming = await self.lines[self._at].send(request)
        except (OSError, TimeoutError, HandshakeFailed):
            return None
        try:
            async with asyncio.timeout(BID_WAIT_S):
                answer = await asyncio.shield(coming)
        except TimeoutError:
            coming.add_done_callback(lambda late: self._heard_late(order, late.result()))
            return None
        if isinstance(answer, Accepted):
            self._note(order, answer)
        return answer

    def _heard_late(self, order: Order, answer: Answer) -> None:
        """A gateway has given up by then, and forgets what comes; an ack must be true nevertheless."""
        if isinstance(answer, Accepted):
            self.late_acks += 1
            self._note(order, answer)

    def _note(self, order: Order, answer: Accepted) -> None:
        self.acks += 1
        won = result_of(answer)
        self._recording.acks.append(
            Acked(order, time.monotonic_ns(), answer.seq, answer.at, won.outcome, won.price, won.minimum, won.ends_at,
                  answer.duplicate)
        )  # fmt: skip


async def open_auction(line: Line, auction: int, starts_at: int, duration_ms: int) -> None:
    """List an auction that is open at once."""
    terms = Terms(auction=auction, seller=1, seller_name="seller", title="Two hosts", starting_price=USD,
                  starts_at=starts_at, ends_at=starts_at + duration_ms)  # fmt: skip
    answer = await line.ask(open_request(auction, terms))
    assert isinstance(answer, StateAnswer), answer


async def state_of(line: Line, auction: int) -> PublicState:
    answer = await line.ask(state_request(auction))
    assert isinstance(answer, StateAnswer), answer
    return state_in(answer)


async def close_auction(line: Line, auction: int) -> None:
    answer = await line.ask(close_request(auction, 1))
    assert isinstance(answer, StateAnswer) or (isinstance(answer, Refused) and answer.code == "auction_closed"), answer
