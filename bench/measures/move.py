"""Live moves under full load: slots between two hosts, and auctions to a dedicated host and back.

Every bid is recorded with the times of its frame and its answer, and the directory is polled for the moment at which it
names another owner: the bids in flight around that moment show the effect of the move. Over the wire, except that moves
are requested as operators do, and that the log is read at the end.
"""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import msgspec

from bench.cells import NONE, rate
from bench.definition import Bench, Context, Option, Report, Table
from bench.engine import LIFTED_LIMITS, Engine, Mover
from bench.loads.line_process import LineProcess, line_process
from bench.loads.move import BidLog, Connect, Done, Finish, SetBidders
from bench.loads.processes import ProcessFailed
from bench.loads.shapes import HOT, SPREAD, Shape, open_seats
from bench.measures.move_figures import AROUND_S, P99_MS_MAX, Change, Run, bids_of, figures_of, verdict_of
from domain.auction.events import BidEvent
from domain.ids import parse_id
from domain.kinds import kind_of
from persistence.log.event_log import EventLog
from persistence.summary_tables import SUMMARY_TABLES

MOVES = 20
SWAPS = 2
WARMUP_S = 2.0
# Between two moves: far enough for their windows to lie apart, and for bids that no move touches.
REST_S = 0.5
WATCH_S = 0.003
MOVED_WITHIN_S = 20.0
# A host's start, or the minimum time of an auction on its dedicated host, with a margin.
DEDICATED_WITHIN_S = 40.0
ANSWERS_WITHIN_S = 60.0
# Two auctions compete for one dedicated host: many bidders in one, few in the other, and then the reverse.
DEDICATED = Shape("dedicated", 2, 40, "2 auctions × up to 40 bidders, and one dedicated host for the hotter")
MANY, FEW = 40, 8

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Subject:
    """The engine under test, its log, and what moves its auctions."""

    engine: Engine
    mover: Mover
    database_url: str = field(repr=False)


async def measure_moves(subject: Subject, moves: int, swaps: int, progress: Progress) -> dict[str, Any]:
    """So many moves of slots in each shape; then each swap gives the dedicated host to the other auction.

    Raises ProcessFailed when a move doesn't happen in time.
    """
    hosts = await subject.mover.hosts()
    if len(hosts) < 2:
        raise ProcessFailed(f"a move needs two hosts; there are: {', '.join(hosts) or 'none'}")
    parts: dict[str, Any] = {}
    for shape in (HOT, SPREAD):
        progress(f"{shape.name}: {shape.about}, {moves} moves of slots")
        parts[shape.name] = await _measured(subject, shape, _SlotMoves(subject.mover, hosts[:2], moves))
    progress(f"dedicated: {DEDICATED.about}, {swaps} swaps")
    parts["dedicated"] = await _measured(subject, DEDICATED, _Swaps(subject.mover, swaps, progress))
    return {
        "around_ms": round(1000 * AROUND_S),
        "bar_p99_ms": P99_MS_MAX,
        "met": all(part["met"] for part in parts.values()),
        **parts,
    }


class _Scenario(Protocol):
    """The moves of the auctions while they are bid on."""

    placement: str

    async def play(self, load: LineProcess, auctions: Sequence[str], run: Run) -> None: ...


