"""Clients that write down everything that they were told."""

import asyncio
import contextlib
import itertools
import random
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from bench.accounts import Account
from bench.wire_client import Ack, ConnectionLost, NotAnswered, Refusal, RequestRefused, WireClient, bid_surely

RECONNECT_S = 0.05


@dataclass(frozen=True)
class Acked:
    """A bid that the engine said is durable."""

    auction: str
    bidder: str
    key: str
    amount: int
    seq: int
    at: int
    price: int
    outcome: str


@dataclass(frozen=True)
class RefusedBid:
    """A bid of which the engine said that nothing happened."""

    auction: str
    bidder: str
    key: str
    code: str


@dataclass
class Seen:
    """What one watcher was told, in order; `snapshots` are the positions at which it had to start anew."""

    auction: str
    events: list[tuple[int, int, str]] = field(default_factory=list)
    snapshots: list[tuple[int, int]] = field(default_factory=list)
    position: tuple[int, int] = (0, 0)
    gaps: list[str] = field(default_factory=list)


@dataclass
class Recording:
    """All of one run."""

    acks: list[Acked] = field(default_factory=list)
    refused: list[RefusedBid] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    lost_connections: int = 0


class Bidder:
    """Bids again and again, each bid until its outcome is known; reconnects when it must."""

    def __init__(self, base_url: str, account: Account, auctions: list[str], recording: Recording, seed: int) -> None:
        self._url = base_url
        self.account = account
        self._auctions = auctions
        self._recording = recording
        self._random = random.Random(seed)
        self._client: WireClient | None = None
        self._minimum: dict[str, int] = {}
        self.stopping = False

    async def run(self) -> None:
        for number in itertools.count():
            if self.stopping:
                break
            auction = self._random.choice(self._auctions)
            amount = self._minimum.get(auction, 1_000_000) + self._random.randrange(0, 3_000_000, 10_000)
            key = f"{number}-{uuid4().hex}"
            await self._bid(auction, amount, key)
        if self._client is not None:
            self._client.close()

    async def _bid(self, auction: str, amount: int, key: str) -> None:
        answer = await bid_surely(self._dial, auction, amount, key)
        if isinstance(answer, Ack):
            self._minimum[auction] = answer.minimum
            self._recording.acks.append(
                Acked(auction, self.account.username, key, amount, answer.seq, answer.at, answer.price, answer.outcome)
            )
        else:
            self._refused(auction, key, answer)

    def _refused(self, auction: str, key: str, refusal: Refusal) -> None:
        self._minimum[auction] = max(self._minimum.get(auction, 0), refusal.fields.get("minimum") or 0)
        self._recording.refused.append(RefusedBid(auction, self.account.username, key, refusal.code))

    async def _dial(self) -> WireClient:
        if self._client is None or self._client.closed is not None:
            if self._client is not None:
                self._recording.lost_connections += 1
            self._client = await WireClient.connect(self._url, self.account.token)
        return self._client


class Watcher:
    """Follows one auction, resumes where it was, and notes every event."""

    def __init__(self, base_url: str, auction: str, recording: Recording) -> None:
        self._url = base_url
        self._auction = auction
        self.seen = Seen(auction)
        recording.seen.append(self.seen)
        self.client: WireClient | None = None
        self.stopping = False

    async def run(self) -> None:
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
        """Connect and subscribe, from the last known position on."""
        held: list[Any] = []
        self.client = await WireClient.connect(self._url, None, on_event=held.append)
        since = {"epoch": self.seen.position[0], "seq": self.seen.position[1]} if self.seen.position[1] else None
        reply = await self.client.subscribe(f"auction:{self._auction}", since)
        if reply["recovered"]:
            for event in reply["events"]:
                self._take(event["epoch"], event["seq"], event["type"])
        else:
            self._restart(reply["epoch"], reply["seq"])
        for event in held:
            self._take(event.epoch, event.seq, event.type)
        self.client.on_event = lambda event: self._take(event.epoch, event.seq, event.type)

    async def stop(self) -> None:
        self.stopping = True
        if self.client is not None:
            self.client.close()

    def _take(self, epoch: int, seq: int, kind: str) -> None:
        if (epoch, seq) <= self.seen.position:
            return
        if kind == "state":
            self._restart(epoch, seq)
            return
        if self.seen.position[1] and seq != self.seen.position[1] + 1:
            self.seen.gaps.append(f"event {seq} came after {self.seen.position[1]}, without a snapshot")
        self.seen.events.append((epoch, seq, kind))
        self.seen.position = (epoch, seq)

    def _restart(self, epoch: int, seq: int) -> None:
        self.seen.snapshots.append((epoch, seq))
        self.seen.position = (epoch, seq)
