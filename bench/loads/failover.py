"""Bidders at a constant rate that survive failures of the engine: each reconnects, resumes its auction, and retries a
bid with the same key until its outcome is known. Every attempt is recorded."""

import asyncio
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import msgspec

from bench.loads.load import STARTING_PRICE, STEP
from bench.wire.client import (
    BACKOFF_FIRST_S,
    REQUEST_DEADLINE_S,
    Ack,
    Incoming,
    NotAnswered,
    Refusal,
    WireClient,
    WireTrouble,
    bid_surely,
)

BIDS_PER_S = 20.0
# So many bids of one bidder may be without a known outcome; then no new one is made until one has it.
OUTSTANDING_MAX = 12
SURE_WITHIN_S = 120.0
DIAL_BACKOFF_MAX_S = 0.2
ACCEPTED = "accepted"
DUPLICATE = "duplicate"
LOST = "lost"
SILENT = "silent"
UNREACHABLE = "unreachable"


class Attempt(msgspec.Struct, frozen=True):
    """One attempt of a bid and its outcome: ACCEPTED, DUPLICATE, the code of a refusal, or a constant from above.

    Times are those of `perf_counter`, seconds. UNREACHABLE: nothing was sent, the connection failed.
    """

    auction: str
    sent_s: float
    answered_s: float
    outcome: str


@dataclass
class LoadLog:
    """What all bidders of one load record."""

    attempts: list[Attempt] = field(default_factory=list)
    # Each acknowledged bid: (auction, seq) and (at, price, outcome).
    acks: dict[tuple[str, int], tuple[int, int, str]] = field(default_factory=dict)
    # From the first sending of each bid until its outcome was known, seconds.
    known_after_s: list[float] = field(default_factory=list)
    lost_connections: int = 0
    # When a bidder that had lost its connection followed its auction again (perf_counter).
    resumed_s: list[float] = field(default_factory=list)


@dataclass
class Amounts:
    """Rising amounts for one auction, whoever bids them."""

    auction: str
    last: int = STARTING_PRICE

    def next(self) -> int:
        self.last += 2 * STEP
        return self.last


class TimedClient(WireClient):
    """A connection that records each of its bids."""

    log: LoadLog

    async def bid(self, auction: str, amount: int, key: str, deadline_s: float = REQUEST_DEADLINE_S) -> Ack | Refusal:
        sent_s = time.perf_counter()
        outcome = LOST
        try:
            answer = await super().bid(auction, amount, key, deadline_s)
            outcome = answer.code if isinstance(answer, Refusal) else DUPLICATE if answer.duplicate else ACCEPTED
            return answer
        except NotAnswered:
            outcome = SILENT
            raise
        finally:
            self.log.attempts.append(Attempt(auction, sent_s, time.perf_counter(), outcome))


class SteadyBidder:
    """Bids in one auction, at a constant rate, over one connection at a time. ``run`` it; ``stop`` ends it.

    ``phase`` (0 to 1) is where in the interval between two bids it begins, so that bidders are spread evenly.
    """

    def __init__(self, base_url: str, token: str, amounts: Amounts, log: LoadLog, phase: float = 0.0) -> None:
        self._base_url = base_url
        self._token = token
        self._amounts = amounts
        self._log = log
        self._phase = phase
        self._client: TimedClient | None = None
        self._connected = asyncio.Event()
        self._position: dict[str, Any] | None = None
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Bid until stopped, then until every outcome is known. Raises WireTrouble for one that stays unknown."""
        following = asyncio.create_task(self._follow_forever())
        bids: set[asyncio.Task[None]] = set()
        due_s = time.perf_counter() + self._phase / BIDS_PER_S
        try:
            while not await self._stopped_by(due_s):
                for bid in [bid for bid in bids if bid.done()]:
                    bids.remove(bid)
                    bid.result()
                if len(bids) < OUTSTANDING_MAX:
                    bids.add(asyncio.create_task(self._bid()))
                due_s += 1 / BIDS_PER_S
            await asyncio.gather(*bids)
        finally:
            for task in (*bids, following):
                task.cancel()
            if self._client is not None:
                self._client.close()

    def stop(self) -> None:
        self._stopping.set()

    async def _stopped_by(self, due_s: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(due_s - time.perf_counter()):
                await self._stopping.wait()
        return self._stopping.is_set()

    async def _bid(self) -> None:
        auction, began_s = self._amounts.auction, time.perf_counter()
        answer = await bid_surely(self._live, auction, self._amounts.next(), uuid4().hex, SURE_WITHIN_S)
        self._log.known_after_s.append(time.perf_counter() - began_s)
        if isinstance(answer, Ack):
            self._log.acks[auction, answer.seq] = (answer.at, answer.price, answer.outcome)

    async def _live(self) -> WireClient:
        await self._connected.wait()
        assert self._client is not None
        return self._client

    async def _follow_forever(self) -> None:
        """Connect and subscribe from the last known position on, again after every loss."""
        while True:
            client = self._client = await self._dial()
            self._connected.set()
            await self._subscribe(client)
            if self._log.lost_connections:
                self._log.resumed_s.append(time.perf_counter())
            await client.wait_closed()
            self._connected.clear()
            self._log.lost_connections += 1

    async def _dial(self) -> TimedClient:
        backoff_s = BACKOFF_FIRST_S
        while True:
            began_s = time.perf_counter()
            try:
                client = await TimedClient.connect(self._base_url, self._token, on_event=self._receive)
                client.log = self._log
                return client
            except WireTrouble:
                ended_s = time.perf_counter()
            self._log.attempts.append(Attempt(self._amounts.auction, began_s, ended_s, UNREACHABLE))
            await asyncio.sleep(backoff_s * random.uniform(0.5, 1.5))
            backoff_s = min(2 * backoff_s, DIAL_BACKOFF_MAX_S)

    async def _subscribe(self, client: WireClient) -> None:
        """Subscribe to the auction on this connection; retry while it lasts."""
        while client.closed is None:
            try:
                reply = await client.subscribe(f"auction:{self._amounts.auction}", self._position)
            except WireTrouble:
                await asyncio.sleep(BACKOFF_FIRST_S)
                continue
            self._position = {"epoch": reply["epoch"], "seq": reply["seq"]}
            return

    def _receive(self, event: Incoming) -> None:
        self._position = {"epoch": event.epoch, "seq": event.seq}
