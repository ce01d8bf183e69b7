"""An auction room in a browser, while bids come in."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import linear_regression, median
from typing import Any
from uuid import uuid4

from bench.definition import BenchFailed
from bench.measures.browser.chromium import Tab

PROBE = Path(__file__).parent / "probe.js"
FRAME_MS = 1000 / 60
# The time of a frame is a multiple of FRAME_MS: what is later than this has missed one.
ON_TIME_MS = FRAME_MS * 1.2
PASSWORD = "correct horse battery staple"
# As many bids as a room shows: from then on it has to stay as large as it is.
LADDER_MAX = 1_000
FULL_WITHIN_S = 120.0
MIB = 1024 * 1024
# What a first visit has not got: the files, and the service worker with its copies of them.
STORED = "service_workers,cache_storage"
# The browser's own times of the page's main thread: all of it, and what of that ran scripts, styles and layout.
WORK = ("Task", "Script", "RecalcStyle", "Layout")
INTERACTIVE = "window.eceProbe?.interactiveMs"
SHOWN_BIDS = "(document.querySelector('.ladder h2 .number')?.textContent ?? '').replace(/\\D/g, '')"


async def log_in(tab: Tab, base_url: str) -> None:
    """As a new user, by cookies."""
    await tab.send("Page.navigate", url=f"{base_url}/")
    await tab.until("document.querySelector('h1') !== null", "the client's home page")
    name = f"viewer_{uuid4().hex[:8]}"
    bodies = [
        ("register", {"email": f"{name}@example.org", "username": name, "password": PASSWORD}),
        ("login", {"login": name, "password": PASSWORD}),
    ]
    for route, body in bodies:
        call = f"""fetch('/api/v1/auth/{route}', {{method: 'POST', body: {json.dumps(json.dumps(body))},
            headers: {{'Content-Type': 'application/json', 'X-Session': 'cookie'}}}}).then(answer => answer.status)"""
        if (status := await tab.evaluate(call)) >= 300:
            raise BenchFailed(f"{route}: HTTP {status}")
    # The page learns who it is, and keeps that.
    await tab.send("Page.reload")
    await tab.until("localStorage.getItem('session') !== null", "the session")
    await tab.send("Page.addScriptToEvaluateOnNewDocument", source=PROBE.read_text("utf-8"))


async def cold_load(tab: Tab, url: str) -> float:
    """Milliseconds from the navigation until one can bid, for a browser that has no file of the client."""
    await tab.send("Page.navigate", url="about:blank")
    await tab.send("Network.clearBrowserCache")
    origin = "/".join(url.split("/")[:3])
    await tab.send("Storage.clearDataForOrigin", origin=origin, storageTypes=STORED)
    await tab.send("Page.navigate", url=url)
    return float(await tab.until(INTERACTIVE, "a room in which one can bid"))


async def until_full(tab: Tab) -> None:
    """Until the room shows as many bids as it ever does."""
    await tab.until(f"Number({SHOWN_BIDS}) >= {LADDER_MAX}", f"{LADDER_MAX} bids in the room", FULL_WITHIN_S)


async def measure_frames(tab: Tab, seconds: float) -> dict[str, Any]:
    """Frames and long tasks while updates come in."""
    before = await tab.metrics()
    found = await tab.evaluate(f"window.eceProbe.frames({seconds})", seconds + FULL_WITHIN_S)
    after = await tab.metrics()
    busy = {name: (after[f"{name}Duration"] - before[f"{name}Duration"]) / found["seconds"] for name in WORK}
    gaps_ms, tasks_ms = found["gapsMs"], found["longTasksMs"]
    if not gaps_ms:
        raise BenchFailed("the browser drew no frame")
    return {
        "frames_per_s": round(len(gaps_ms) / found["seconds"], 1),
        "on_time": round(sum(gap <= ON_TIME_MS for gap in gaps_ms) / len(gaps_ms), 4),
        "worst_ms": round(max(gaps_ms), 1),
        "busy": {name.lower(): round(share, 3) for name, share in busy.items()},
        "updates_per_s": round(found["updates"] / found["seconds"], 1),
        "long_tasks": len(tasks_ms),
        "longest_task_ms": round(max(tasks_ms, default=0.0), 1),
    }


async def measure_memory(tab: Tab, minutes: float, samples: int) -> dict[str, Any]:
    """What the page keeps after garbage collections, so many times at equal distances."""
    taken = [await _sample(tab)]
    for _ in range(samples - 1):
        await asyncio.sleep(minutes * 60 / (samples - 1))
        taken.append(await _sample(tab))
    if not await tab.evaluate(INTERACTIVE):
        raise BenchFailed("the room was left")
    return memory_figures(taken, minutes)


def memory_figures(taken: Sequence[dict[str, float]], minutes: float) -> dict[str, Any]:
    """First and last of each count, and the slope of the heap."""
    step = minutes / (len(taken) - 1)
    slope, _ = linear_regression([step * number for number in range(len(taken))], [one["heap_mib"] for one in taken])
    return {
        "minutes": minutes,
        "heap_mib": [round(one["heap_mib"], 2) for one in taken],
        "heap_mib_per_minute": round(slope, 4),
        "nodes": [int(one["nodes"]) for one in (taken[0], taken[-1])],
        "listeners": [int(one["listeners"]) for one in (taken[0], taken[-1])],
    }


async def _sample(tab: Tab) -> dict[str, float]:
    # The second one takes what finalizers of the first let go.
    for _ in range(2):
        await tab.send("HeapProfiler.collectGarbage")
    found = await tab.metrics()
    return {
        "heap_mib": found["JSHeapUsedSize"] / MIB,
        "nodes": found["Nodes"],
        "listeners": found["JSEventListeners"],
    }


def interactive_figures(loads_ms: Sequence[float]) -> dict[str, Any]:
    """Of all cold loads."""
    return {
        "loads": len(loads_ms), "median_ms": round(median(loads_ms)), "worst_ms": round(max(loads_ms)),
    }  # fmt: skip
