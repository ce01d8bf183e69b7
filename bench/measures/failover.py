"""Failover: kill -9 of each part of a running engine under a constant load, and the time until bids are accepted again.

Over the wire, except that processes of the engine are found by part, and killed.
"""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.cells import NONE
from bench.definition import Bench, Context, Option, Report, Table
from bench.engine import LIFTED_LIMITS, Parts
from bench.loads.failover import ACCEPTED, LOST, SILENT, UNREACHABLE, Amounts, Attempt, LoadLog, SteadyBidder
from bench.loads.processes import ProcessFailed
from bench.loads.shapes import SELLER, terms
from bench.wire.accounts import Roster
from bench.wire.rest_client import RestClient

HOST, GATEWAY, DIRECTOR, VALKEY, POSTGRES, RAYLET, GCS = (
    "host", "gateway", "director", "valkey", "postgres", "raylet", "gcs_server",
)  # fmt: skip
# Last those after which Ray starts its agents again: that keeps the processors busy for some seconds.
PARTS = (HOST, GATEWAY, DIRECTOR, VALKEY, POSTGRES, RAYLET, GCS)
# Seconds from the kill until every auction accepts bids again; the others have no bar.
BARS_S = {HOST: 1.0, GATEWAY: 2.0, POSTGRES: 5.0, RAYLET: 20.0, GCS: 20.0}
# Seconds from when PostgreSQL answers again.
AFTER_POSTGRES_S_MAX = 1.0
AUCTIONS = 8
BIDDERS_PER_AUCTION = 2
STEADY_S = 1.0
# A kill is over once the engine is whole again and nothing has failed for so long.
QUIET_S = 2.0
RECOVERED_WITHIN_S = 90.0
POLL_S = 0.2
ANSWERS_POLL_S = 0.02
# Answers that a client retries: each is a failure of the engine at that moment.
FAILED = frozenset({"unavailable", "overloaded", LOST, SILENT, UNREACHABLE})


@dataclass(frozen=True)
class Subject:
    """The engine under test, its processes, and what returns once the machine is idle."""

    base_url: str
    roster: Roster
    parts: Parts
    idle: Callable[[], Awaitable[None]]


