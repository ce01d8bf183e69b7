"""Fail-over: kill -9 of each part of a running engine under a steady load, and how long until bids flow again.

Through the wire, except that the engine's processes are asked for by name, and killed.
"""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any, Protocol

from bench.loads.failover import ACCEPTED, LOST, SILENT, UNREACHABLE, Amounts, Attempt, Notes, SteadyBidder
from bench.loads.load import STARTING_PRICE, STEP
from bench.loads.processes import ProcessFailed
from bench.measures.live import DURATION_MS, SELLER
from bench.wire.accounts import Roster
from bench.wire.rest_client import RestClient

HOST, GATEWAY, DIRECTOR, VALKEY, POSTGRES, RAYLET, GCS = (
    "host", "gateway", "director", "valkey", "postgres", "raylet", "gcs_server",
)  # fmt: skip
# Those after which Ray's own agents start anew come last: they keep the processors busy for some seconds.
PARTS = (HOST, GATEWAY, DIRECTOR, VALKEY, POSTGRES, RAYLET, GCS)
# Seconds from the kill until every auction accepts bids again; nothing was promised for the others.
BARS_S = {HOST: 1.0, GATEWAY: 2.0, POSTGRES: 5.0, RAYLET: 20.0, GCS: 20.0}
# Seconds from when PostgreSQL answers again.
AFTER_POSTGRES_S_MAX = 1.0
AUCTIONS = 8
BIDDERS_PER_AUCTION = 2
STEADY_S = 1.0
# All is over once the engine is whole again and nothing has failed for so long.
QUIET_S = 2.0
OVER_WITHIN_S = 90.0
POLL_S = 0.2
ANSWERS_POLL_S = 0.02
# What a client takes as "not now, try again": each is a failure of the engine at that moment.
FAILED = frozenset({"unavailable", "overloaded", LOST, SILENT, UNREACHABLE})


class Parts(Protocol):
    """The processes of the engine under test."""

    async def find(self, part: str) -> int | None:
        """The living process that does this part's work; None where the engine has none. Several: the busiest."""

    async def whole(self) -> bool:
        """Whether every part that it once had lives, those that stand by among them."""

    async def answers(self) -> bool:
        """Whether PostgreSQL answers a query."""


@dataclass(frozen=True)
class Bench:
    """What is measured: the engine, its processes, and what returns once the machine rests."""

    base_url: str
    roster: Roster
    parts: Parts
    rested: Callable[[], Awaitable[None]]


