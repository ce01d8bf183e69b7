"""Bids at a steady rate, whatever becomes of them (open loop): `python -m bench.loads.steady` reads a Steady as JSON on
stdin and prints a Bidden as JSON on stdout."""

import asyncio
import itertools
import os
import sys
import time
from collections import Counter
from uuid import uuid4

import msgspec
import uvloop

from bench.loads.load import DRAIN_S, STEPS_AHEAD, Seat
from bench.percentiles import p50_p99
from bench.wire.client import Incoming, WireClient, WireTrouble, refusal_of


class Steady(msgspec.Struct, frozen=True):
    """Bid in the seat's auction for so long, its bidders by turns."""

    url: str
    seat: Seat
    bids_per_s: float
    seconds: float


class Bidden(msgspec.Struct):
    """`sent` has `[seq, sent_s]` of each accepted bid, by the machine's monotonic clock."""

    sent: list[tuple[int, float]]
    refused: dict[str, int]
    unanswered: int
    ack_ms: dict[str, float | None]


async def run(steady: Steady) -> Bidden:
    """Send each bid at its time; then wait for the answers that are still out."""
    seat = steady.seat
    clients = [await WireClient.connect(steady.url, token) for token in seat.tokens]
    sent: list[tuple[int, float]] = []
    ack_s: list[float] = []
    refused: Counter[str] = Counter()
    out = 0
    prefix = uuid4().hex[:20]

    def bid(number: int, client: WireClient) -> None:
        nonlocal out
        sent_s = time.perf_counter()

        def answered(reply: Incoming, _payload: memoryview | bytes) -> None:
            nonlocal out
            out -= 1
            ack_s.append(time.perf_counter() - sent_s)
            if reply.ok:
                sent.append((reply.seq, sent_s))
            else:
                refused[refusal_of(reply).code] += 1

        out += 1
        client.send_bid(seat.auction, seat.top + number * seat.step * STEPS_AHEAD, f"{prefix}-{number}", answered)

    from_s = time.perf_counter()
    for number, client in zip(range(1, int(steady.bids_per_s * steady.seconds) + 1), itertools.cycle(clients)):
        wait_s = from_s + number / steady.bids_per_s - time.perf_counter()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        bid(number, client)
    ends_s = time.perf_counter() + DRAIN_S
    while out and time.perf_counter() < ends_s:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    return Bidden(sent, dict(refused), out, p50_p99(ack_s))


def main() -> None:
    steady = msgspec.json.decode(sys.stdin.buffer.read(), type=Steady)
    try:
        bidden = uvloop.run(run(steady))
    except (OSError, WireTrouble) as error:
        sys.exit(f"bids: {error}")
    sys.stdout.buffer.write(msgspec.json.encode(bidden))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
