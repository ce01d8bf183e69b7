"""Bids of many sockets, more than the engine can accept: `python -m bench.loads.overload` reads a Connect as a line of
JSON on stdin, connects and answers with a line; then for each line with a Round it answers with a RoundResult.

A round is closed loop (each socket keeps so many bids in flight) or open loop (each bid has a fixed time, and its
latency counts from that time, whenever it was really sent).
"""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator
from uuid import uuid4

import msgspec

from bench.loads.line_process import answer_lines
from bench.loads.load import DRAIN_S, PAUSE_S, STEPS_AHEAD, Seat
from bench.loads.pinning import pin_load
from bench.percentiles import p50_p99, percentile
from bench.wire.client import Incoming, Reply, WireClient, WireTrouble, refusal_of

TICK_S = 0.001
# So many consecutive bids are of one socket: those that are due at the same time are sent together.
IN_A_ROW = 8
# After so many late bids answers are read.
BURST_MAX = 64
OVERLOADED, UNAVAILABLE = "overloaded", "unavailable"


class Connect(msgspec.Struct, frozen=True):
    """Where to connect: a socket for each token of each seat."""

    url: str
    seats: list[Seat]


class Connected(msgspec.Struct, frozen=True):
    """How many sockets are connected, or the error."""

    sockets: int
    error: str | None = None


class Round(msgspec.Struct, frozen=True):
    """`per_s` bids at fixed times; where it is None, `in_flight` bids of each socket. Measured after the warm-up; the
    answers in flight at the end are awaited for `drain_s`."""

    seconds: float
    warmup_s: float
    per_s: float | None = None
    in_flight: int = 1
    drain_s: float = DRAIN_S


class RoundResult(msgspec.Struct):
    """Of a round, in its measured window. `behind_ms`: how late the load itself sent its bids."""

    window_s: float
    offered: int
    accepted: int
    refused: dict[str, int]
    unanswered: int
    ack_ms: dict[str, float | None]
    overloaded_ms: dict[str, float | None]
    overloaded_last_ms: float | None
    behind_ms: dict[str, float | None]
    client_cpu: float
    lost_connections: int


class Tally:
    """Counters of one round. Answers in the window count; latencies are those of bids sent in it."""

    def __init__(self) -> None:
        self.from_s = float("inf")
        self.to_s = float("inf")
        self.offered = 0
        self.accepted = 0
        self.refused: Counter[str] = Counter()
        self.ack_s: list[float] = []
        self.overloaded_s: list[float] = []
        self.behind_s: list[float] = []
        self.in_flight = 0

    def sent(self, scheduled_s: float, sent_s: float) -> None:
        self.in_flight += 1
        if self.from_s <= scheduled_s < self.to_s:
            self.offered += 1
            self.behind_s.append(sent_s - scheduled_s)

    def answered(self, code: str | None, scheduled_s: float) -> None:
        """`code` is the refusal's; None: accepted."""
        now_s = time.perf_counter()
        self.in_flight -= 1
        if self.from_s <= now_s < self.to_s:
            if code is None:
                self.accepted += 1
            else:
                self.refused[code] += 1
        if self.from_s <= scheduled_s < self.to_s:
            if code is None:
                self.ack_s.append(now_s - scheduled_s)
            elif code == OVERLOADED:
                self.overloaded_s.append(now_s - scheduled_s)


class Auction:
    """The next amount is above all amounts sent."""

    def __init__(self, seat: Seat) -> None:
        self.id = seat.auction
        self.top = seat.top
        self.ahead = seat.step * STEPS_AHEAD

    def next_amount(self) -> int:
        self.top += self.ahead
        return self.top


