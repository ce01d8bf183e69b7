"""The load generator: one process of closed-loop bidders. `python -m bench.loads.load` reads a Load as JSON on stdin
and prints a Measured as JSON on stdout.

Each bidder has its own authenticated socket and sends its next bid as soon as the last is answered. Amounts rise by
more than a step above all that was sent or received in the auction, so that nearly every bid is accepted: it leads, or,
when a later one overtook it on the way, it is outbid at once by the leader's maximum, which is as durable an event.
"""

import asyncio
import gc
import itertools
import time
from collections import Counter, deque
from typing import Literal
from uuid import uuid4

import msgspec

from bench.loads.order import run_order
from bench.percentiles import p50_p99
from bench.wire.client import Incoming, OnClose, WireClient, refusal_of
from bench.wire.socket_io import SocketIoClient

USD = 1_000_000
STARTING_PRICE = USD
# One cent at every price: millions of rising bids stay far below the largest amount.
STEP = USD // 100
CONNECTING_MAX = 32
# Recent updates that a watcher keeps: enough to find the update of a bid whose ack comes later.
RECEIVED_MAX = 1_024
# A bidder whose bid was refused for a temporary reason waits this long.
PAUSE_S = 0.01
DRAIN_S = 5.0
# By how many steps each amount passes the last: room for a bid that a later one overtakes.
STEPS_AHEAD = 2


# How the server is spoken to: our protocol, Socket.io (a token is the number of a bidder), or a bare echo (no hello, no
# subscription, and every answer counts).
Wire = Literal["ece", "socket.io", "echo"]


class Seat(msgspec.Struct, frozen=True):
    """One auction and the access tokens of its bidders; the next amount is above `top`."""

    auction: str
    tokens: list[str | None]
    top: int
    step: int


class Load(msgspec.Struct, frozen=True):
    """What to do: bid for `seconds` after a warm-up, or until `bids` were accepted if that is sooner."""

    url: str
    seats: list[Seat]
    seconds: float
    warmup_s: float = 2.0
    bids: int | None = None
    in_flight: int = 1
    watch: bool = True
    wire: Wire = "ece"
    # Return what was acknowledged, also in the warm-up.
    keep_acks: bool = False


class Measured(msgspec.Struct):
    """The result of the measured window. Latencies in ms; `tops` are the highest amounts sent, by seat.

    `acknowledged` are all accepted bids, by seat: `(seq, amount)`. Empty unless they were to be kept.
    """

    accepted: int
    refused: dict[str, int]
    acks: int
    updates: int
    window_s: float
    ack_ms: dict[str, float | None]
    update_ms: dict[str, float | None]
    lost_connections: int
    client_cpu: float
    tops: list[int]
    acknowledged: list[list[tuple[int, int]]] = []


class Counts:
    """Counters of all bidders of the process. `open` while the window is measured, `running` while bids go out."""

    def __init__(self) -> None:
        self.open = False
        self.running = True
        self.ever_accepted = 0
        self.accepted = 0
        self.acks = 0
        self.refused: Counter[str] = Counter()
        self.ack_s: list[float] = []
        self.updates = 0
        self.update_s: list[float] = []
        self.lost = 0


class AuctionView:
    """What the process knows of an auction: the highest amount that may be needed, and its watchers."""

    def __init__(self, seat: Seat) -> None:
        self.id = seat.auction
        self.top = seat.top
        self.ahead = seat.step * STEPS_AHEAD
        self.watchers: list[Watcher] = []
        self.turn = 0
        self.acknowledged: list[tuple[int, int]] = []

    def next_watcher(self, bidder: "Watcher") -> "Watcher":
        """Another watcher than the bidder, each in turn; the bidder itself when it is the only one."""
        self.turn += 1
        watcher = self.watchers[self.turn % len(self.watchers)]
        if watcher is bidder and len(self.watchers) > 1:
            self.turn += 1
            watcher = self.watchers[self.turn % len(self.watchers)]
        return watcher


class Watcher:
    """Times the updates of one socket: from a bid's frame to the first update here that includes it."""

    def __init__(self, counts: Counts, auction: AuctionView) -> None:
        self._counts = counts
        self._auction = auction
        self._received: deque[tuple[int, float]] = deque(maxlen=RECEIVED_MAX)
        self._awaited: deque[tuple[int, float]] = deque()

    def receive(self, event: Incoming) -> None:
        now_s = time.perf_counter()
        counts = self._counts
        if counts.open:
            counts.updates += 1
        self._received.append((event.seq, now_s))
        # Acks come in the order of their sequence on one stream, so the first awaited is the least (or nearly).
        awaited = self._awaited
        while awaited and awaited[0][0] <= event.seq:
            counts.update_s.append(now_s - awaited.popleft()[1])
        data = event.data
        if data is not None and (minimum := data.get("minimum")) is not None and minimum > self._auction.top:
            self._auction.top = minimum

    def expect(self, seq: int, sent_s: float) -> None:
        """A bid became event `seq`: time its update, which may have come already."""
        received_s = None
        for update_seq, at_s in reversed(self._received):
            if update_seq < seq:
                break
            received_s = at_s
        if received_s is not None:
            self._counts.update_s.append(received_s - sent_s)
        else:
            self._awaited.append((seq, sent_s))


