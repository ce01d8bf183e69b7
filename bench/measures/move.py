"""Live moves under full load: slots go to and fro between two hosts, and auctions to a host of their own and back.

Every bid is noted with its sending and its answer, and the directory is watched for the moment at which it names
another keeper: what was under way around that moment is what the move did to bidders. Through the wire, except that
moves are wished for as operators do, and that the log is read at the end.
"""

import asyncio
import tempfile
import time
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import msgspec

from bench.loads.move import BY_THE_RULES, Done, End, Opening, Story, Turn
from bench.loads.processes import ProcessFailed
from bench.loads.talking import Talking, talking_to
from bench.measures.live import HOT, SPREAD, Engine, Shape, open_seats
from bench.percentiles import p50_p99
from domain.auction.events import BidEvent
from domain.ids import parse_id
from domain.kinds import kind_of
from persistence.log.event_log import EventLog
from persistence.summary_tables import SUMMARY_TABLES

MOVES = 20
SWAPS = 2
# What was under way so shortly before and after the change of the directory is counted to the move.
AROUND_S = 0.1
P99_MS_MAX = 100.0
WARMUP_S = 2.0
# Between two moves: far enough for their windows to lie apart, and for bids that no move touches.
REST_S = 0.5
WATCH_S = 0.003
MOVED_WITHIN_S = 20.0
# A host's start, or the time that an auction keeps its own host whatever happens, and then some.
OWN_HOST_WITHIN_S = 40.0
ANSWERS_WITHIN_S = 60.0
# Two auctions compete for the one place: many bidders in one, few in the other, and then the other way round.
OWN = Shape("own host", 2, 40, "2 auctions × up to 40 bidders and one host of its own, for the hotter")
MANY, FEW = 40, 8

Tell = Callable[[str], None]


class Mover(Protocol):
    """Where auctions are kept, and how operators move them."""

    async def hosts(self) -> list[str]:
        """The hosts that slots can be moved to."""

    async def wish(self, auctions: Sequence[str], host_id: str) -> None:
        """Have the slots of these auctions kept by this host."""

    async def keepers(self, auctions: Sequence[str]) -> dict[str, str]:
        """The host that keeps each of these auctions, as the directory has it now."""


@dataclass(frozen=True)
class Bench:
    """What is measured: the engine, its log, and what moves its auctions."""

    engine: Engine
    mover: Mover
    database_url: str = field(repr=False)


@dataclass(frozen=True)
class Change:
    """The directory named another keeper for some auctions: at this time (perf_counter) at the latest."""

    at_s: float
    what: str

    @property
    def window(self) -> tuple[float, float]:
        return self.at_s - AROUND_S, self.at_s + AROUND_S


@dataclass(frozen=True)
class Bid:
    """One bid: times are of perf_counter; `seq` None when it was refused, with this code."""

    auction: str
    key: str
    sent_s: float
    answered_s: float
    seq: int | None
    code: str | None


@dataclass
class Run:
    """The changes of one run, and from when to when it is measured."""

    from_s: float = 0.0
    to_s: float = 0.0
    changes: list[Change] = field(default_factory=list)


async def measure_moves(bench: Bench, moves: int, swaps: int, tell: Tell) -> dict[str, Any]:
    """So many moves of slots in each shape; then each swap gives the one place for an own host to another auction.

    Raises ProcessFailed when a move doesn't happen in time.
    """
    hosts = await bench.mover.hosts()
    if len(hosts) < 2:
        raise ProcessFailed(f"moving takes two hosts; there are: {', '.join(hosts) or 'none'}")
    parts: dict[str, Any] = {}
    for shape in (HOT, SPREAD):
        tell(f"{shape.name}: {shape.about}, {moves} moves of slots")
        parts[shape.name] = await _measured(bench, shape, _SlotMoves(bench.mover, hosts[:2], moves))
    tell(f"own host: {OWN.about}, {swaps} swaps")
    parts["own_host"] = await _measured(bench, OWN, _Swaps(bench.mover, swaps, tell))
    return {
        "around_ms": round(1000 * AROUND_S),
        "bar_p99_ms": P99_MS_MAX,
        "met": all(part["met"] for part in parts.values()),
        **parts,
    }