async def measure_failover(
    subject: Subject, parts: Sequence[str], rounds: int, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Kill each part so many times, one at a time. Raises ProcessFailed when the engine doesn't come back."""
    bidders = [f"bench_steady_{n}" for n in range(AUCTIONS * BIDDERS_PER_AUCTION)]
    await subject.roster.enlist([SELLER, *bidders])
    missing_parts = [part for part in parts if await subject.parts.find(part) is None]
    for part in missing_parts:
        progress(f"{part}: not a process of its own, left out")
    wanted = [part for part in parts if part not in missing_parts]
    kills: dict[str, list[dict[str, Any]]] = {part: [] for part in wanted}
    for number in range(1, rounds + 1):
        for part in wanted:
            await subject.idle()
            figures = await measure_kill(subject, bidders, part)
            kills[part].append(figures)
            progress(
                f"round {number} of {rounds}, kill -9 of {part}: all auctions accept after {figures['all_s']:.2f} s"
            )
    return {
        "rounds": rounds,
        "auctions": AUCTIONS,
        "bidders": len(bidders),
        "acknowledged": sum(kill["acknowledged"] for of_part in kills.values() for kill in of_part),
        "missing": sum(kill["missing"] for of_part in kills.values() for kill in of_part),
        "parts": {part: summary(part, of_part) for part, of_part in kills.items()},
    }


async def measure_kill(subject: Subject, bidders: Sequence[str], part: str) -> dict[str, Any]:
    """One kill under load, in auctions of its own: its figures, and how many acknowledged bids the log lacks."""
    rest = RestClient(subject.base_url, subject.roster)
    log = LoadLog()
    try:
        opened = [await rest.open_auction(SELLER, _terms(number)) for number in range(AUCTIONS)]
        amounts = [Amounts(str(state["id"])) for state in opened]
        async with _bidding(subject, bidders, amounts, log):
            await asyncio.sleep(STEADY_S)
            pid = await subject.parts.find(part)
            if pid is None:
                raise ProcessFailed(f"there is no {part} to kill")
            killed_s = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            answers = asyncio.create_task(_first_answer(subject.parts) if part == POSTGRES else _nothing())
            await _until_recovered(subject.parts, part, log, [amount.auction for amount in amounts], killed_s)
        figures = figures_of(log, [amount.auction for amount in amounts], killed_s, await answers)
        return figures | {"missing": await _missing(rest, log)}
    finally:
        await rest.close()


@asynccontextmanager
async def _bidding(
    subject: Subject, bidders: Sequence[str], amounts: Sequence[Amounts], log: LoadLog
) -> AsyncIterator[None]:
    """A constant load while the block lasts; at its end every outcome is awaited."""
    crowd = [
        SteadyBidder(
            subject.base_url, subject.roster.token(name), amounts[number % len(amounts)], log, number / len(bidders)
        )
        for number, name in enumerate(bidders)
    ]
    running = [asyncio.create_task(bidder.run()) for bidder in crowd]
    try:
        yield
        for bidder in crowd:
            bidder.stop()
        await asyncio.gather(*running)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _until_recovered(parts: Parts, part: str, log: LoadLog, auctions: Sequence[str], killed_s: float) -> None:
    """Return when the engine is whole, every auction accepts bids, and nothing has failed for a while."""
    while True:
        await asyncio.sleep(POLL_S)
        now_s = time.perf_counter()
        if now_s - killed_s > RECOVERED_WITHIN_S:
            raise ProcessFailed(f"{RECOVERED_WITHIN_S:g} s after kill -9 of {part} the engine has not recovered")
        last_failure_s = max((a.answered_s for a in log.attempts if a.outcome in FAILED), default=killed_s)
        if now_s - max(last_failure_s, killed_s) < QUIET_S or not await parts.whole():
            continue
        if all(at_s is not None for at_s in recovered_at(log.attempts, auctions, killed_s).values()):
            return


async def _first_answer(parts: Parts) -> float:
    while True:
        if await parts.answers():
            return time.perf_counter()
        await asyncio.sleep(ANSWERS_POLL_S)


async def _nothing() -> None:
    return None


def recovered_at(attempts: Sequence[Attempt], auctions: Sequence[str], killed_s: float) -> dict[str, float | None]:
    """When each auction accepted the first bid sent after the last one that failed there (perf_counter)."""
    broken_s = dict.fromkeys(auctions, killed_s)
    for attempt in attempts:
        if attempt.outcome in FAILED and attempt.answered_s >= killed_s:
            broken_s[attempt.auction] = max(broken_s[attempt.auction], attempt.sent_s)
    recovered: dict[str, float | None] = dict.fromkeys(auctions)
    for attempt in attempts:
        if attempt.outcome == ACCEPTED and attempt.sent_s > broken_s[attempt.auction]:
            known = recovered[attempt.auction]
            recovered[attempt.auction] = attempt.answered_s if known is None else min(known, attempt.answered_s)
    return recovered


def figures_of(log: LoadLog, auctions: Sequence[str], killed_s: float, answered_s: float | None) -> dict[str, Any]:
    """The figures of one kill, seconds; `answered_s` is when PostgreSQL answered again, where that was killed."""
    later = [attempt for attempt in log.attempts if attempt.answered_s >= killed_s]
    failed = Counter(attempt.outcome for attempt in later if attempt.outcome in FAILED)
    first_failure_s = min((a.answered_s for a in later if a.outcome in FAILED), default=killed_s)
    accepted_s = sorted(a.answered_s for a in later if a.outcome == ACCEPTED)
    first_s = min(a.answered_s for a in later if a.outcome == ACCEPTED and a.sent_s > first_failure_s)
    all_s = max(at_s for at_s in recovered_at(log.attempts, auctions, killed_s).values() if at_s is not None)
    gaps_s = [after - before for before, after in zip([killed_s, *accepted_s], accepted_s, strict=False)]
    return {
        "first_s": round(first_s - killed_s, 3),
        "all_s": round(all_s - killed_s, 3),
        "after_answer_s": None if answered_s is None else round(max(0.0, all_s - answered_s), 3),
        "no_bid_s": round(max(gaps_s), 3),
        "unavailable": failed["unavailable"],
        "failed": dict(sorted(failed.items())),
        "longest_silence_s": round(max(a.answered_s - a.sent_s for a in later), 3),
        "longest_unknown_s": round(max(log.known_after_s), 3),
        "lost_connections": log.lost_connections,
        "resumed_s": round(max(log.resumed_s) - killed_s, 3) if log.resumed_s else None,
        "acknowledged": len(log.acks),
    }


def summary(part: str, kills: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Median and worst of the rounds of one part, and whether the worst meets the bar."""
    bar_s = BARS_S.get(part)
    both = {
        name: None if kills[0][name] is None else _median_and_worst([kill[name] for kill in kills])
        for name in ("first_s", "all_s", "after_answer_s", "no_bid_s", "unavailable", "longest_silence_s")
    }
    in_time = all(
        kill["all_s"] <= (bar_s or 0.0) and (kill["after_answer_s"] or 0.0) <= AFTER_POSTGRES_S_MAX for kill in kills
    )
    return {
        "bar_s": bar_s,
        "met": None if bar_s is None else in_time,
        **both,
        "missing": sum(kill["missing"] for kill in kills),
        "rounds": list(kills),
    }


def _median_and_worst(values: Sequence[float]) -> dict[str, float]:
    return {"median": round(median(values), 3), "worst": max(values)}


async def _missing(rest: RestClient, log: LoadLog) -> int:
    auctions = {auction for auction, _ in log.acks}
    return len(missing_bids(log, {auction: await rest.bids(SELLER, auction) for auction in auctions}))


def missing_bids(log: LoadLog, logged: dict[str, list[dict[str, Any]]]) -> list[tuple[str, int]]:
    """The acknowledged bids (auction, seq) that the log lacks, or has with other values."""
    logged_bids = {
        (auction, item["seq"]): (item["at"], item["price"], item["outcome"])
        for auction, items in logged.items()
        for item in items
    }
    return [place for place, acked in log.acks.items() if logged_bids.get(place) != acked]


def _terms(number: int) -> dict[str, Any]:
    return terms(f"Bench failover {number}") | {"placement": "shared"}


def report(figures: Mapping[str, Any]) -> Report:
    """A row a part, then what the columns mean."""
    several = figures["rounds"] > 1
    rows = []
    for part, shown in figures["parts"].items():
        rows.append((
            part,
            _seconds(shown["first_s"], several),
            _seconds(shown["all_s"], several),
            f"{shown['no_bid_s']['worst']:.2f}",
            f"{shown['unavailable']['worst']:,.0f}",
            f"{shown['longest_silence_s']['worst']:.2f}",
            f"{shown['missing']:,}",
            NONE if shown["bar_s"] is None else f"{shown['bar_s']:g}",
            {True: "yes", False: "NO", None: NONE}[shown["met"]],
        ))  # fmt: skip
    size = f"{figures['auctions']} auctions, {figures['bidders']} bidders, {figures['gateways']} gateway(s)"
    columns = ("part", "first s", "all s", "no bid", "refused", "silence", "lost", "bar", "met")
    return Report(figures, [Table(f"kill -9 under load: {size}", columns, rows), *_notes(figures, several)])


def _notes(figures: Mapping[str, Any], several: bool) -> list[str]:
    notes = [
        "first, all: seconds from the kill to the first accepted bid, and until every auction accepts bids.",
        "no bid: longest time without an accepted bid. refused: answers `unavailable`, which clients retry.",
        "silence: longest time until any answer. lost: acknowledged bids that the log lacks.",
    ]
    if several:
        notes.append(f"Median / worst of {figures['rounds']} rounds. Single figures, and the bar: the worst.")
    if POSTGRES in figures["parts"]:
        after = _seconds(figures["parts"][POSTGRES]["after_answer_s"], several)
        bar = f"bar {AFTER_POSTGRES_S_MAX:g} s"
        notes.append(f"PostgreSQL: {after} s from its first answer until every auction accepts; {bar}.")
    return [*notes, f"Of {figures['acknowledged']:,} acknowledged bids {figures['missing']:,} are missing in the log."]


def _seconds(both: Mapping[str, float], several: bool) -> str:
    return f"{both['median']:.2f}/{both['worst']:.2f}" if several else f"{both['worst']:.2f}"


ROUNDS = Option(("--rounds",), int, 1, "ROUNDS", "How often each part is killed.", minimum=1, maximum=100)
GATEWAYS = Option(
    ("--gateways",), int, 1, "GATEWAYS", "Gateways of the engine; all share the port.", minimum=1, maximum=16
)
PART = Option[Sequence[str]](("--part",), list[str], [], "PART", "Kill only this part.", choices=PARTS)


async def run(context: Context) -> Report:
    gateways = context.value(GATEWAYS)
    async with context.engine({**LIFTED_LIMITS, "gateways": gateways, "spare_gateways": 1}) as engine:
        subject = Subject(engine.base_url, Roster(engine.accounts), await engine.parts(), context.idle)
        figures = await measure_failover(subject, context.value(PART), context.value(ROUNDS), context.progress)
        return report({"gateways": gateways, **figures})


failover = Bench(
    "failover",
    "kill -9 of each part under a constant load: the time until bids are accepted again, and lost bids.",
    f"{AUCTIONS * BIDDERS_PER_AUCTION} bidders in {AUCTIONS} auctions send bids at fixed times, retry with the same "
    "key, reconnect and resume. A part that is not a process of its own is left out.",
    (ROUNDS, GATEWAYS, PART),
    run,
)
