"""Closed-loop bidders on a running engine: each sends its next bid as soon as the last is answered."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from bench.cells import pair, rate
from bench.definition import SECONDS, Bench, Context, Option, Report, Table
from bench.engine import LIFTED_LIMITS, Engine
from bench.loads.load import Measured
from bench.loads.shapes import HOT, LONE, SPREAD, Shape, measure_shape
from bench.measures import long_auction
from bench.wire.accounts_by_rest import AccountsByRest

SHAPES = {shape.name: shape for shape in (HOT, SPREAD, LONE)}

URL = Option[str | None](
    ("--url",), str | None, None, "URL", "Measure the engine that runs there. Its rate limits stay as they are."
)

READING = """accepted/s: bids that were authenticated, decided, committed to PostgreSQL and acknowledged. refused/s:
others.

ack: from a bid's frame to its reply, at the client. update: from a bid's frame to the first update at another bidder
that includes it. One update may include many bids.

of echo: accepted/s as a share of the round trips of a bare WebSocket echo in the same run. Figures of one run compare
only with figures of the same run."""
ON_BASELINE = """

--baseline measures another stack (Express, Socket.io, PostgreSQL) in the same shapes, after the engine has stopped."""


@dataclass(frozen=True)
class Plan:
    """What to measure on one engine."""

    name: str
    shapes: tuple[Shape, ...] = ()
    long: bool = False

    async def run(self, context: Context) -> Report:
        """Measure, then report. The JSON of a plan of one part has its figures at the top."""
        result = await self._measure(context)
        if len(self.shapes) + self.long > 1:
            return Report(result, text(result))
        part = result[self.shapes[0].name if self.shapes else "long"]
        rest = {key: value for key, value in result.items() if value is not part}
        return Report({**rest, **part}, text(result))

    async def _measure(self, context: Context) -> dict[str, Any]:
        result: dict[str, Any] = {"settings": dict(LIFTED_LIMITS) if context.value(URL) is None else {}}
        seconds = context.value(SECONDS)
        async with _engine(context) as engine:
            for shape in self.shapes:
                context.progress(f"{shape.name}: {shape.about}, {seconds:g} s")
                measured = await measure_shape(engine, shape, seconds)
                result[shape.name] = figures(measured)
            if self.long:
                bids = context.value(long_auction.BIDS)
                result["long"] = await long_auction.measure_long(engine, bids, seconds, context.progress)
        return result

    def bench(self, summary: str, reading: str) -> Bench:
        """The bench of this plan."""
        options: list[Option[Any]] = [SECONDS, URL]
        if self.long:
            options.append(long_auction.BIDS)
        return Bench(self.name, summary, reading, options, self.run)


@asynccontextmanager
async def _engine(context: Context) -> AsyncIterator[Engine]:
    """The engine at the URL, or a new one."""
    url = context.value(URL)
    if url is not None:
        yield Engine(url, AccountsByRest(url))
        return
    async with context.engine() as engine:
        await context.idle()
        yield engine


def figures(measured: Measured) -> dict[str, Any]:
    """A measurement as `--json` shows it; rates per second, latencies in ms."""
    window_s = measured.window_s
    return {
        "accepted_per_s": round(measured.accepted / window_s, 1),
        "refused_per_s": round(sum(measured.refused.values()) / window_s, 1),
        "acks_per_s": round(measured.acks / window_s, 1),
        "ack_ms": measured.ack_ms,
        "update_ms": measured.update_ms,
        "updates_per_s": round(measured.updates / window_s, 1),
        "refused": measured.refused,
        "lost_connections": measured.lost_connections,
        "client_cpu": measured.client_cpu,
        "window_s": round(window_s, 2),
    }


def text(result: Mapping[str, Any]) -> list[Table | str]:
    """Every part that was measured."""
    shapes = [name for name in SHAPES if name in result]
    parts: list[Table | str] = []
    if shapes:
        parts.append(_shapes_table(result, shapes))
        parts.append("Latencies: p50 / p99.")
        for name in shapes:
            parts += [f"{name}: {SHAPES[name].about}", *_anomalies(name, result[name])]
    if "long" in result:
        parts += long_auction.text(result["long"])
    if result["settings"]:
        lifted = ", ".join(f"ECE_{name.upper()}={value}" for name, value in result["settings"].items())
        parts.append(f"The engine ran with {lifted}; everything else by default.")
    return parts


def _shapes_table(result: Mapping[str, Any], shapes: Sequence[str]) -> Table:
    columns = ("bench", "accepted/s", "refused/s", "ack ms", "update ms", "updates/s")
    rows = []
    for name in shapes:
        shown = result[name]
        rows.append((
            name,
            rate(shown["accepted_per_s"]),
            rate(shown["refused_per_s"]),
            pair(shown["ack_ms"]),
            pair(shown["update_ms"]),
            rate(shown["updates_per_s"]),
        ))  # fmt: skip
    return Table("Durable accepted bids", columns, rows)


def _anomalies(name: str, shown: Mapping[str, Any]) -> list[str]:
    """What makes the figures of a shape unreliable."""
    found = []
    if shown["refused"]:
        found.append(f"{name}: refused: {', '.join(f'{count:,} {code}' for code, count in shown['refused'].items())}")
    if shown["lost_connections"]:
        found.append(f"{name}: {shown['lost_connections']} connections were lost: the figures are too low")
    return found


hot = Plan("hot", (HOT,)).bench("1 auction × 50 bidders, each also watching it: the worst case for one actor.", READING)
spread = Plan("spread", (SPREAD,)).bench(
    "50 auctions × 4 bidders, each also watching its auction: what one host carries.", READING
)
lone = Plan("lone", (LONE,)).bench("One bidder: the latency of a durable bid when nobody else bids.", READING)
long = Plan("long", long=True).bench(
    "A bid in an auction of a million bids against one in an auction of a thousand: latency and host memory.",
    long_auction.READING,
)
every = Plan("all", (HOT, SPREAD, LONE), long=True).bench(
    "hot, spread, lone and long, one after the other on one engine.", READING
)
