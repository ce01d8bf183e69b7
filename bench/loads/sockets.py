"""Idle sockets: `python -m bench.loads.sockets` reads an Idle as a line of JSON on stdin, connects and answers with a
Connected; then for each line with a Round it answers with a RoundResult."""

import asyncio
import time
from collections.abc import AsyncIterator

import msgspec

from bench.loads.line_process import answer_lines
from bench.loads.pinning import pin_load
from bench.percentiles import p50_p99
from bench.wire.client import WireClient, WireTrouble

CONNECTING_MAX = 64
PING_WITHIN_S = 10.0


class Idle(msgspec.Struct, frozen=True):
    """So many sockets from this address of the machine."""

    url: str
    source: str
    sockets: int


class Connected(msgspec.Struct, frozen=True):
    """How many are connected, and the error that stopped the others."""

    sockets: int
    error: str | None = None


class Round(msgspec.Struct, frozen=True):
    """Every socket sends one ping, at times spread evenly over so many seconds."""

    seconds: float


class RoundResult(msgspec.Struct):
    """Latencies from when a ping was due; `behind_ms`: how late the load itself sent them."""

    answered: int
    dropped: int
    ping_ms: dict[str, float | None]
    behind_ms: dict[str, float | None]


class Sockets:
    """All sockets of the process."""

    def __init__(self) -> None:
        self.all: list[WireClient] = []
        self.dropped = 0

    def lost(self, _code: int, _reason: str) -> None:
        self.dropped += 1


async def connect(order: Idle, sockets: Sockets) -> Connected:
    """Connect all, until one is refused."""
    connecting = asyncio.Semaphore(CONNECTING_MAX)
    errors: list[str] = []

    async def connect_one() -> None:
        async with connecting:
            if errors:
                return
            try:
                client = await WireClient.connect(order.url, None, source=order.source, on_close=sockets.lost)
            except (WireTrouble, OSError) as error:
                errors.append(str(error))
                return
            sockets.all.append(client)

    await asyncio.gather(*(connect_one() for _ in range(order.sockets)))
    return Connected(len(sockets.all), errors[0] if errors else None)


async def play_round(sockets: Sockets, wanted: Round) -> RoundResult:
    """Send a ping on every socket, and wait for the answers."""
    ping_s: list[float] = []
    behind_s: list[float] = []
    from_s = time.perf_counter()

    async def ping(client: WireClient, due_s: float) -> None:
        await asyncio.sleep(due_s - time.perf_counter())
        behind_s.append(time.perf_counter() - due_s)
        try:
            await client.request("ping", PING_WITHIN_S)
        except WireTrouble:
            return
        ping_s.append(time.perf_counter() - due_s)

    each_s = wanted.seconds / max(1, len(sockets.all))
    await asyncio.gather(*(ping(client, from_s + number * each_s) for number, client in enumerate(sockets.all)))
    return RoundResult(len(ping_s), sockets.dropped, p50_p99(ping_s), p50_p99(behind_s))


async def answers(lines: AsyncIterator[bytes]) -> AsyncIterator[Connected | RoundResult]:
    sockets = Sockets()
    yield await connect(msgspec.json.decode(await anext(lines), type=Idle), sockets)
    async for line in lines:
        yield await play_round(sockets, msgspec.json.decode(line, type=Round))


if __name__ == "__main__":
    pin_load()
    answer_lines(answers)