async def measure_failover(
    bench: Bench, parts: Sequence[str], rounds: int, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Kill each part so many times, one at a time. Raises ProcessFailed when the engine doesn't come back."""
    bidders = [f"bench_steady_{n}" for n in range(AUCTIONS * BIDDERS_PER_AUCTION)]
    await bench.roster.enlist([SELLER, *bidders])
    missing_parts = [part for part in parts if await bench.parts.find(part) is None]
    for part in missing_parts:
        tell(f"{part}: not a process of its own, left out")
    wanted = [part for part in parts if part not in missing_parts]
    kills: dict[str, list[dict[str, Any]]] = {part: [] for part in wanted}
    for number in range(1, rounds + 1):
        for part in wanted:
            await bench.rested()
            figures = await measure_kill(bench, bidders, part)
            kills[part].append(figures)
            tell(f"round {number} of {rounds}, kill -9 of {part}: all auctions accept after {figures['all_s']:.2f} s")
    return {
        "rounds": rounds,
        "auctions": AUCTIONS,
        "bidders": len(bidders),
        "acknowledged": sum(kill["acknowledged"] for of_part in kills.values() for kill in of_part),
        "missing": sum(kill["missing"] for of_part in kills.values() for kill in of_part),
        "parts": {part: summed_up(part, of_part) for part, of_part in kills.items()},
    }


async def measure_kill(bench: Bench, bidders: Sequence[str], part: str) -> dict[str, Any]:
    """One kill under load, in auctions of its own: its figures, and how many acknowledged bids the log lacks."""
    rest = RestClient(bench.base_url, bench.roster)
    notes = Notes()
    try:
        opened = [await rest.open_auction(SELLER, _terms(number)) for number in range(AUCTIONS)]
        amounts = [Amounts(str(state["id"])) for state in opened]
        async with _bidding(bench, bidders, amounts, notes):
            await asyncio.sleep(STEADY_S)
            pid = await bench.parts.find(part)
            if pid is None:
                raise ProcessFailed(f"there is no {part} to kill")
            killed_s = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            answers = asyncio.create_task(_answers_again(bench.parts) if part == POSTGRES else _nothing())
            await _until_over(bench.parts, part, notes, [amount.auction for amount in amounts], killed_s)
        figures = figures_of(notes, [amount.auction for amount in amounts], killed_s, await answers)
        return figures | {"missing": await _missing(rest, notes)}
    finally:
        await rest.close()


@asynccontextmanager
async def _bidding(
    bench: Bench, bidders: Sequence[str], amounts: Sequence[Amounts], notes: Notes
) -> AsyncIterator[None]:
    """A steady load while the block lasts; at its end every outcome is waited for."""
    crowd = [
        SteadyBidder(
            bench.base_url, bench.roster.token(name), amounts[number % len(amounts)], notes, number / len(bidders)
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


async def _until_over(parts: Parts, part: str, notes: Notes, auctions: Sequence[str], killed_s: float) -> None:
    """Return when the engine is whole, every auction accepts bids, and nothing has failed for a while."""
    while True:
        await asyncio.sleep(POLL_S)
        now_s = time.perf_counter()
        if now_s - killed_s > OVER_WITHIN_S:
            raise ProcessFailed(f"{OVER_WITHIN_S:g} s after kill -9 of {part} the engine is not whole and quiet again")
        last_failure_s = max((a.answered_s for a in notes.attempts if a.outcome in FAILED), default=killed_s)
        if now_s - max(last_failure_s, killed_s) < QUIET_S or not await parts.whole():
            continue
        if all(back is not None for back in back_at(notes.attempts, auctions, killed_s).values()):
            return


async def _answers_again(parts: Parts) -> float:
    while True:
        if await parts.answers():
            return time.perf_counter()
        await asyncio.sleep(ANSWERS_POLL_S)


async def _nothing() -> None:
    return None


def back_at(attempts: Sequence[Attempt], auctions: Sequence[str], killed_s: float) -> dict[str, float | None]:
    """When each auction accepted the first bid that was sent after the last one that failed there (perf_counter)."""
    broken_s = dict.fromkeys(auctions, killed_s)
    for attempt in attempts:
        if attempt.outcome in FAILED and attempt.answered_s >= killed_s:
            broken_s[attempt.auction] = max(broken_s[attempt.auction], attempt.sent_s)
    back: dict[str, float | None] = dict.fromkeys(auctions)
    for attempt in attempts:
        if attempt.outcome == ACCEPTED and attempt.sent_s > broken_s[attempt.auction]:
            known = back[attempt.auction]
            back[attempt.auction] = attempt.answered_s if known is None else min(known, attempt.answered_s)
    return back


def figures_of(notes: Notes, auctions: Sequence[str], killed_s: float, answered_s: float | None) -> dict[str, Any]:
    """The figures of one kill, seconds; `answered_s` is when PostgreSQL answered again, where it was the one."""
    later = [attempt for attempt in notes.attempts if attempt.answered_s >= killed_s]
    failed = Counter(attempt.outcome for attempt in later if attempt.outcome in FAILED)
    felt_s = min((a.answered_s for a in later if a.outcome in FAILED), default=killed_s)
    accepted_s = sorted(a.answered_s for a in later if a.outcome == ACCEPTED)
    first_s = min(a.answered_s for a in later if a.outcome == ACCEPTED and a.sent_s > felt_s)
    all_s = max(back for back in back_at(notes.attempts, auctions, killed_s).values() if back is not None)
    gaps_s = [after - before for before, after in zip([killed_s, *accepted_s], accepted_s, strict=False)]
    return {
        "first_s": round(first_s - killed_s, 3),
        "all_s": round(all_s - killed_s, 3),
        "after_answer_s": None if answered_s is None else round(max(0.0, all_s - answered_s), 3),
        "no_bid_s": round(max(gaps_s), 3),
        "unavailable": failed["unavailable"],
        "failed": dict(sorted(failed.items())),
        "longest_silence_s": round(max(a.answered_s - a.sent_s for a in later), 3),
        "longest_unknown_s": round(max(notes.known_after_s), 3),
        "lost_connections": notes.lost_connections,
        "resumed_s": round(max(notes.resumed_s) - killed_s, 3) if notes.resumed_s else None,
        "acknowledged": len(notes.acks),
    }


def summed_up(part: str, kills: Sequence[dict[str, Any]]) -> dict[str, Any]:
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


async def _missing(rest: RestClient, notes: Notes) -> int:
    auctions = {auction for auction, _ in notes.acks}
    return len(lacking(notes, {auction: await rest.bids(SELLER, auction) for auction in auctions}))


def lacking(notes: Notes, logged: dict[str, list[dict[str, Any]]]) -> list[tuple[str, int]]:
    """The acknowledged bids (auction, seq) that are not among the logged ones, or are there otherwise than was told."""
    kept = {
        (auction, item["seq"]): (item["at"], item["price"], item["outcome"])
        for auction, items in logged.items()
        for item in items
    }
    return [place for place, told in notes.acks.items() if kept.get(place) != told]


def _terms(number: int) -> dict[str, Any]:
    return {
        "title": f"Bench failover {number}",
        "format": "english",
        "starting_price": STARTING_PRICE,
        "increments": [[0, STEP]],
        "duration_ms": DURATION_MS,
        "placement": "shared",
    }
