"""Clients that record everything that they send and receive."""

import asyncio
import contextlib
import itertools
import random
import time
from uuid import uuid4

from bench.faults.recording import (
    Acked,
    Order,
    ReceivedEvent,
    ReceivedState,
    Recording,
    RefusedOrder,
    Seeing,
    Seen,
)
from bench.wire.accounts import Account
from bench.wire.client import ConnectionLost, Incoming, NotAnswered, RequestRefused, WireClient
from ece_client import BidResult, Client, Options, Refused

RECONNECT_S = 0.05
# A bidder retries a bid for so long: longer than any part of the engine may be unavailable.
SURE_WITHIN_S = 150.0
OPTIONS = Options(command_deadline_s=SURE_WITHIN_S, connect_deadline_s=SURE_WITHIN_S, reconnect_max_s=1.0)
# Every so many bids one is sent again although it was answered: the same key must give the same answer.
REPEAT_EVERY = 7
STARTING_PRICE = 1_000_000
STEP_MAX = 3_000_000
STEP_UNIT = 10_000


class Bidder:
    """Bids again and again with the Python client, each bid until its outcome is known."""

    def __init__(self, base_url: str, account: Account, auctions: list[str], recording: Recording, seed: int) -> None:
        self._url = base_url
        self.account = account
        self._auctions = auctions
        self._recording = recording
        self._random = random.Random(seed)
        self._minimum: dict[str, int] = {}
        self.stopping = False
        # After each bid.
        self.rest_s = 0.0

    async def run(self) -> None:
        """Until `stopping`, and then until the last bid is answered."""
        async with Client(self._url, token=self.account.token, options=OPTIONS) as client:
            connections = 1
            for number in itertools.count():
                if self.stopping:
                    break
                auction = self._random.choice(self._auctions)
                amount = self._minimum.get(auction, STARTING_PRICE) + self._random.randrange(0, STEP_MAX, STEP_UNIT)
                key = f"{number}-{uuid4().hex}"
                order = Order(auction, self.account.username, key, amount, time.monotonic_ns())
                self._recording.orders.append(order)
                for _ in range(2 if number % REPEAT_EVERY == 0 else 1):
                    await self._send(client, order)
                self._recording.lost_connections += client.session.connections - connections
                connections = client.session.connections
                await asyncio.sleep(self.rest_s)

    async def _send(self, client: Client, order: Order) -> None:
        try:
            result = await client.bid(order.auction, order.amount, key=order.key, on_retry=self._retry)
        except Refused as refusal:
            known = self._minimum.get(order.auction, STARTING_PRICE)
            self._minimum[order.auction] = max(known, refusal.details.get("minimum") or 0)
            self._recording.refused.append(refused(order, refusal))
        else:
            self._minimum[order.auction] = result.minimum
            self._recording.acks.append(acked(order, result))

    def _retry(self, failure: Exception) -> None:
        self._recording.retries.append((time.monotonic_ns(), str(failure) or type(failure).__name__))
        if isinstance(failure, Refused):
            self._recording.rejected.append(failure.code)


def acked(order: Order, result: BidResult) -> Acked:
    """The record of an ack that has just come."""
    return Acked(
        order, time.monotonic_ns(), result.seq, result.at, result.outcome, result.price, result.minimum,
        result.ends_at, result.duplicate,
    )  # fmt: skip


def refused(order: Order, refusal: Refused) -> RefusedOrder:
    """The record of a refusal."""
    fields = refusal.details
    return RefusedOrder(
        order, refusal.code, fields.get("price"), fields.get("minimum"), fields.get("server_time")
    )  # fmt: skip


class Watcher:
    """Follows one auction, or a trade, resumes where it was, and records every frame.

    Not with the Python client, which would fetch what the engine missed to send: that is what the checker looks for.
    """

    kind = "auction"

    def __init__(self, base_url: str, entity: str, recording: Seeing, token: str | None = None) -> None:
        self._url = base_url
        self._channel = f"{self.kind}:{entity}"
        self._token = token
        self.seen = Seen(entity)
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
        self.client = await WireClient.connect(self._url, self._token, on_event=held.append)
        since = {"epoch": self.seen.position[0], "seq": self.seen.position[1]} if self.seen.position[1] else None
        reply = await self.client.subscribe(self._channel, since)
        self.seen.receive_answer(reply)
        for update in held:
            self._take(update)
        self.client.on_event = self._take

    async def stop(self) -> None:
        """Hang up and don't come back."""
        self.stopping = True
        if self.client is not None:
            self.client.close()

    def _take(self, update: Incoming) -> None:
        if not isinstance(update.epoch, int):
            # Presence and typing have no place in the log.
            return
        if update.type == "state":
            self.seen.receive_state(ReceivedState(update.epoch, update.seq, update.data or {}))
        else:
            self.seen.receive_event(ReceivedEvent(update.epoch, update.seq, update.type, update.at, update.data or {}))
