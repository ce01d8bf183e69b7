"""Watchers: `python -m bench.loads.watch` reads a Crowd as a line of JSON on stdin, connects and answers with a line;
then for each line with a Record of what was bid it answers with a line, the updates that the crowd received."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator

import msgspec

from bench.loads.line_process import answer_lines
from bench.loads.pinning import pin_load
from bench.percentiles import p50_p99
from bench.wire.client import Incoming, WireClient, WireTrouble

CONNECTING_MAX = 64
SETTLED_WITHIN_S = 10.0
LOOK_EVERY_S = 0.02
# Each watcher times every eighth bid, neighbours different ones: that gives millions of samples.
TIMED_EVERY = 8
TICKS_PER_S = 10_000


class Crowd(msgspec.Struct, frozen=True):
    """So many watchers of one auction."""

    url: str
    auction: str
    watchers: int


class Connected(msgspec.Struct, frozen=True):
    """How many watch, and the error that stopped the others."""

    watching: int
    error: str | None = None


class Record(msgspec.Struct, frozen=True):
    """The bids of a round, `[seq, sent_s]` by the machine's monotonic clock, and the final state of the auction."""

    sent: list[tuple[int, float]]
    seq: int
    price: int
    minimum: int


class CrowdResult(msgspec.Struct):
    """Of a crowd: frames, latencies in ticks with their counts, and how many ended with the final state.

    `behind_ms`: how late the process itself did what was due, its own work included.
    """

    frames: int
    updates: list[tuple[int, int]]
    dropped: int
    right: int
    faults: int
    cpu_s: float
    behind_ms: dict[str, float | None]


class Watchers:
    """All watchers of the process."""

    def __init__(self) -> None:
        self.all: list[Watcher] = []
        self.received: list[tuple[int, int, int, float]] = []
        # When a timer was due, and how late it was.
        self.behind: list[tuple[float, float]] = []
        self.faults = 0
        self.dropped = 0

    async def notice_lateness(self) -> None:
        """Record how late a timer of this process fires, again and again."""
        while True:
            due_s = time.perf_counter() + LOOK_EVERY_S
            await asyncio.sleep(LOOK_EVERY_S)
            self.behind.append((due_s, time.perf_counter() - due_s))

    def lost(self, _code: int, _reason: str) -> None:
        self.dropped += 1


class Watcher:
    """One watcher and the state that it has, by the rules for clients in docs/protocol.md."""

    __slots__ = ("_watchers", "minimum", "number", "price", "seq")

    def __init__(self, watchers: Watchers, number: int) -> None:
        self._watchers = watchers
        self.number = number
        self.seq = -1
        self.price = 0
        self.minimum = 0

    def begin(self, seq: int, state: dict[str, int]) -> None:
        self.seq, self.price, self.minimum = seq, state["price"], state["minimum"]

    def receive(self, event: Incoming) -> None:
        now_s = time.perf_counter()
        seq = event.seq
        if seq != self.seq + 1 and (event.type != "state" or seq <= self.seq):
            self._watchers.faults += 1
        self._watchers.received.append((self.number, self.seq, seq, now_s))
        self.seq = seq
        data = event.data
        if data is not None and "minimum" in data:
            self.price, self.minimum = data["price"], data["minimum"]


async def connect(crowd: Crowd, watchers: Watchers) -> Connected:
    """Connect the crowd, until one is refused."""
    connecting = asyncio.Semaphore(CONNECTING_MAX)
    errors: list[str] = []

    async def connect_one(number: int) -> None:
        async with connecting:
            if errors:
                return
            watcher = Watcher(watchers, number)
            try:
                client = await WireClient.connect(crowd.url, None, on_event=watcher.receive, on_close=watchers.lost)
                reply = await client.subscribe(f"auction:{crowd.auction}")
            except (WireTrouble, OSError) as error:
                errors.append(str(error))
                return
            watcher.begin(reply["seq"], reply["state"])
            watchers.all.append(watcher)

    await asyncio.gather(*map(connect_one, range(crowd.watchers)))
    return Connected(len(watchers.all), errors[0] if errors else None)


async def result_of(watchers: Watchers, record: Record, cpu_from_s: float) -> CrowdResult:
    """Wait until all have reached the end of the record, at most SETTLED_WITHIN_S; then evaluate what was received."""
    ends_s = time.perf_counter() + SETTLED_WITHIN_S
    while any(watcher.seq < record.seq for watcher in watchers.all) and time.perf_counter() < ends_s:  # noqa: ASYNC110
        await asyncio.sleep(LOOK_EVERY_S)
    cpu_s = time.process_time() - cpu_from_s
    final = (record.seq, record.price, record.minimum)
    right = sum((watcher.seq, watcher.price, watcher.minimum) == final for watcher in watchers.all)
    received, watchers.received = watchers.received, []
    updates = latencies(dict(record.sent), received)
    faults, watchers.faults = watchers.faults, 0
    # Between rounds other crowds connect, on the same processor.
    from_s, to_s = (limit(sent_s for _, sent_s in record.sent) for limit in (min, max))
    behind_s = [late_s for due_s, late_s in watchers.behind if from_s <= due_s <= to_s]
    watchers.behind.clear()
    return CrowdResult(
        len(received), sorted(updates.items()), watchers.dropped, right, faults, cpu_s, p50_p99(behind_s)
    )


def latencies(sent: dict[int, float], received: list[tuple[int, int, int, float]]) -> Counter[int]:
    """From a bid's sending to the first frame at a watcher that includes it, in ticks, over the bids that it times."""
    found: Counter[int] = Counter()
    for number, from_seq, to_seq, at_s in received:
        first = from_seq + 1 + (number - from_seq - 1) % TIMED_EVERY
        for seq in range(first, to_seq + 1, TIMED_EVERY):
            sent_s = sent.get(seq)
            if sent_s is not None:
                found[int((at_s - sent_s) * TICKS_PER_S)] += 1
    return found


async def answers(lines: AsyncIterator[bytes]) -> AsyncIterator[Connected | CrowdResult]:
    watchers = Watchers()
    yield await connect(msgspec.json.decode(await anext(lines), type=Crowd), watchers)
    watching = asyncio.create_task(watchers.notice_lateness())
    cpu_s = time.process_time()
    async for line in lines:
        yield await result_of(watchers, msgspec.json.decode(line, type=Record), cpu_s)
        cpu_s = time.process_time()
    watching.cancel()


if __name__ == "__main__":
    pin_load()
    answer_lines(answers)
