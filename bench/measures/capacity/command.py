"""`ece bench capacity`: the largest load of each kind at which its service level holds."""

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.cells import pair
from bench.definition import SECONDS, Bench, Context, Option, Report, Table
from bench.measures.capacity.auctions import LIVE_AUCTIONS
from bench.measures.capacity.bids import BIDS
from bench.measures.capacity.kind import BEHIND_P99_MS_MAX, Kind
from bench.measures.capacity.picture import draw
from bench.measures.capacity.search import Found, search
from bench.measures.capacity.sockets import SOCKETS
from bench.measures.capacity.watchers import WATCHERS

KINDS: dict[str, Kind] = {kind.name: kind for kind in (BIDS, WATCHERS, SOCKETS, LIVE_AUCTIONS)}

KIND = Option[Sequence[str]](
    ("--kind",), list[str], [], "KIND", "Only the capacity for these. Without: all, one engine after the other.",
    choices=tuple(KINDS),
)  # fmt: skip
FIRST = Option[int | None](("--first",), int | None, None, "SIZE", "The first size to try.", minimum=1)
UP_TO = Option[int | None](("--up-to",), int | None, None, "SIZE", "The largest size to try.", minimum=1)
STEPS = Option(("--steps",), int, 14, "STEPS", "The largest number of measurements of a kind.", minimum=1, maximum=50)
PICTURE = Option[Path | None](("--picture",), Path | None, None, "FILE", "Draw the latencies of all steps as SVG.")
SAVE = Option[Path | None](
    ("--save",), Path | None, None, "FILE", "Write the figures as JSON, for `ece bench scale --measured`."
)


async def run(context: Context) -> Report:
    """Search for each kind on an engine of its own."""
    found: dict[str, Any] = {}
    costs: dict[str, float] = {}
    for name in context.value(KIND):
        context.progress(f"capacity for {KINDS[name].unit}")
        result, learned = await _capacity(context, KINDS[name])
        found[name] = figures(KINDS[name], result)
        costs |= learned
    shown = {
        "kinds": found, "costs": {name: round(value, 4) for name, value in costs.items()},
        "machine": {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
    }  # fmt: skip
    if (file := context.value(SAVE)) is not None:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(shown)))
    if (file := context.value(PICTURE)) is not None:
        draw(shown, {name: KINDS[name].latency for name in found}, file)
    return report(shown)


async def _capacity(context: Context, kind: Kind) -> tuple[Found, dict[str, float]]:
    sizes = msgspec.structs.replace(kind.sizes, steps_max=context.value(STEPS))
    if (most := context.value(UP_TO)) is not None:
        sizes = msgspec.structs.replace(sizes, most=most)
    if (first := context.value(FIRST)) is not None:
        sizes = msgspec.structs.replace(sizes, first=first, least=min(first, sizes.least))
    async with context.engine(kind.settings(sizes.most)) as engine:
        await context.idle()
        async with kind.meter(engine, context.value(SECONDS), context.progress) as meter:
            return await search(meter.measure, sizes), meter.costs()


def figures(kind: Kind, found: Found) -> dict[str, Any]:
    """A search as `--json` shows it; `held` is the capacity."""
    return {
        "unit": kind.unit,
        "service_level": kind.service_level,
        "held": found.held,
        "ended_by": found.ended_by,
        "steps": [
            {"size": step.size, "verdict": step.verdict, "why": step.why, **step.figures} for step in found.steps
        ],
    }


def report(shown: Mapping[str, Any]) -> Report:
    """A table for each kind, with what ended its search."""
    parts: list[Table | str] = []
    for name, kind in shown["kinds"].items():
        rows = [_row(step, KINDS[name].latency) for step in kind["steps"]]
        parts.append(Table(f"Capacity: {kind['unit']}", (kind["unit"], "p50 / p99 ms", "late ms", "verdict"), rows))
        held = "none of these sizes held" if kind["held"] is None else f"{kind['held']:,} {kind['unit']}"
        parts.append(f"Capacity: {held}. Ended by {kind['ended_by']}.")
        parts.append(f"Service level: {kind['service_level']}.")
    return Report(shown, parts)


def _row(step: Mapping[str, Any], latency: str) -> tuple[str, ...]:
    late_ms = step.get("behind_ms", {}).get("p99")
    shown = pair(step[latency]) if latency in step else "—"
    return f"{step['size']:,}", shown, "—" if late_ms is None else f"{late_ms:.1f}", step["verdict"]


capacity = Bench(
    "capacity",
    "The largest load at which the service level holds: bids/s, watchers of one auction, sockets, live auctions.",
    f"Sizes double until the service level does not hold; then the gap is bisected, until it is within 10%. Each step "
    f"settles first and is measured then; one that does not hold is measured a second time. Load processes have a "
    f"processor to themselves, as far as the engine leaves it to them. A step in which they sent late (p99 above "
    f"{BEHIND_P99_MS_MAX:g} ms) is invalid: it never counts as held. What they read late only makes latencies longer: "
    f"a step that broke with it is invalid too, one that held has held.\n\n"
    "costs: processor time (µs) and bytes for each unit of work, above what the idle engine takes: the constants of "
    "`ece bench scale` (docs/scale.md).",
    (KIND, SECONDS, FIRST, UP_TO, STEPS, PICTURE, SAVE),
    run,
)
