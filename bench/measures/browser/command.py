"""`ece bench browser`: the client's auction room in Chromium while bids come in, against the goals of its screens."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import msgspec

from bench.cells import percent
from bench.definition import Bench, BenchFailed, Context, Option, Report, Table
from bench.engine import OwnEngine
from bench.loads.load import Seat
from bench.loads.processes import output_of, python_module
from bench.loads.shapes import Shape, open_seats
from bench.loads.steady import SteadyLoad
from bench.measures.browser.chromium import Tab, chromium_path, chromium_tab
from bench.measures.browser.room import (
    cold_load,
    interactive_figures,
    log_in,
    measure_frames,
    measure_memory,
    until_full,
)

BIDS_PER_S = 50.0
SHAPE = Shape("browser", 1, 8, "1 auction that a browser watches")
# Longer than any run; the bids end with it.
BIDS_FOR_S = 1_800.0
GRACE_S = 60.0
GOALS: Mapping[str, float] = {
    "interactive_ms": 1_500, "frames_on_time": 0.95, "heap_growth_mib": 1.0, "nodes_growth": 100,
    "listeners_growth": 20,
}  # fmt: skip
# The memory's goal is for so long.
GOAL_MINUTES = 10.0
SAMPLES = 11

LOADS = Option(("--loads",), int, 5, "LOADS", "How often the room is loaded without any cache.", minimum=1, maximum=50)
FRAMES = Option(("--seconds",), float, 20.0, "SECONDS", "How long frames are measured.", minimum=0.5, maximum=300)
MINUTES = Option(("--minutes",), float, 10.0, "MINUTES", "How long memory is watched.", minimum=0.05, maximum=12)
CHROMIUM = Option(("--chromium",), str, "", "PATH", "The browser. Without: the Chromium on the PATH.")


async def run(context: Context) -> Report:
    """Load the room again and again, then stay in it."""
    path = context.value(CHROMIUM) or chromium_path()
    async with context.engine() as engine:
        await _check_client(engine)
        (seat,) = await open_seats(engine, SHAPE)
        await context.idle()
        async with chromium_tab(path) as tab:
            await log_in(tab, engine.base_url)
            async with _bidding(engine, seat) as bids:
                measuring = asyncio.create_task(_measure(context, tab, f"{engine.base_url}/auctions/{seat.auction}"))
                await asyncio.wait({measuring, bids}, return_when=asyncio.FIRST_COMPLETED)
                if not measuring.done():
                    measuring.cancel()
                    raise BenchFailed(f"the bids ended too early: {bids.exception() or 'all were sent'}")
                return report(measuring.result())


async def _measure(context: Context, tab: Tab, url: str) -> dict[str, Any]:
    loads, seconds, minutes = context.value(LOADS), context.value(FRAMES), context.value(MINUTES)
    context.progress(f"{loads} loads without cache, {BIDS_PER_S:g} bids/s")
    loads_ms = [await cold_load(tab, url) for _ in range(loads)]
    context.progress("waiting until the room is full of bids")
    await until_full(tab)
    context.progress(f"frames, {seconds:g} s")
    frames = await measure_frames(tab, seconds)
    context.progress(f"memory, {minutes:g} minutes")
    memory = await measure_memory(tab, minutes, SAMPLES)
    return {"interactive": interactive_figures(loads_ms), "frames": frames, "memory": memory, "goals": dict(GOALS)}


async def _check_client(engine: OwnEngine) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        if not (await http.get(f"{engine.base_url}/")).is_success:
            raise BenchFailed("the engine has no browser client: scripts/web build makes it")


@asynccontextmanager
async def _bidding(engine: OwnEngine, seat: Seat) -> AsyncIterator[asyncio.Task[bytes]]:
    """Bids from a process of its own, until the end of the block."""
    load = msgspec.json.encode(SteadyLoad(engine.base_url, seat, BIDS_PER_S, BIDS_FOR_S))
    bids = asyncio.create_task(
        output_of(python_module("bench.loads.steady"), given=load, deadline_s=BIDS_FOR_S + GRACE_S)
    )
    try:
        yield bids
    finally:
        bids.cancel()
        with suppress(asyncio.CancelledError, BenchFailed):
            await bids


def judged(figures: Mapping[str, Any]) -> list[tuple[str, str, str, bool]]:
    """What was measured, its value and its goal in words, and whether it was met."""
    goals, frames, memory = figures["goals"], figures["frames"], figures["memory"]
    grown_mib = memory["heap_mib_per_minute"] * GOAL_MINUTES
    worst_ms = figures["interactive"]["worst_ms"]
    rows = [
        (
            "room can be used after", f"{worst_ms:,} ms", f"≤ {goals['interactive_ms']:,} ms",
            worst_ms <= goals["interactive_ms"],
        ),
        (
            "frames on time (60/s)", percent(frames["on_time"]), f"≥ {percent(goals['frames_on_time'])}",
            frames["on_time"] >= goals["frames_on_time"],
        ),
        (
            "heap in ten minutes", f"{grown_mib:+.2f} MiB", f"≤ +{goals['heap_growth_mib']:g} MiB",
            grown_mib <= goals["heap_growth_mib"],
        ),
    ]  # fmt: skip
    for name in ("nodes", "listeners"):
        first, last = memory[name]
        most = goals[f"{name}_growth"]
        rows.append((f"DOM {name}", f"{first:,} → {last:,}", f"≤ +{most:g}", last - first <= most))
    return rows


def report(figures: Mapping[str, Any]) -> Report:
    """A row for each goal, then what stands behind it."""
    rows = judged(figures)
    frames, memory, interactive = figures["frames"], figures["memory"], figures["interactive"]
    met = all(good for _, _, _, good in rows)
    table = Table(
        f"The auction room in a browser, {BIDS_PER_S:g} bids/s", ("", "measured", "goal", ""),
        [(name, value, goal, "met" if good else "missed") for name, value, goal, good in rows],
    )  # fmt: skip
    text: list[Table | str] = [
        table,
        f"Loads without cache: {interactive['loads']}, median {interactive['median_ms']:,} ms, worst "
        f"{interactive['worst_ms']:,} ms.",
        f"{frames['frames_per_s']} frames/s while {frames['updates_per_s']} messages/s came in; the longest time "
        f"without one {frames['worst_ms']} ms; {frames['long_tasks']} tasks above 50 ms, the longest "
        f"{frames['longest_task_ms']:g} ms.",
        f"The page's main thread was busy for {percent(frames['busy']['task'])} of the time, with scripts for "
        f"{percent(frames['busy']['script'])}.",
        f"Heap after garbage collections over {memory['minutes']:g} minutes: {memory['heap_mib'][0]} to "
        f"{memory['heap_mib'][-1]} MiB, {memory['heap_mib_per_minute']:+.3f} MiB a minute.",
    ]
    return Report({**figures, "met": met}, text, passed=met)


browser = Bench(
    "browser",
    "The browser client's auction room in Chromium, at 50 bids/s: usable when, frames a second, and memory.",
    """The browser and its engine run on the same machine, without a graphics card.

    `interactive`: from the navigation until price and an enabled bid button are drawn; logged in, with no file of the
    client in any cache and no service worker, while bids come in.

    `frames.on_time`: the share of frames that came one sixtieth of a second after the one before. `memory`: the heap of
    JavaScript after forced garbage collections, DOM nodes and event listeners, from when the room shows 1,000 bids; the
    goal of the heap is for ten minutes, by the slope of all samples.

    Exit code 1: a goal was missed.""",
    (LOADS, FRAMES, MINUTES, CHROMIUM),
    run,
)
