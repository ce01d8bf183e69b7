"""Idle sockets of one gateway: its memory for each, and how soon it answers their pings."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec

from bench.engine import LIFTED_LIMITS, OwnEngine
from bench.loads.line_process import LineProcess, line_process
from bench.loads.sockets import Connected, Idle, Round, RoundResult
from bench.measures.capacity.files import sockets_most
from bench.measures.capacity.fitting import slope
from bench.measures.capacity.kind import LATENCY_P99_MS_MAX, Kind, Meter, Progress, judged
from bench.measures.capacity.search import Range, Step
from bench.measures.capacity.usage import usage_of

# Of one source address: fewer than the ports that connections to one destination may have.
PER_ADDRESS_MAX = 10_000
CONNECTED_WITHIN_S = 600.0
GRACE_S = 60.0
GATEWAY = "gateway"


class SocketsMeter:
    """Load processes with sockets, each from an address of its own. Sizes only grow."""

    def __init__(self, engine: OwnEngine, stack: AsyncExitStack, seconds: float, progress: Progress) -> None:
        self._engine, self._stack, self._seconds, self._progress = engine, stack, seconds, progress
        self._loads: list[LineProcess] = []
        self._sockets = 0
        self._memory: list[tuple[float, float]] = [(0, usage_of(engine).memory[GATEWAY])]

    async def measure(self, size: int) -> Step:
        """Connect those that are missing; then every socket sends one ping."""
        self._progress(f"{size:,} sockets connect")
        error = None
        while self._sockets < size and error is None:
            error = await self._connect(min(PER_ADDRESS_MAX, size - self._sockets))
        self._progress(f"{self._sockets:,} sockets, a ping of each within {self._seconds:g} s")
        for load in self._loads:
            await load.send(Round(self._seconds))
        lines = [await load.receive(self._seconds + GRACE_S) for load in self._loads]
        results = [msgspec.json.decode(line, type=RoundResult) for line in lines]
        memory = usage_of(self._engine).memory[GATEWAY]
        if error is None:
            self._memory.append((self._sockets, memory))
        shown = figures(results, self._sockets, memory)
        return judged(size, shown, error or what_broke(shown))

    async def _connect(self, sockets: int) -> str | None:
        """A process with so many sockets; returns why some could not connect."""
        load = await self._stack.enter_async_context(line_process("bench.loads.sockets", "the sockets"))
        self._loads.append(load)
        source = f"127.0.0.{2 + len(self._loads) % 250}"
        await load.send(Idle(self._engine.base_url, source, sockets))
        connected = msgspec.json.decode(await load.receive(CONNECTED_WITHIN_S), type=Connected)
        self._sockets += connected.sockets
        return None if connected.error is None else f"only {self._sockets:,} connected: {connected.error}"

    def costs(self) -> dict[str, float]:
        """The slope of the gateway's memory over the sizes, and its memory without sockets."""
        if len(self._memory) == 1:
            return {}
        return {"socket_bytes": slope(self._memory), "gateway_bytes": self._memory[0][1]}


def figures(results: list[RoundResult], sockets: int, memory: int) -> dict[str, Any]:
    """Of all processes: the worst of their percentiles."""

    def worst(name: str, share: str) -> float | None:
        found = [getattr(result, name)[share] for result in results]
        return None if None in found else max(found)

    return {
        "sockets": sockets,
        "answered": sum(result.answered for result in results),
        "dropped": sum(result.dropped for result in results),
        "ping_ms": {share: worst("ping_ms", share) for share in ("p50", "p99")},
        "behind_ms": {"p99": worst("behind_ms", "p99")},
        "gateway_mib": round(memory / 2**20, 1),
    }


def what_broke(figures: dict[str, Any]) -> str | None:
    """Why the service level did not hold; None where it did."""
    p99_ms = figures["ping_ms"]["p99"]
    if figures["dropped"]:
        return f"{figures['dropped']:,} were disconnected"
    if figures["answered"] != figures["sockets"]:
        return f"only {figures['answered']:,} pings were answered"
    if p99_ms is None or p99_ms > LATENCY_P99_MS_MAX:
        return f"ping p99 was {p99_ms or 0:.0f} ms"
    return None


@asynccontextmanager
async def _meter(engine: OwnEngine, seconds: float, progress: Progress) -> AsyncIterator[Meter]:
    async with AsyncExitStack() as stack:
        yield SocketsMeter(engine, stack, seconds, progress)


SOCKETS = Kind(
    "sockets",
    "sockets",
    f"idle: none disconnected, p99 of answers to pings under {LATENCY_P99_MS_MAX:g} ms",
    Range(first=1_000, least=100, most=sockets_most(100_000), grows_only=True),
    "ping_ms",
    _meter,
    lambda most: {**LIFTED_LIMITS, "sockets_max": most, "connections_per_address_max": most},
)