async def _measured(subject: Subject, shape: Shape, scenario: _Scenario) -> dict[str, Any]:
    seats = await open_seats(subject.engine, shape, placement=scenario.placement)
    auctions = [seat.auction for seat in seats]
    run = Run()
    with tempfile.TemporaryDirectory(prefix="ece-bench-move-") as directory:
        bid_logs = Path(directory) / "bid_logs"
        async with line_process("bench.loads.move", "the bidders") as load:
            await _command(load, Connect(subject.engine.base_url, seats))
            await scenario.play(load, auctions, run)
            await _command(load, Finish(str(bid_logs)))
        recorded = msgspec.msgpack.decode(bid_logs.read_bytes(), type=list[BidLog])
    bids = [bid for bid_log in recorded for bid in bids_of(bid_log)]
    unanswered = sum((len(bid_log.sent) - len(bid_log.answered)) // 8 for bid_log in recorded)
    logged = await logged_bids(subject.database_url, auctions)
    return figures_of(bids, run) | verdict_of(bids, run, logged, unanswered)


class _SlotMoves:
    """All slots of the auctions to one host, then to the other, and so on."""

    placement = "shared"

    def __init__(self, mover: Mover, hosts: Sequence[str], moves: int) -> None:
        self._mover = mover
        self._hosts = hosts
        self._moves = moves

    async def play(self, load: LineProcess, auctions: Sequence[str], run: Run) -> None:
        here, there = self._hosts
        watch = _DirectoryWatch(self._mover, auctions, Run())
        await self._mover.move(auctions, here)
        await watch.until(_all_on(here), MOVED_WITHIN_S)
        await _command(load, SetBidders([1_000] * len(auctions)))
        async with _measuring(run):
            watch = _DirectoryWatch(self._mover, auctions, run)
            while len(run.changes) < self._moves:
                here, there = there, here
                await self._mover.move(auctions, here)
                await watch.until(_all_on(here), MOVED_WITHIN_S)
                await asyncio.sleep(REST_S)


class _Swaps:
    """The first auction gets the dedicated host; then the second is hotter and gets it, and so on."""

    placement = "auto"

    def __init__(self, mover: Mover, swaps: int, progress: Progress) -> None:
        self._mover = mover
        self._swaps = swaps
        self._progress = progress

    async def play(self, load: LineProcess, auctions: Sequence[str], run: Run) -> None:
        shared = set(await self._mover.hosts())
        hot, other = auctions
        watch = _DirectoryWatch(self._mover, auctions, run)
        async with _measuring(run):
            for swap in range(self._swaps + 1):
                await _command(load, SetBidders([MANY if auction == hot else FEW for auction in auctions]))
                await watch.until(_dedicated(hot, shared), DEDICATED_WITHIN_S)
                self._progress(f"dedicated: {swap} of {self._swaps} swaps")
                await asyncio.sleep(REST_S)
                hot, other = other, hot


@asynccontextmanager
async def _measuring(run: Run) -> AsyncIterator[None]:
    await asyncio.sleep(WARMUP_S)
    run.from_s = time.perf_counter()
    yield
    await asyncio.sleep(REST_S)
    run.to_s = time.perf_counter()


class _DirectoryWatch:
    """Polls the directory every few milliseconds, and records when it names other owners."""

    def __init__(self, mover: Mover, auctions: Sequence[str], run: Run) -> None:
        self._mover = mover
        self._auctions = auctions
        self._run = run
        self._before: dict[str, str] | None = None

    async def until(self, met: Callable[[dict[str, str]], bool], within_s: float) -> None:
        """Watch until the owners meet the condition. Raises ProcessFailed after `within_s`."""
        deadline_s = time.perf_counter() + within_s
        while True:
            now = await self._mover.owners(self._auctions)
            at_s = time.perf_counter()
            if self._before is not None and now != self._before:
                self._run.changes.append(Change(at_s, _moves_between(self._before, now)))
            self._before = now
            if met(now):
                return
            if at_s > deadline_s:
                raise ProcessFailed(f"after {within_s:g} s the directory still has {Counter(now.values())}")
            await asyncio.sleep(WATCH_S)


def _all_on(host_id: str) -> Callable[[dict[str, str]], bool]:
    return lambda owners: set(owners.values()) == {host_id}


def _dedicated(auction: str, shared: set[str]) -> Callable[[dict[str, str]], bool]:
    return lambda owners: owners[auction] not in shared


def _moves_between(before: dict[str, str], now: dict[str, str]) -> str:
    moves = Counter((before[a], now[a]) for a in now if before.get(a) != now[a])
    return ", ".join(f"{number} from {source} to {target}" for (source, target), number in sorted(moves.items()))


async def _command(load: LineProcess, order: Connect | SetBidders | Finish) -> None:
    await load.send(order)
    done = msgspec.json.decode(await load.receive(ANSWERS_WITHIN_S), type=Done)
    if done.error is not None:
        raise ProcessFailed(f"the bidders: {done.error}")


async def logged_bids(database_url: str, auctions: Sequence[str]) -> dict[str, dict[str, int]]:
    """The sequence number of each key that the log has a bid for, by auction. Raises StoreUnavailable."""
    log = EventLog(database_url, SUMMARY_TABLES, pool_max=2)
    await log.open()
    try:
        return {auction: await _logged(log, parse_id(auction)) for auction in auctions}
    finally:
        await log.close()


async def _logged(log: EventLog, auction: int) -> dict[str, int]:
    found: dict[str, int] = {}
    seq = 0
    while rows := await log.tail(auction, seq):
        for row in rows:
            event = kind_of("auction").codec.decode_event(row.body)
            if isinstance(event, BidEvent):
                found[event.key] = row.seq
        seq = rows[-1].seq
    return found


ABOUT = {"hot": HOT.about, "spread": SPREAD.about, "dedicated": DEDICATED.about}


def report(figures: Mapping[str, Any]) -> Report:
    """A row for each kind of move, then what the columns mean."""
    bar, around = figures["bar_p99_ms"], figures["around_ms"]
    parts = {name: figures[name] for name in ABOUT if name in figures}
    columns = ("bench", "moves", "bids/s", "in moves", "apart", "worst", "refused", "lost", "met")
    return Report(
        figures,
        [
            Table("Live moves under full load", columns, [_row(name, shown) for name, shown in parts.items()]),
            f"in moves: latency in ms, p50/p99/max, of bids in flight from {around} ms before to {around} ms after the "
            "directory named another owner. apart: of all others. worst: p99 of the bids of one move.",
            f"Bar: in each move a p99 under {bar:g} ms, no bid refused because of it, no acknowledged bid missing.",
            *(f"{name}: {ABOUT[name]}{_refusals(shown)}" for name, shown in parts.items()),
        ],
    )


def _row(name: str, shown: Mapping[str, Any]) -> tuple[str, ...]:
    worst = shown["worst_move_p99_ms"]
    return (
        name,
        f"{shown['moves']:,}",
        rate(shown["bids_per_s"]),
        _three(shown["during"]),
        _three(shown["apart"]),
        NONE if worst is None else f"{worst:.1f}",
        f"{sum(shown['refused'].values()) + shown['unanswered']:,}",
        f"{shown['missing']:,}",
        "yes" if shown["met"] else "NO",
    )


def _refusals(shown: Mapping[str, Any]) -> str:
    """Refusals by code; and how many bids the rules refused, which is no failure."""
    found = [f"{count:,} {code}" for code, count in shown["refused"].items()]
    if shown["unanswered"]:
        found.append(f"{shown['unanswered']:,} never answered")
    if shown["refused_by_the_rules"]:
        found.append(f"{shown['refused_by_the_rules']:,} overtaken by another bid, and too low then")
    return f"; {', '.join(found)}" if found else ""


def _three(latencies: Mapping[str, float | None]) -> str:
    return "/".join(NONE if latencies[name] is None else f"{latencies[name]:.0f}" for name in ("p50", "p99", "max"))


MOVES_OPTION = Option(
    ("--moves",), int, MOVES, "MOVES", "Moves of slots, in each of the two shapes.", minimum=1, maximum=1_000
)
SWAPS_OPTION = Option(
    ("--swaps",), int, SWAPS, "SWAPS", "How often the dedicated host goes to the other auction.",
    minimum=0, maximum=100,
)  # fmt: skip


async def run(context: Context) -> Report:
    async with context.engine({**LIFTED_LIMITS, "hosts": 2, "spare_hosts": 0, "dedicated_max": 1}) as engine:
        await context.idle()
        async with engine.mover() as mover:
            subject = Subject(engine, mover, engine.database_url)
            moves, swaps = context.value(MOVES_OPTION), context.value(SWAPS_OPTION)
            return report(await measure_moves(subject, moves, swaps, context.progress))


move = Bench(
    "move",
    "Live moves under full load: latency of bids while their auctions change hosts, and refused or lost bids.",
    """Two hosts. The slots of `hot` and then of `spread` move to and fro between them, as with `ece slots move`. Then
two auctions compete for one dedicated host (ECE_DEDICATED_MAX=1): the hotter gets it, and loses it when the other is
hotter. Each keeps it for at least 15 s, so a swap takes that long.

A move is the bids in flight from 100 ms before to 100 ms after the directory named another owner. Bar for each move:
p99 under 100 ms, no bid refused or answered `unavailable`, no acknowledged bid missing in the log.""",
    (MOVES_OPTION, SWAPS_OPTION),
    run,
)
