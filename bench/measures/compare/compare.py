"""This engine beside other stacks, in turn, in one run: the same load, the same PostgreSQL, every ack checked."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from bench.cells import pair, rate, span
from bench.definition import SECONDS, Bench, BenchFailed, Context, Option, Report, Table
from bench.engine import LIFTED_LIMITS
from bench.loads.load import Measured
from bench.loads.shapes import HOT, SPREAD, Shape
from bench.measures.compare.picture import bars
from bench.measures.compare.ratios import CLIENT_CPU_MAX, ENGINE, goals, shape_figures
from bench.peers.servers import PEERS, engine
from bench.peers.stack import Stack, measure_stack
from bench.peers.tables import durability

SHAPES = {shape.name: shape for shape in (HOT, SPREAD)}
# Every ack is kept until it is checked.
SECONDS_MAX = 120.0

SECONDS_OPTION = Option(SECONDS.flags, float, 5.0, SECONDS.unit, SECONDS.help, SECONDS.minimum, SECONDS_MAX)
ROUNDS = Option(("--rounds",), int, 3, "ROUNDS", "How often each stack is measured in each shape.", 1, 100)
PEER = Option[Sequence[str]](
    ("--peer", "--peers"), list[str], [], "PEER", "Compare with this one only.", choices=tuple(PEERS)
)
SHAPE = Option[Sequence[str]](
    ("--shape", "--shapes"), list[str], [], "SHAPE", "Only this shape of load.", choices=tuple(SHAPES)
)
PICTURE = Option[Path | None](("--picture",), Path | None, None, "FILE", "Draw the rates into this file, an SVG.")


async def run(context: Context) -> Report:
    picture = context.value(PICTURE)
    if picture is not None and not picture.absolute().parent.is_dir():
        raise BenchFailed(f"--picture {picture}: there is no such folder")
    seconds, rounds = context.value(SECONDS_OPTION), context.value(ROUNDS)
    async with AsyncExitStack() as running:
        stacks: dict[str, Stack] = {}
        for name in context.value(PEER):
            context.progress(f"starting {name}: {PEERS[name].about}")
            stacks[name] = await running.enter_async_context(PEERS[name].start(context))
        stacks = {ENGINE: await running.enter_async_context(engine(context)), **stacks}
        settings = await same_durability(stacks)
        await context.idle()
        shapes = {
            name: shape_figures(await measure_rounds(stacks, SHAPES[name], seconds, rounds, context.progress))
            for name in context.value(SHAPE)
        }
    figures = {
        "seconds": seconds, "rounds": rounds, "settings": dict(LIFTED_LIMITS), "durability": settings,
        "shapes": shapes, "goals": goals(shapes),
    }  # fmt: skip
    if picture is not None:
        picture.write_text(bars(shapes))
    return report(figures)


async def measure_rounds(
    stacks: Mapping[str, Stack], shape: Shape, seconds: float, rounds: int, progress: Callable[[str], None]
) -> dict[str, list[Measured]]:
    """Each stack once a round. Raises FalseAcks for one whose acks are wrong.

    The order is reversed each other round: a machine that gets slower must not favour one of them.
    """
    order = list(stacks)
    measured: dict[str, list[Measured]] = {name: [] for name in stacks}
    for number in range(rounds):
        for name in order if number % 2 == 0 else reversed(order):
            progress(f"{shape.name}, round {number + 1} of {rounds}: {name}")
            try:
                measured[name].append(await measure_stack(stacks[name], shape, seconds))
            except BenchFailed as failure:
                raise type(failure)(f"{name}: {failure}") from failure
    return measured


async def same_durability(stacks: Mapping[str, Stack]) -> dict[str, str]:
    """The settings of PostgreSQL that all stacks have. Raises BenchFailed where one has others."""
    found = {name: await durability(stack.database_url) for name, stack in stacks.items() if stack.database_url}
    expected = found[ENGINE]
    for name, settings in found.items():
        if settings != expected:
            raise BenchFailed(f"{name} is not as durable as the engine: {settings} instead of {expected}")
    return expected


def report(figures: Mapping[str, Any]) -> Report:
    """A table for each shape, the goals, and what the figures rest on."""
    parts: list[Table | str] = []
    for shape, stacks in figures["shapes"].items():
        parts += [_table(shape, stacks), *_anomalies(shape, stacks)]
    parts += [_verdict(goal) for goal in figures["goals"]]
    acks = sum(shown["checked_acks"] for stacks in figures["shapes"].values() for shown in stacks.values())
    settings = ", ".join(f"{name} {value}" for name, value in figures["durability"].items())
    parts += [
        "ratio: bids of the engine by those of the peer in the same round, median (least–most). load µs: what a bid "
        "costs the load generator.",
        f"All {acks:,} acknowledged bids were found in the databases, in order. PostgreSQL of each: {settings}.",
    ]
    return Report(figures, parts)


def _table(shape: str, stacks: Mapping[str, Mapping[str, Any]]) -> Table:
    rows = [
        (
            name,
            span(shown["accepted_per_s"]),
            pair(shown["ack_ms"]),
            _ratio(shown["ratio"]) if "ratio" in shown else "",
            rate(shown["client_us_per_bid"]),
        )
        for name, shown in stacks.items()
    ]
    return Table(f"{shape}: {SHAPES[shape].about}", ("stack", "accepted/s", "ack ms", "ratio", "load µs"), rows)


def _ratio(ratio: Mapping[str, float]) -> str:
    digits = _digits(ratio["median"])
    return f"{ratio['median']:.{digits}f} ({ratio['min']:.{digits}f}–{ratio['max']:.{digits}f})"


def _digits(ratio: float) -> int:
    return 1 if ratio >= 2 else 2


def _anomalies(shape: str, stacks: Mapping[str, Mapping[str, Any]]) -> Sequence[str]:
    return [
        f"{shape}, {name}: the load generator used {shown['client_cpu']:.0%} of a processor and may be the limit."
        for name, shown in stacks.items()
        if shown["client_cpu"] > CLIENT_CPU_MAX
    ]


def _verdict(goal: Mapping[str, Any]) -> str:
    verdict = "met" if goal["met"] else "MISSED"
    reached = f"{goal['ratio']:.{_digits(goal['ratio'])}f}"
    return f"Goal: {goal['shape']} {goal['goal']:g} × {goal['peer']}: {reached} ×, {verdict}."


compare = Bench(
    "compare",
    "This engine beside other stacks, in turn in one run, each with a PostgreSQL of the same build and settings.",
    """Peers: """
    + "; ".join(f"{name} ({peer.about})" for name, peer in PEERS.items())
    + """.

Every stack gets the same closed loop from the same load generator; each bidder watches its auction. The peers send each
accepted bid to all who watch it, the engine merges updates. The peers neither authenticate bidders nor check funds nor
know keys for retries; the engine does.

After each round every acknowledged bid is looked up in the database of its stack; a stack that acknowledged what is not
there has no figures. Packages of the peers on Node.js are installed by npm at the first run.""",
    (SECONDS_OPTION, ROUNDS, PEER, SHAPE, PICTURE),
    run,
)
