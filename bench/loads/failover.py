"""Bidders at a steady rate who outlive what the engine goes through: each reconnects, resumes its auction, and sends a
bid again with the same key until its outcome is known. Every attempt is noted."""

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
    """One sending of a bid and what came of it: ACCEPTED, DUPLICATE, the code of a refusal, or a word of above.

    Times are those of `perf_counter`, seconds. UNREACHABLE: nothing was sent, no connection came to be.
    """

    auction: str
    sent_s: float
    answered_s: float
    outcome: str


@dataclass
class Notes:
    """What all bidders of one load went through."""

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
    """A connection that notes each of its bids."""

    notes: Notes

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
            self.notes.attempts.append(Attempt(auction, sent_s, time.perf_counter(), outcome))


class SteadyBidder:
    """Bids in one auction, at a steady rate, over one connection at a time. ``run`` it; ``stop`` ends it gently.

    ``phase`` (0 to 1) is where in the interval between two bids it begins: so many bidders share time evenly.
    """

    def __init__(self, base_url: str, token: str, amounts: Amounts, notes: Notes, phase: float = 0.0) -> None:
        self._base_url = base_url
        self._token = token
        self._amounts = amounts
        self._notes = notes
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
        self._notes.known_after_s.append(time.perf_counter() - began_s)
        if isinstance(answer, Ack):
            self._notes.acks[auction, answer.seq] = (answer.at, answer.price, answer.outcome)

    async def _live(self) -> WireClient:
        await self._connected.wait()
        assert self._client is not None
        return self._client

    async def _follow_forever(self) -> None:
        """Connect and follow the auction from the last known position on, again after every loss."""
        while True:
            client = self._client = await self._dial()
            self._connected.set()
            await self._subscribe(client)
            if self._notes.lost_connections:
                self._notes.resumed_s.append(time.perf_counter())
            await client.wait_closed()
            self._connected.clear()
            self._notes.lost_connections += 1

    async def _dial(self) -> TimedClient:
        backoff_s = BACKOFF_FIRST_S
        while True:
            began_s = time.perf_counter()
            try:
                client = await TimedClient.connect(self._base_url, self._token, on_event=self._heard)
                client.notes = self._notes
                return client
            except WireTrouble:
                ended_s = time.perf_counter()
            self._notes.attempts.append(Attempt(self._amounts.auction, began_s, ended_s, UNREACHABLE))
            await asyncio.sleep(backoff_s * random.uniform(0.5, 1.5))
            backoff_s = min(2 * backoff_s, DIAL_BACKOFF_MAX_S)

    async def _subscribe(self, client: WireClient) -> None:
        """Follow the auction on this connection, however often that has to be asked for while it lasts."""
        while client.closed is None:
            try:
                reply = await client.subscribe(f"auction:{self._amounts.auction}", self._position)
            except WireTrouble:
                await asyncio.sleep(BACKOFF_FIRST_S)
                continue
            self._position = {"epoch": reply["epoch"], "seq": reply["seq"]}
            return

    def _heard(self, event: Incoming) -> None:
        self._position = {"epoch": event.epoch, "seq": event.seq}