class Bidder:
    """One bid in flight at a time, again and again."""

    def __init__(
        self, load: Load, counts: Counts, auction: AuctionView, client: WireClient | SocketIoClient,
        watcher: Watcher | None,
    ) -> None:  # fmt: skip
        self._counts = counts
        self._auction = auction
        self._client = client
        self._watcher = watcher
        self._echo = load.wire == "echo"
        self._keep_acks = load.keep_acks
        self._keys = (f"{prefix}-{n}" for prefix in (uuid4().hex[:20],) for n in itertools.count())
        self._sent_s = 0.0
        self._amount = 0
        self.idle = True

    def next(self) -> None:
        if not self._counts.running or self._client.closed is not None:
            self.idle = True
            return
        self.idle = False
        auction = self._auction
        auction.top = self._amount = amount = auction.top + auction.ahead
        self._sent_s = time.perf_counter()
        self._client.send_bid(auction.id, amount, next(self._keys), self._answered)

    def _answered(self, reply: Incoming, _payload: memoryview | bytes) -> None:
        counts = self._counts
        if reply.ok or self._echo:
            counts.ever_accepted += 1
            if self._keep_acks:
                self._auction.acknowledged.append((reply.seq, self._amount))
            if counts.open:
                counts.acks += 1
                counts.accepted += 1
                counts.ack_s.append(time.perf_counter() - self._sent_s)
                if self._watcher is not None:
                    self._auction.next_watcher(self._watcher).expect(reply.seq, self._sent_s)
            self.next()
        else:
            self._refused(reply)

    def _refused(self, reply: Incoming) -> None:
        counts = self._counts
        refusal = refusal_of(reply)
        if counts.open:
            counts.acks += 1
            counts.ack_s.append(time.perf_counter() - self._sent_s)
            counts.refused[refusal.code] += 1
        if refusal.code in ("bid_too_low", "already_leading"):
            self._auction.top = max(self._auction.top, refusal.fields.get("minimum") or 0)
            self.next()
        else:
            asyncio.get_running_loop().call_later(PAUSE_S, self.next)


async def run(load: Load) -> Measured:
    """Connect all bidders, warm up, measure, drain."""
    counts = Counts()
    auctions = [AuctionView(seat) for seat in load.seats]
    connecting = asyncio.Semaphore(CONNECTING_MAX)

    async def seat_bidder(auction: AuctionView, token: str | None) -> list[Bidder]:
        async with connecting:
            return await _seated(load, counts, auction, token)

    seated = await asyncio.gather(
        *(
            seat_bidder(auction, token)
            for auction, seat in zip(auctions, load.seats, strict=True)
            for token in seat.tokens
        )
    )
    bidders = [bidder for several in seated for bidder in several]
    for bidder in bidders:
        bidder.next()
    await _bidding(load, counts, load.warmup_s)
    counts.open = True
    from_s, from_cpu = time.perf_counter(), time.process_time()
    await _bidding(load, counts, load.seconds)
    counts.open = False
    window_s, cpu = time.perf_counter() - from_s, time.process_time() - from_cpu
    counts.running = False
    await _drained(bidders)
    return Measured(
        accepted=counts.accepted,
        refused=dict(counts.refused),
        acks=counts.acks,
        updates=counts.updates,
        window_s=window_s,
        ack_ms=p50_p99(counts.ack_s),
        update_ms=p50_p99(counts.update_s),
        lost_connections=counts.lost,
        client_cpu=round(cpu / window_s, 2),
        tops=[auction.top for auction in auctions],
        acknowledged=[auction.acknowledged for auction in auctions] if load.keep_acks else [],
    )


async def _seated(load: Load, counts: Counts, auction: AuctionView, token: str | None) -> list[Bidder]:
    """One connection, subscribed if the load watches, with as many bidders as it may have bids in flight."""
    watcher = Watcher(counts, auction) if load.watch and load.wire != "echo" else None

    def lost(_code: int, _reason: str) -> None:
        counts.lost += counts.running

    client = await _connected(load, token, lost)
    if watcher is not None:
        client.on_event = watcher.receive
        auction.watchers.append(watcher)
        await client.subscribe(f"auction:{auction.id}")
    return [Bidder(load, counts, auction, client, watcher) for _ in range(load.in_flight)]


async def _connected(load: Load, token: str | None, on_close: OnClose) -> WireClient | SocketIoClient:
    if load.wire == "socket.io":
        return await SocketIoClient.connect(load.url, int(token or 0), on_close)
    return await WireClient.connect(load.url, token, hello=load.wire == "ece", on_close=on_close)


async def _bidding(load: Load, counts: Counts, seconds: float) -> None:
    """Let bids go out for `seconds`, or until `load.bids` were accepted."""
    ends_s = time.perf_counter() + seconds
    while (left_s := ends_s - time.perf_counter()) > 0:
        if load.bids is not None and counts.ever_accepted >= load.bids:
            return
        await asyncio.sleep(min(left_s, 0.05 if load.bids is not None else left_s))


async def _drained(bidders: list[Bidder]) -> None:
    """Wait until every bid in flight has its answer, at most DRAIN_S."""
    ends_s = time.perf_counter() + DRAIN_S
    # Polled: an event would add work to the hot path.
    while not all(bidder.idle for bidder in bidders) and time.perf_counter() < ends_s:  # noqa: ASYNC110
        await asyncio.sleep(0.02)


def main() -> None:
    # A collection would be measured as latency of the server, and there are few cycles to collect.
    gc.disable()
    run_order(run, Load, "load generator")


if __name__ == "__main__":
    main()
