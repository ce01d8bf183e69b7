"""A crowd of watchers: `python -m bench.loads.watch` reads a Crowd as a line of JSON on stdin, connects and answers
with a line; then for each line with a Record of what was bid it answers with a line of what the crowd was told of
it."""

import asyncio
import gc
import os
import sys
import time
from collections import Counter

import msgspec
import uvloop

from bench.loads.talking import LINE_BYTES_MAX
from bench.wire.client import Incoming, WireClient, WireTrouble

CONNECTING_MAX = 64
SETTLED_WITHIN_S = 10.0
LOOK_EVERY_S = 0.02
# Each watcher times every eighth bid, neighbours different ones: millions of samples are enough.
TIMED_EVERY = 8
TICKS_PER_S = 10_000


class Crowd(msgspec.Struct, frozen=True):
    """Who watches what."""

    url: str
    auction: str
    watchers: int


class Arrived(msgspec.Struct, frozen=True):
    """How many watch, and what kept the others out."""

    watching: int
    trouble: str | None = None


class Record(msgspec.Struct, frozen=True):
    """What was bid in a round, `[seq, sent_s]` by the machine's monotonic clock, and where the auction stands then."""

    sent: list[tuple[int, float]]
    seq: int
    price: int
    minimum: int


class Told(msgspec.Struct):
    """What a crowd was told: frames, latencies in ticks with their counts, and how many ended with the last state."""

    frames: int
    news: list[tuple[int, int]]
    dropped: int
    right: int
    faults: int
    cpu_s: float


class Ears:
    """All watchers of the process."""

    def __init__(self) -> None:
        self.all: list[Ear] = []
        self.heard: list[tuple[int, int, int, float]] = []
        self.faults = 0
        self.dropped = 0

    def lost(self, _code: int, _reason: str) -> None:
        self.dropped += 1


class Ear:
    """One watcher: what it holds, by the rule for clients of docs/protocol.md."""

    __slots__ = ("_ears", "minimum", "number", "price", "seq")

    def __init__(self, ears: Ears, number: int) -> None:
        self._ears = ears
        self.number = number
        self.seq = -1
        self.price = 0
        self.minimum = 0

    def begin(self, seq: int, state: dict[str, int]) -> None:
        self.seq, self.price, self.minimum = seq, state["price"], state["minimum"]

    def hear(self, event: Incoming) -> None:
        now_s = time.perf_counter()
        seq = event.seq
        if seq != self.seq + 1 and (event.type != "state" or seq <= self.seq):
            self._ears.faults += 1
        self._ears.heard.append((self.number, self.seq, seq, now_s))
        self.seq = seq
        data = event.data
        if data is not None and "minimum" in data:
            self.price, self.minimum = data["price"], data["minimum"]


async def gather(crowd: Crowd, ears: Ears) -> Arrived:
    """Let the crowd in, up to where it is refused."""
    connecting = asyncio.Semaphore(CONNECTING_MAX)
    troubles: list[str] = []

    async def arrive(number: int) -> None:
        async with connecting:
            if troubles:
                return
            ear = Ear(ears, number)
            try:
                client = await WireClient.connect(crowd.url, None, on_event=ear.hear, on_close=ears.lost)
                reply = await client.subscribe(f"auction:{crowd.auction}")
            except (WireTrouble, OSError) as error:
                troubles.append(str(error))
                return
            ear.begin(reply["seq"], reply["state"])
            ears.all.append(ear)

    await asyncio.gather(*map(arrive, range(crowd.watchers)))
    return Arrived(len(ears.all), troubles[0] if troubles else None)


async def judged(ears: Ears, record: Record, cpu_from_s: float) -> Told:
    """Wait until all stand at the end of the record, within reason; then look at what they were told, and forget it."""
    ends_s = time.perf_counter() + SETTLED_WITHIN_S
    while any(ear.seq < record.seq for ear in ears.all) and time.perf_counter() < ends_s:  # noqa: ASYNC110
        await asyncio.sleep(LOOK_EVERY_S)
    cpu_s = time.process_time() - cpu_from_s
    right = sum((ear.seq, ear.price, ear.minimum) == (record.seq, record.price, record.minimum) for ear in ears.all)
    heard, ears.heard = ears.heard, []
    news = latencies(dict(record.sent), heard)
    faults, ears.faults = ears.faults, 0
    return Told(len(heard), sorted(news.items()), ears.dropped, right, faults, cpu_s)


def latencies(sent: dict[int, float], heard: list[tuple[int, int, int, float]]) -> Counter[int]:
    """From a bid's sending to the first frame at a watcher that includes it, in ticks, over the bids that it times."""
    found: Counter[int] = Counter()
    for number, from_seq, to_seq, at_s in heard:
        first = from_seq + 1 + (number - from_seq - 1) % TIMED_EVERY
        for seq in range(first, to_seq + 1, TIMED_EVERY):
            sent_s = sent.get(seq)
            if sent_s is not None:
                found[int((at_s - sent_s) * TICKS_PER_S)] += 1
    return found


async def run() -> None:
    reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    ears = Ears()
    say(await gather(msgspec.json.decode(await reader.readline(), type=Crowd), ears))
    cpu_s = time.process_time()
    while line := await reader.readline():
        told = await judged(ears, msgspec.json.decode(line, type=Record), cpu_s)
        say(told)
        cpu_s = time.process_time()


def say(what: Arrived | Told) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(what) + b"\n")
    sys.stdout.flush()


def main() -> None:
    # A collection over a crowd's objects would be measured as the server's delay.
    gc.disable()
    uvloop.run(run())
    # Sockets are let go of by the end of the process.
    os._exit(0)


if __name__ == "__main__":
    main()
