"""Open-loop bids at a constant rate: `python -m bench.loads.steady` reads a SteadyLoad as JSON on stdin and prints a
SteadyResult as JSON on stdout."""

import asyncio
import itertools
import time
from collections import Counter
from uuid import uuid4

import msgspec

from bench.loads.load import DRAIN_S, STEPS_AHEAD, Seat
from bench.loads.order import run_order
from bench.loads.pinning import NICENESS_OF_A_SENDER, pin_load
from bench.percentiles import p50_p99
from bench.wire.client import Incoming, WireClient, refusal_of


class SteadyLoad(msgspec.Struct, frozen=True):
    """Bid in the auction of the seat for `seconds`, its bidders in turn."""

    url: str
    seat: Seat
    bids_per_s: float
    seconds: float


class SteadyResult(msgspec.Struct):
    """`sent` has `[seq, due_s]` of each accepted bid, by the machine's monotonic clock; latencies count from then.

    `behind_ms`: how late the load itself sent its bids.
    """

    sent: list[tuple[int, float]]
    refused: dict[str, int]
    unanswered: int
    ack_ms: dict[str, float | None]
    behind_ms: dict[str, float | None]


async def run(steady: SteadyLoad) -> SteadyResult:
    """Send each bid at its time; then wait for the answers in flight."""
    seat = steady.seat
    clients = [await WireClient.connect(steady.url, token) for token in seat.tokens]
    sent: list[tuple[int, float]] = []
    ack_s: list[float] = []
    behind_s: list[float] = []
    refused: Counter[str] = Counter()
    in_flight = 0
    prefix = uuid4().hex[:20]

    def bid(number: int, client: WireClient, due_s: float) -> None:
        nonlocal in_flight
        behind_s.append(time.perf_counter() - due_s)

        def answered(reply: Incoming, _payload: memoryview | bytes) -> None:
            nonlocal in_flight
            in_flight -= 1
            ack_s.append(time.perf_counter() - due_s)
            if reply.ok:
                sent.append((reply.seq, due_s))
            else:
                refused[refusal_of(reply).code] += 1

        in_flight += 1
        client.send_bid(seat.auction, seat.top + number * seat.step * STEPS_AHEAD, f"{prefix}-{number}", answered)

    from_s = time.perf_counter()
    for number, client in zip(range(1, int(steady.bids_per_s * steady.seconds) + 1), itertools.cycle(clients)):
        due_s = from_s + number / steady.bids_per_s
        wait_s = due_s - time.perf_counter()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        bid(number, client, due_s)
    ends_s = time.perf_counter() + DRAIN_S
    while in_flight and time.perf_counter() < ends_s:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    return SteadyResult(sent, dict(refused), in_flight, p50_p99(ack_s), p50_p99(behind_s))


def main() -> None:
    pin_load(NICENESS_OF_A_SENDER)
    run_order(run, SteadyLoad, "bids")


if __name__ == "__main__":
    main()
