"""Clients that record everything that they send and receive."""

import asyncio
import contextlib
import itertools
import random
import time
from uuid import uuid4

from bench.faults.recording import Acked, Order, ReceivedEvent, ReceivedState, Recording, RefusedOrder, Seen
from bench.wire.accounts import Account
from bench.wire.client import (
    REQUEST_DEADLINE_S,
    RETRIED_CODES,
    Ack,
    ConnectionLost,
    Incoming,
    NotAnswered,
    Refusal,
    RequestRefused,
    WireClient,
    bid_surely,
)

RECONNECT_S = 0.05
# A bidder retries a bid for so long: longer than any part of the engine may be unavailable.
SURE_WITHIN_S = 150.0
# Every so many bids one is sent again although it was answered: the same key must give the same answer.
REPEAT_EVERY = 7
STEP_MAX = 3_000_000
STEP_UNIT = 10_000


class RecordingClient(WireClient):
    """A connection that records when a bid has to be retried."""

    recording: Recording

    async def bid(self, auction: str, amount: int, key: str, deadline_s: float = REQUEST_DEADLINE_S) -> Ack | Refusal:
        answer = await super().bid(auction, amount, key, deadline_s)
        if isinstance(answer, Refusal) and answer.code in RETRIED_CODES:
            self.recording.rejected.append(answer.code)
        return answer


class Bidder:
    """Bids again and again, each bid until its outcome is known; reconnects when it must."""

    def __init__(self, base_url: str, account: Account, auctions: list[str], recording: Recording, seed: int) -> None:
        self._url = base_url
        self.account = account
        self._auctions = auctions
        self._recording = recording
        self._random = random.Random(seed)
        self._client: RecordingClient | None = None
        self._minimum: dict[str, int] = {}
        self.stopping = False

    async def run(self) -> None:
        """Until `stopping`, and then until the last bid is answered."""
        try:
            for number in itertools.count():
                if self.stopping:
                    break
                auction = self._random.choice(self._auctions)
                amount = self._minimum.get(auction, 1_000_000) + self._random.randrange(0, STEP_MAX, STEP_UNIT)
                key = f"{number}-{uuid4().hex}"
                order = Order(auction, self.account.username, key, amount, time.monotonic_ns())
                self._recording.orders.append(order)
                for _ in range(2 if number % REPEAT_EVERY == 0 else 1):
                    await self._send(order)
        finally:
            if self._client is not None:
                self._client.close()

    async def _send(self, order: Order) -> None:
        answer = await bid_surely(self._dial, order.auction, order.amount, order.key, SURE_WITHIN_S, self._retry)
        if isinstance(answer, Ack):
            self._minimum[order.auction] = answer.minimum
            self._recording.acks.append(acked(order, answer))
        else:
            known = self._minimum.get(order.auction, 0)
            self._minimum[order.auction] = max(known, answer.fields.get("minimum") or 0)
            self._recording.refused.append(refused(order, answer))

    def _retry(self, failure: Exception) -> None:
        self._recording.retries.append((time.monotonic_ns(), str(failure) or type(failure).__name__))

    async def _dial(self) -> WireClient:
        if self._client is None or self._client.closed is not None:
            if self._client is not None:
                self._recording.lost_connections += 1
            self._client = await RecordingClient.connect(self._url, self.account.token)
            self._client.recording = self._recording
        return self._client


def acked(order: Order, ack: Ack) -> Acked:
    """The record of an ack that has just come."""
    return Acked(
        order, time.monotonic_ns(), ack.seq, ack.at, ack.outcome, ack.price, ack.minimum, ack.ends_at, ack.duplicate
    )


def refused(order: Order, refusal: Refusal) -> RefusedOrder:
    """The record of a refusal."""
    fields = refusal.fields
    return RefusedOrder(
        order, refusal.code, fields.get("price"), fields.get("minimum"), fields.get("server_time")
    )  # fmt: skip


class Watcher:
    """Follows one auction, resumes where it was, and records every frame."""

    def __init__(self, base_url: str, auction: str, recording: Recording) -> None:
        self._url = base_url
        self._auction = auction
        self.seen = Seen(auction)
        recording.seen.append(self.seen)
        self.client: WireClient | None = None
        self.stopping = False

    async def run(self) -> None:
        """Until `stop`; reconnects after every loss."""
        while not self.stopping:
            with contextlib.suppress(ConnectionLost, NotAnswered, RequestRefused):
                await self.connect()
                assert self.client is not None
                await self.client.wait_closed()
            if self.client is not None:
                self.client.close()
            if not self.stopping:
                await asyncio.sleep(RECONNECT_S)

    async def connect(self) -> None:
        """Connect and subscribe, from the last known position on. Raises what WireClient does."""
        held: list[Incoming] = []
        self.client = await WireClient.connect(self._url, None, on_event=held.append)
        since = {"epoch": self.seen.position[0], "seq": self.seen.position[1]} if self.seen.position[1] else None
        reply = await self.client.subscribe(f"auction:{self._auction}", since)
        if reply["recovered"]:
            for event in reply["events"]:
                self.seen.receive_event(
                    ReceivedEvent(event["epoch"], event["seq"], event["type"], event["at"], event["data"])
                )  # fmt: skip
            if self.seen.position != (reply["epoch"], reply["seq"]):
                self.seen.missed.append(
                    f"a resume said that it reaches {reply['epoch']}/{reply['seq']} and ended at {self.seen.position}"
                )
        else:
            self.seen.receive_state(ReceivedState(reply["epoch"], reply["seq"], reply["state"]), answer=True)
        for update in held:
            self._take(update)
        self.client.on_event = self._take

    async def stop(self) -> None:
        """Hang up and don't come back."""
        self.stopping = True
        if self.client is not None:
            self.client.close()

    def _take(self, update: Incoming) -> None:
        assert isinstance(update.epoch, int)
        if update.type == "state":
            self.seen.receive_state(ReceivedState(update.epoch, update.seq, update.data or {}))
        else:
            self.seen.receive_event(ReceivedEvent(update.epoch, update.seq, update.type, update.at, update.data or {}))
