"""Closed-loop bidders on a running engine: each sends its next bid as soon as the last is answered. Baselines of the
same run are a bare echo and, with `--baseline`, the stack that this engine replaces."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.cells import ms, pair, percent, rate
from bench.definition import SECONDS, Bench, Context, Option, Report, Table
from bench.engine import LIFTED_LIMITS, Engine
from bench.loads.baseline import check_baseline, measure_baseline, with_ratio
from bench.loads.load import Measured
from bench.loads.shapes import HOT, LONE, SPREAD, Shape, measure_echo, measure_shape
from bench.measures import long_auction
from bench.wire.accounts_by_rest import AccountsByRest

SHAPES = {shape.name: shape for shape in (HOT, SPREAD, LONE)}
BASELINE_SHAPES = (HOT, SPREAD)

URL = Option[str | None](
    ("--url",), str | None, None, "URL", "Measure the engine that runs there. Its rate limits stay as they are."
)
BASELINE = Option[Path | None](
    ("--baseline", "--beside"), Path | None, None, "DIR",
    "Also measure the stack in DIR (start.sh, load.js, pg.sh; needs Node.js), and show the ratio.",
)  # fmt: skip

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
        baseline = context.value(BASELINE) if self._has_baseline else None
        if baseline is not None:
            check_baseline(baseline)
        result: dict[str, Any] = {"settings": dict(LIFTED_LIMITS) if context.value(URL) is None else {}}
        seconds = context.value(SECONDS)
        if self.shapes:
            context.progress("bare echo")
            result["echo_per_s"] = round(await measure_echo(), 1)
        async with _engine(context) as engine:
            for shape in self.shapes:
                context.progress(f"{shape.name}: {shape.about}, {seconds:g} s")
                measured = await measure_shape(engine, shape, seconds)
                result[shape.name] = figures(measured, result["echo_per_s"])
            if self.long:
                bids = context.value(long_auction.BIDS)
                result["long"] = await long_auction.measure_long(engine, bids, seconds, context.progress)
        if baseline is not None:
            await self._add_baseline(context, baseline, result)
        return result

    async def _add_baseline(self, context: Context, directory: Path, result: dict[str, Any]) -> None:
        """The engine has stopped: each stack has the machine to itself."""
        shapes = [shape for shape in self.shapes if shape in BASELINE_SHAPES]
        stores_by_shape = await measure_baseline(directory, shapes, context.value(SECONDS), context.progress)
        for name, stores in stores_by_shape.items():
            result[name]["baseline"] = {store: with_ratio(result[name], theirs) for store, theirs in stores.items()}

    @property
    def _has_baseline(self) -> bool:
        return any(shape in BASELINE_SHAPES for shape in self.shapes)

    def bench(self, summary: str, reading: str) -> Bench:
        """The bench of this plan."""
        options: list[Option[Any]] = [SECONDS, URL]
        if self.long:
            options.append(long_auction.BIDS)
        if self._has_baseline:
            options.append(BASELINE)
            reading += ON_BASELINE
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


def figures(measured: Measured, echo_per_s: float | None = None) -> dict[str, Any]:
    """A measurement as `--json` shows it; rates per second, latencies in ms."""
    window_s = measured.window_s
    shown: dict[str, Any] = {
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
    if echo_per_s is not None:
        shown["echo_per_s"] = round(echo_per_s, 1)
        shown["share_of_echo"] = round(measured.accepted / window_s / echo_per_s, 3)
    return shown


def text(result: Mapping[str, Any]) -> list[Table | str]:
    """Every part that was measured, then the baselines."""
    shapes = [name for name in SHAPES if name in result]
    parts: list[Table | str] = []
    if shapes:
        parts.append(_shapes_table(result, shapes))
        parts.append(
            f"Latencies: p50 / p99. Bare uvicorn echo of this run: {rate(result['echo_per_s'])} round trips/s."
        )
        for name in shapes:
            parts += [f"{name}: {SHAPES[name].about}", *_anomalies(name, result[name])]
    if any("baseline" in result[name] for name in shapes):
        parts.append(_baseline_table(result, shapes))
    if "long" in result:
        parts += long_auction.text(result["long"])
    if result["settings"]:
        lifted = ", ".join(f"ECE_{name.upper()}={value}" for name, value in result["settings"].items())
        parts.append(f"The engine ran with {lifted}; everything else by default.")
    return parts


def _shapes_table(result: Mapping[str, Any], shapes: Sequence[str]) -> Table:
    columns = ("bench", "accepted/s", "refused/s", "ack ms", "update ms", "updates/s", "of echo")
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
            percent(shown["share_of_echo"]),
        ))  # fmt: skip
    return Table("Durable accepted bids", columns, rows)


def _baseline_table(result: Mapping[str, Any], shapes: Sequence[str]) -> Table:
    rows = []
    for name in shapes:
        for store, theirs in result[name].get("baseline", {}).items():
            ratio = ms(None) if theirs["ratio"] is None else f"{theirs['ratio']:g}"
            rows.append((name, store, rate(theirs["accepted_per_s"]), pair(theirs["ack_ms"]), ratio))
    title = "Baseline: the other stack on the same machine, after the engine"
    return Table(title, ("bench", "store", "accepted/s", "ack ms", "engine/baseline"), rows)


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