class _Play(Protocol):
    """What happens to the auctions while they are bid on."""

    placement: str

    async def play(self, load: Talking, auctions: Sequence[str], run: Run) -> None: ...


async def _measured(bench: Bench, shape: Shape, play: _Play) -> dict[str, Any]:
    seats = await open_seats(bench.engine, shape, placement=play.placement)
    auctions = [seat.auction for seat in seats]
    run = Run()
    with tempfile.TemporaryDirectory(prefix="ece-bench-move-") as directory:
        stories = Path(directory) / "stories"
        async with talking_to("bench.loads.move", "the bidders") as load:
            await _have_done(load, Opening(bench.engine.base_url, seats))
            await play.play(load, auctions, run)
            await _have_done(load, End(str(stories)))
        told = msgspec.msgpack.decode(stories.read_bytes(), type=list[Story])
    bids = [bid for story in told for bid in bids_of(story)]
    unanswered = sum((len(story.sent) - len(story.answered)) // 8 for story in told)
    kept = await logged_bids(bench.database_url, auctions)
    return figures_of(bids, run) | verdict_of(bids, run, kept, unanswered)


class _SlotMoves:
    """All slots of the auctions to one host, then to the other, and so on."""

    placement = "shared"

    def __init__(self, mover: Mover, hosts: Sequence[str], moves: int) -> None:
        self._mover = mover
        self._hosts = hosts
        self._moves = moves

    async def play(self, load: Talking, auctions: Sequence[str], run: Run) -> None:
        here, there = self._hosts
        watch = _Watch(self._mover, auctions, Run())
        await self._mover.wish(auctions, here)
        await watch.until(_all_on(here), MOVED_WITHIN_S)
        await _have_done(load, Turn([1_000] * len(auctions)))
        async with _measuring(run):
            watch = _Watch(self._mover, auctions, run)
            while len(run.changes) < self._moves:
                here, there = there, here
                await self._mover.wish(auctions, here)
                await watch.until(_all_on(here), MOVED_WITHIN_S)
                await asyncio.sleep(REST_S)


class _Swaps:
    """The first auction gets hot, and a host of its own; then the second is hotter and takes its place, and so on."""

    placement = "auto"

    def __init__(self, mover: Mover, swaps: int, tell: Tell) -> None:
        self._mover = mover
        self._swaps = swaps
        self._tell = tell

    async def play(self, load: Talking, auctions: Sequence[str], run: Run) -> None:
        shared = set(await self._mover.hosts())
        hot, other = auctions
        watch = _Watch(self._mover, auctions, run)
        async with _measuring(run):
            for swap in range(self._swaps + 1):
                await _have_done(load, Turn([MANY if auction == hot else FEW for auction in auctions]))
                await watch.until(_alone(hot, shared), OWN_HOST_WITHIN_S)
                self._tell(f"own host: {swap} of {self._swaps} swaps")
                await asyncio.sleep(REST_S)
                hot, other = other, hot


@asynccontextmanager
async def _measuring(run: Run) -> AsyncIterator[None]:
    await asyncio.sleep(WARMUP_S)
    run.from_s = time.perf_counter()
    yield
    await asyncio.sleep(REST_S)
    run.to_s = time.perf_counter()


class _Watch:
    """Looks into the directory every few milliseconds, and notes when it names other keepers."""

    def __init__(self, mover: Mover, auctions: Sequence[str], run: Run) -> None:
        self._mover = mover
        self._auctions = auctions
        self._run = run
        self._before: dict[str, str] | None = None

    async def until(self, met: Callable[[dict[str, str]], bool], within_s: float) -> None:
        """Watch until the keepers are as they should be. Raises ProcessFailed when the time is up."""
        deadline_s = time.perf_counter() + within_s
        while True:
            now = await self._mover.keepers(self._auctions)
            at_s = time.perf_counter()
            if self._before is not None and now != self._before:
                self._run.changes.append(Change(at_s, _what(self._before, now)))
            self._before = now
            if met(now):
                return
            if at_s > deadline_s:
                raise ProcessFailed(f"{within_s:g} s later the directory still has {Counter(now.values())}")
            await asyncio.sleep(WATCH_S)


def _all_on(host_id: str) -> Callable[[dict[str, str]], bool]:
    return lambda keepers: set(keepers.values()) == {host_id}


def _alone(auction: str, shared: set[str]) -> Callable[[dict[str, str]], bool]:
    return lambda keepers: keepers[auction] not in shared


def _what(before: dict[str, str], now: dict[str, str]) -> str:
    moves = Counter((before[a], now[a]) for a in now if before.get(a) != now[a])
    return ", ".join(f"{number} from {source} to {target}" for (source, target), number in sorted(moves.items()))


async def _have_done(load: Talking, order: Opening | Turn | End) -> None:
    await load.say(order)
    done = msgspec.json.decode(await load.line(ANSWERS_WITHIN_S), type=Done)
    if done.trouble is not None:
        raise ProcessFailed(f"the bidders: {done.trouble}")


def bids_of(story: Story) -> Iterator[Bid]:
    """The bids of one bidder that were answered, in order."""
    sent, answered, seqs = array("d", story.sent), array("d", story.answered), array("q", story.seqs)
    codes = dict(story.refused)
    for number, (sent_s, answered_s, seq) in enumerate(zip(sent, answered, seqs, strict=False)):
        code = codes.get(number)
        key = f"{story.prefix}-{number}"
        yield Bid(story.auction, key, sent_s, answered_s, None if code is not None else seq, code)


def in_windows(bids: Sequence[Bid], changes: Sequence[Change]) -> tuple[list[list[Bid]], list[Bid]]:
    """The bids that were under way in the window of each change, and those that were in none."""
    windows = [change.window for change in changes]
    assert all(one <= other for one, other in pairwise(windows)), "changes in the order of time"
    ends = [to_s for _, to_s in windows]
    inside: list[list[Bid]] = [[] for _ in windows]
    outside = []
    for bid in bids:
        place = bisect_left(ends, bid.sent_s)
        if place == len(windows) or windows[place][0] > bid.answered_s:
            outside.append(bid)
        while place < len(windows) and windows[place][0] <= bid.answered_s:
            inside[place].append(bid)
            place += 1
    return inside, outside


def figures_of(bids: Sequence[Bid], run: Run) -> dict[str, Any]:
    """Latencies (ms) of all that was answered in the run: around the changes, and apart from them."""
    measured = [bid for bid in bids if run.from_s <= bid.answered_s and bid.sent_s <= run.to_s]
    inside, outside = in_windows(measured, run.changes)
    during = list({id(bid): bid for window in inside for bid in window}.values())
    each = [
        {"at_s": round(change.at_s - run.from_s, 3), "what": change.what, "bids": len(window), **latencies(window)}
        for change, window in zip(run.changes, inside, strict=True)
    ]
    return {
        "moves": len(run.changes),
        "bids": len(measured),
        "bids_per_s": round(len(measured) / (run.to_s - run.from_s), 1),
        "during": {"bids": len(during), **latencies(during)},
        "apart": {"bids": len(outside), **latencies(outside)},
        "worst_move_p99_ms": max((move["p99"] or 0.0 for move in each), default=None),
        "each_move": each,
    }


def latencies(bids: Sequence[Bid]) -> dict[str, float | None]:
    """`{"p50", "p99", "max"}` in milliseconds from sending to answer."""
    took_s = [bid.answered_s - bid.sent_s for bid in bids]
    return {**p50_p99(took_s), "max": round(1000 * max(took_s), 3) if took_s else None}


def verdict_of(bids: Sequence[Bid], run: Run, kept: dict[str, dict[str, int]], unanswered: int) -> dict[str, Any]:
    """How bids were refused, what the log (auction, key → seq) lacks of the acknowledged ones, and the verdict."""
    refused = Counter(bid.code for bid in bids if bid.code is not None)
    disturbed = {code: count for code, count in sorted(refused.items()) if code not in BY_THE_RULES}
    missing = sum(1 for bid in bids if bid.seq is not None and kept[bid.auction].get(bid.key) != bid.seq)
    inside, _ = in_windows(bids, run.changes)
    in_time = all((latencies(window)["p99"] or 0.0) < P99_MS_MAX for window in inside)
    return {
        "refused": disturbed,
        "refused_by_the_rules": sum(refused[code] for code in BY_THE_RULES),
        "unanswered": unanswered,
        "acknowledged": sum(1 for bid in bids if bid.seq is not None),
        "missing": missing,
        "met": bool(inside) and in_time and not (disturbed or missing or unanswered),
    }


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
