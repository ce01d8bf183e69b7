"""Closed-loop bidders that record every bid: `python -m bench.loads.move` reads a Connect as a line of JSON on stdin,
connects and answers with a line; then it obeys each line with a SetBidders or a Finish and answers with a line.
"""

import asyncio
import itertools
import time
from array import array
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import msgspec

from bench.loads.line_process import answer_lines
from bench.loads.load import DRAIN_S, PAUSE_S, AuctionView, Seat
from bench.wire.client import Incoming, OnEvent, WireClient, WireTrouble, refusal_of

# Refusals by the rules, of bids that another one overtook on the way: no failure of the engine.
BY_THE_RULES = frozenset({"bid_too_low", "already_leading"})


class Connect(msgspec.Struct, frozen=True, tag=True):
    """Where to connect: a socket for each token of each seat, which also watches."""

    url: str
    seats: list[Seat]


class SetBidders(msgspec.Struct, frozen=True, tag=True):
    """From now on so many bidders of each seat bid; the others pause after their next answer."""

    bidders: list[int]


class Finish(msgspec.Struct, frozen=True, tag=True):
    """All bidders stop; what they recorded is written to this file: msgpack, a list of BidLog."""

    file: str


class Done(msgspec.Struct, frozen=True):
    """The order was carried out, or the error."""

    error: str | None = None


class BidLog(msgspec.Struct):
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
    """One bid in flight at a time, while it is active."""

    def __init__(self, auction: AuctionView, client: WireClient) -> None:
        self._auction = auction
        self._client = client
        self._prefix = uuid4().hex[:20]
        self._numbers = itertools.count()
        self._sent = array("d")
        self._answered = array("d")
        self._seqs = array("q")
        self._refused: list[tuple[int, str]] = []
        self._active = False
        self.idle = True

    def set_active(self, active: bool) -> None:
        """Begin to bid, or stop after the next answer."""
        self._active = active
        if active and self.idle:
            self._next()

    def bid_log(self) -> BidLog:
        """All its bids."""
        return BidLog(
            self._auction.id,
            self._prefix,
            self._sent.tobytes(),
            self._answered.tobytes(),
            self._seqs.tobytes(),
            self._refused,
        )

    def _next(self) -> None:
        if not self._active or self._client.closed is not None:
            self.idle = True
            return
        self.idle = False
        auction = self._auction
        auction.top = amount = auction.top + auction.ahead
        key = f"{self._prefix}-{next(self._numbers)}"
        self._sent.append(time.perf_counter())
        self._client.send_bid(auction.id, amount, key, self._take)

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
            self._auction.top = max(self._auction.top, refusal.fields.get("minimum") or 0)
            self._next()
        else:
            asyncio.get_running_loop().call_later(PAUSE_S, self._next)


async def connect(order: Connect) -> list[list[Bidder]]:
    """Connect all; the bidders of each seat. Raises WireTrouble."""
    seated = []
    for seat in order.seats:
        auction = AuctionView(seat)
        bidders = []
        for token in seat.tokens:
            client = await WireClient.connect(order.url, token, on_event=_price_updates(auction))
            await client.subscribe(f"auction:{seat.auction}")
            bidders.append(Bidder(auction, client))
        seated.append(bidders)
    return seated


def _price_updates(auction: AuctionView) -> OnEvent:
    def receive(event: Incoming) -> None:
        if event.data is not None and (minimum := event.data.get("minimum")) is not None and minimum > auction.top:
            auction.top = minimum

    return receive


async def finish(seated: list[list[Bidder]]) -> list[BidLog]:
    """Stop, wait for the answers in flight, at most DRAIN_S, and return all bids."""
    bidders = [bidder for several in seated for bidder in several]
    for bidder in bidders:
        bidder.set_active(False)
    ends_s = time.perf_counter() + DRAIN_S
    # Polled: an event would add work to the hot path.
    while not all(bidder.idle for bidder in bidders) and time.perf_counter() < ends_s:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    return [bidder.bid_log() for bidder in bidders]


async def answers(lines: AsyncIterator[bytes]) -> AsyncIterator[Done]:
    decode = msgspec.json.Decoder(Connect | SetBidders | Finish).decode
    seated: list[list[Bidder]] = []
    async for line in lines:
        order = decode(line)
        try:
            if isinstance(order, Connect):
                seated = await connect(order)
            elif isinstance(order, SetBidders):
                for bidders, number in zip(seated, order.bidders, strict=True):
                    for place, bidder in enumerate(bidders):
                        bidder.set_active(place < number)
            else:
                bid_logs = await finish(seated)
                await asyncio.to_thread(Path(order.file).write_bytes, msgspec.msgpack.encode(bid_logs))
        except (OSError, WireTrouble) as error:
            yield Done(str(error))
            return
        yield Done()


if __name__ == "__main__":
    answer_lines(answers)
