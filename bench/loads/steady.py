"""Open-loop bids at a constant rate: `python -m bench.loads.steady` reads a SteadyLoad as JSON on stdin and prints a
SteadyResult as JSON on stdout."""

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


class SteadyLoad(msgspec.Struct, frozen=True):
    """Bid in the auction of the seat for `seconds`, its bidders in turn."""

    url: str
    seat: Seat
    bids_per_s: float
    seconds: float


class SteadyResult(msgspec.Struct):
    """`sent` has `[seq, sent_s]` of each accepted bid, by the machine's monotonic clock."""

    sent: list[tuple[int, float]]
    refused: dict[str, int]
    unanswered: int
    ack_ms: dict[str, float | None]


async def run(steady: SteadyLoad) -> SteadyResult:
    """Send each bid at its time; then wait for the answers in flight."""
    seat = steady.seat
    clients = [await WireClient.connect(steady.url, token) for token in seat.tokens]
    sent: list[tuple[int, float]] = []
    ack_s: list[float] = []
    refused: Counter[str] = Counter()
    in_flight = 0
    prefix = uuid4().hex[:20]

    def bid(number: int, client: WireClient) -> None:
        nonlocal in_flight
        sent_s = time.perf_counter()

        def answered(reply: Incoming, _payload: memoryview | bytes) -> None:
            nonlocal in_flight
            in_flight -= 1
            ack_s.append(time.perf_counter() - sent_s)
            if reply.ok:
                sent.append((reply.seq, sent_s))
            else:
                refused[refusal_of(reply).code] += 1

        in_flight += 1
        client.send_bid(seat.auction, seat.top + number * seat.step * STEPS_AHEAD, f"{prefix}-{number}", answered)

    from_s = time.perf_counter()
    for number, client in zip(range(1, int(steady.bids_per_s * steady.seconds) + 1), itertools.cycle(clients)):
        wait_s = from_s + number / steady.bids_per_s - time.perf_counter()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        bid(number, client)
    ends_s = time.perf_counter() + DRAIN_S
    while in_flight and time.perf_counter() < ends_s:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    return SteadyResult(sent, dict(refused), in_flight, p50_p99(ack_s))


def main() -> None:
    steady = msgspec.json.decode(sys.stdin.buffer.read(), type=SteadyLoad)
    try:
        result = uvloop.run(run(steady))
    except (OSError, WireTrouble) as error:
        sys.exit(f"bids: {error}")
    sys.stdout.buffer.write(msgspec.json.encode(result))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