class Sockets:
    """All sockets of the process, each with its auction; neighbours in the list are of different auctions."""

    def __init__(self, places: list[tuple[WireClient, Auction]]) -> None:
        self.places = places
        self._keys = (f"{prefix}-{n}" for prefix in (uuid4().hex[:20],) for n in itertools.count())
        self.lost = 0

    def send(self, tally: Tally, place: tuple[WireClient, Auction], scheduled: list[float]) -> None:
        """Send bids without waiting, each with its scheduled time."""
        client, auction = place
        sent_s = time.perf_counter()
        bids: list[tuple[str, int, str, Reply]] = []
        for scheduled_s in scheduled:

            def answered(reply: Incoming, _payload: memoryview | bytes, scheduled_s: float = scheduled_s) -> None:
                tally.answered(None if reply.error is None else reply.error["code"], scheduled_s)

            bids.append((auction.id, auction.next_amount(), next(self._keys), answered))
            tally.sent(scheduled_s, sent_s)
        client.send_bids(bids)

    def send_on(self, tally: Tally, place: tuple[WireClient, Auction]) -> None:
        """Send a bid, and the next as soon as it is answered, until the round is over."""
        client, auction = place
        sent_s = time.perf_counter()
        if sent_s >= tally.to_s:
            return

        def answered(reply: Incoming, _payload: memoryview | bytes) -> None:
            code = None if reply.ok else refusal_of(reply).code
            tally.answered(code, sent_s)
            if code in (OVERLOADED, UNAVAILABLE):
                asyncio.get_running_loop().call_later(PAUSE_S, self.send_on, tally, place)
            else:
                self.send_on(tally, place)

        client.send_bid(auction.id, auction.next_amount(), next(self._keys), answered)
        tally.sent(sent_s, sent_s)

    def lose(self, _code: int, _reason: str) -> None:
        self.lost += 1


async def connect(order: Connect) -> Sockets:
    """Connect all. Raises WireTrouble."""
    sockets = Sockets([])
    auctions = [(Auction(seat), seat.tokens) for seat in order.seats]
    for number in range(max(len(tokens) for _, tokens in auctions)):
        for auction, tokens in auctions:
            if number < len(tokens):
                client = await WireClient.connect(order.url, tokens[number], on_close=sockets.lose)
                sockets.places.append((client, auction))
    return sockets


async def play_round(sockets: Sockets, wanted: Round) -> RoundResult:
    """Play one round, and wait for the answers in flight."""
    tally = Tally()
    began_s = time.perf_counter()
    tally.from_s = began_s + wanted.warmup_s
    tally.to_s = tally.from_s + wanted.seconds
    cpu_from_s = time.process_time()
    if wanted.per_s is None:
        for place in sockets.places:
            for _ in range(wanted.in_flight):
                sockets.send_on(tally, place)
        await asyncio.sleep(tally.to_s - time.perf_counter())
    else:
        await _open_loop(sockets, tally, began_s, wanted.per_s)
    cpu = (time.process_time() - cpu_from_s) / (time.perf_counter() - began_s)
    ends_s = time.perf_counter() + wanted.drain_s
    # Polled: an event would add work to the hot path.
    while tally.in_flight and time.perf_counter() < ends_s:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    last_s = percentile(sorted(tally.overloaded_s), 1.0)
    return RoundResult(
        window_s=wanted.seconds,
        offered=tally.offered,
        accepted=tally.accepted,
        refused=dict(tally.refused),
        unanswered=tally.in_flight,
        ack_ms=p50_p99(tally.ack_s),
        overloaded_ms=p50_p99(tally.overloaded_s),
        overloaded_last_ms=None if last_s is None else round(last_s * 1000, 3),
        behind_ms=p50_p99(tally.behind_s),
        client_cpu=round(cpu, 2),
        lost_connections=sockets.lost,
    )


async def _open_loop(sockets: Sockets, tally: Tally, began_s: float, per_s: float) -> None:
    """Send each bid when it is due, the sockets in turn, IN_A_ROW bids each."""
    places = sockets.places
    number, total = 0, round((tally.to_s - began_s) * per_s)
    while number < total:
        due = min(total, int((time.perf_counter() - began_s) * per_s), number + BURST_MAX)
        while number < due:
            row = number // IN_A_ROW
            upto = min(due, (row + 1) * IN_A_ROW)
            times = [began_s + n / per_s for n in range(number, upto)]
            sockets.send(tally, places[row % len(places)], times)
            number = upto
        late = number < int((time.perf_counter() - began_s) * per_s)
        await asyncio.sleep(0 if late else TICK_S)


async def answers(lines: AsyncIterator[bytes]) -> AsyncIterator[Connected | RoundResult]:
    try:
        sockets = await connect(msgspec.json.decode(await anext(lines), type=Connect))
    except (OSError, WireTrouble) as error:
        yield Connected(0, str(error))
        return
    yield Connected(len(sockets.places))
    async for line in lines:
        yield await play_round(sockets, msgspec.json.decode(line, type=Round))


if __name__ == "__main__":
    pin_load()
    answer_lines(answers)
