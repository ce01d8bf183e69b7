"""Closed-loop bidders who write down every bid: `python -m bench.loads.move` reads an Opening as a line of JSON on
stdin, connects and answers with a line; then for each line with a Turn or an End it does that and answers with a line.
"""

import asyncio
import gc
import itertools
import os
import sys
import time
from array import array
from pathlib import Path
from uuid import uuid4

import msgspec
import uvloop

from bench.loads.load import DRAIN_S, PAUSE_S, Book, Seat
from bench.loads.talking import LINE_BYTES_MAX
from bench.wire.client import Incoming, OnEvent, WireClient, WireTrouble, refusal_of

# What the rules say of a bid that another one overtook on its way: no trouble of the engine.
BY_THE_RULES = frozenset({"bid_too_low", "already_leading"})


class Opening(msgspec.Struct, frozen=True, tag=True):
    """Where to connect: a socket for each token of each seat, which also watches."""

    url: str
    seats: list[Seat]


class Turn(msgspec.Struct, frozen=True, tag=True):
    """From now on so many bidders of each seat bid; the others pause after their next answer."""

    bidders: list[int]


class End(msgspec.Struct, frozen=True, tag=True):
    """Everybody stops; what every bidder went through is written to this file: msgpack, a list of Story."""

    file: str


class Done(msgspec.Struct, frozen=True):
    """The line was obeyed; or why not."""

    trouble: str | None = None


class Story(msgspec.Struct):
    """All bids of one bidder, in order. Bid number n had the key `{prefix}-{n}`.

    ``sent`` and ``answered`` are doubles, seconds of the machine's steady clock; ``seqs`` are 8-byte integers, 0 for a
    bid that was refused; ``refused`` has (n, code). A bid that was never answered is in ``sent`` alone, as the last.
    """

    auction: str
    prefix: str
    sent: bytes
    answered: bytes
    seqs: bytes
    refused: list[tuple[int, str]]


class Bidder:
    """One bid in flight at a time, while it is its turn."""

    def __init__(self, book: Book, client: WireClient) -> None:
        self._book = book
        self._client = client
        self._prefix = uuid4().hex[:20]
        self._numbers = itertools.count()
        self._sent = array("d")
        self._answered = array("d")
        self._seqs = array("q")
        self._refused: list[tuple[int, str]] = []
        self._bids = False
        self.idle = True

    def turn(self, bids: bool) -> None:
        """Begin to bid, or stop after the next answer."""
        self._bids = bids
        if bids and self.idle:
            self._next()

    def story(self) -> Story:
        """What it went through."""
        return Story(
            self._book.auction,
            self._prefix,
            self._sent.tobytes(),
            self._answered.tobytes(),
            self._seqs.tobytes(),
            self._refused,
        )

    def _next(self) -> None:
        if not self._bids or self._client.closed is not None:
            self.idle = True
            return
        self.idle = False
        book = self._book
        book.top = amount = book.top + book.ahead
        key = f"{self._prefix}-{next(self._numbers)}"
        self._sent.append(time.perf_counter())
        self._client.send_bid(book.auction, amount, key, self._take)

    def _take(self, reply: Incoming, _payload: memoryview | bytes) -> None:
        self._answered.append(time.perf_counter())
        if reply.ok:
            self._seqs.append(reply.seq)
            self._next()
            return
        self._seqs.append(0)
        refusal = refusal_of(reply)
        self._refused.append((len(self._seqs) - 1, refusal.code))
        if refusal.code in BY_THE_RULES:
            self._book.top = max(self._book.top, refusal.fields.get("minimum") or 0)
            self._next()
        else:
            asyncio.get_running_loop().call_later(PAUSE_S, self._next)


async def opened(opening: Opening) -> list[list[Bidder]]:
    """Connect all; the bidders of each seat. Raises WireTrouble."""
    seated = []
    for seat in opening.seats:
        book = Book(seat)
        bidders = []
        for token in seat.tokens:
            client = await WireClient.connect(opening.url, token, on_event=_heard_of(book))
            await client.subscribe(f"auction:{seat.auction}")
            bidders.append(Bidder(book, client))
        seated.append(bidders)
    return seated


def _heard_of(book: Book) -> OnEvent:
    def hear(event: Incoming) -> None:
        if event.data is not None and (minimum := event.data.get("minimum")) is not None and minimum > book.top:
            book.top = minimum

    return hear


async def ended(seated: list[list[Bidder]]) -> list[Story]:
    """Let every bid in flight have its answer, within reason; what everybody went through."""
    bidders = [bidder for several in seated for bidder in several]
    for bidder in bidders:
        bidder.turn(False)
    ends_s = time.perf_counter() + DRAIN_S
    # Looked at now and then: to tell an event would burden the hot path.
    while not all(bidder.idle for bidder in bidders) and time.perf_counter() < ends_s:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    return [bidder.story() for bidder in bidders]


async def run() -> None:
    reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    decode = msgspec.json.Decoder(Opening | Turn | End).decode
    seated: list[list[Bidder]] = []
    while line := await reader.readline():
        order = decode(line)
        try:
            if isinstance(order, Opening):
                seated = await opened(order)
            elif isinstance(order, Turn):
                for bidders, number in zip(seated, order.bidders, strict=True):
                    for place, bidder in enumerate(bidders):
                        bidder.turn(place < number)
            else:
                stories = await ended(seated)
                await asyncio.to_thread(Path(order.file).write_bytes, msgspec.msgpack.encode(stories))
        except (OSError, WireTrouble) as error:
            say(Done(str(error)))
            return
        say(Done())


def say(what: Done) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(what) + b"\n")
    sys.stdout.flush()


def main() -> None:
    # A collection would be measured as the server's delay.
    gc.disable()
    uvloop.run(run())
    # Sockets are let go of by the end of the process.
    os._exit(0)


if __name__ == "__main__":
    main()
