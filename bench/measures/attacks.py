"""Latency for bidders and REST clients while others attack the gateway (`bench.loads.attackers`).

Bids at a constant rate: in quiet windows before and after each attack, and during it. Meanwhile `/healthz` and a REST
route are requested, each time over a new connection, and the memory of the gateway is read.
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec

from bench.cells import NONE, pair
from bench.definition import Bench, Context, Option, Report, Table
from bench.engine import Engine
from bench.loads.attackers import KINDS, Attack, Attacked
from bench.loads.load import STEPS_AHEAD, Seat
from bench.loads.processes import output_of, python_module
from bench.loads.shapes import Shape, open_seats
from bench.loads.steady import SteadyLoad, SteadyResult
from bench.percentiles import p50_p99

SHAPE = Shape("attacks", 1, 8, "1 auction × 8 bidders")
BIDS_PER_S = 100.0
ATTACK_SECONDS = 8.0
# The attack begins before the bids, and ends after them.
BEFORE_S, AFTER_S = 1.0, 1.0
GRACE_S = 60.0
PROBE_EVERY_S = 0.2
PROBE_TIMEOUT_S = 5.0
FAILED = "failed"
ACK_P99_TIMES_MAX = 3.0
MIB = 1_048_576

Progress = Callable[[str], None]

SECONDS = Option(
    ("--seconds",), float, ATTACK_SECONDS, "SECONDS", "Length of each attack and of each quiet window.",
    minimum=0.5, maximum=3600,
)  # fmt: skip
ONLY = Option[Sequence[str]](("--only",), list[str], [], "ATTACK", "Run only this attack.", choices=tuple(KINDS))


@dataclass
class Probed:
    """Answers to other clients, and the memory of the gateway."""

    health: Counter[str] = field(default_factory=Counter)
    rest: Counter[str] = field(default_factory=Counter)
    rest_s: list[float] = field(default_factory=list)
    memory_bytes: list[float] = field(default_factory=list)
    dropped: dict[str, float] = field(default_factory=dict)


async def measure_attacks(engine: Engine, kinds: Sequence[str], seconds: float, progress: Progress) -> dict[str, Any]:
    """A warm-up, then each attack between two quiet windows. Raises ProcessFailed."""
    [seat] = await open_seats(engine, SHAPE)
    bidders = Bidders(engine.base_url, seat, seconds)
    progress(f"without attack, {seconds:g} s")
    before = Probed()
    await bidders.bid()
    quiet = [await _probing(engine.base_url, before, bidders.bid())]
    attacks = {}
    for kind in kinds:
        progress(f"{kind}: {KINDS[kind].about}")
        figures = await _attack(engine.base_url, bidders, kind)
        quiet.append(await bidders.bid())
        attacks[kind] = figures | {"times_quiet": _times_quiet(figures["ack_ms"]["p99"], quiet[-2:])}
    return {
        "quiet_ack_ms": [bidden.ack_ms for bidden in quiet],
        "quiet_rest_ms": p50_p99(before.rest_s),
        "memory_mib": round(max(before.memory_bytes, default=0) / MIB, 1),
        "attacks": attacks,
        "goals": {"times_quiet": ACK_P99_TIMES_MAX},
    }


def _times_quiet(p99_ms: float | None, quiet: Sequence[SteadyResult]) -> float | None:
    """Relative to the larger one of the windows before and after: where they differ, the machine has changed."""
    quiet_ms = max(bidden.ack_ms["p99"] or 0.0 for bidden in quiet)
    return None if p99_ms is None or not quiet_ms else round(p99_ms / quiet_ms, 2)


class Bidders:
    """Bids at a constant rate in one auction, each above all before."""

    def __init__(self, url: str, seat: Seat, seconds: float) -> None:
        self._url = url
        self._seat = seat
        self.seconds = seconds

    async def bid(self) -> SteadyResult:
        """One window of bids, from a process of its own."""
        steady = SteadyLoad(self._url, self._seat, BIDS_PER_S, self.seconds)
        sent = int(BIDS_PER_S * self.seconds)
        self._seat = msgspec.structs.replace(self._seat, top=self._seat.top + sent * self._seat.step * STEPS_AHEAD)
        out = await output_of(
            python_module("bench.loads.steady"), given=msgspec.json.encode(steady), deadline_s=self.seconds + GRACE_S
        )
        return msgspec.json.decode(out, type=SteadyResult)


async def attack(base_url: str, kind: str, seconds: float, connections: int | None = None) -> Attacked:
    """Attack from a process of its own. Raises ProcessFailed."""
    where = urlsplit(base_url)
    wanted = Attack(kind, where.hostname or "", where.port or 80, seconds, connections)
    out = await output_of(
        python_module("bench.loads.attackers"), given=msgspec.json.encode(wanted), deadline_s=seconds + GRACE_S
    )
    return msgspec.json.decode(out, type=Attacked)


async def _attack(base_url: str, bidders: Bidders, kind: str) -> dict[str, Any]:
    attacking = asyncio.create_task(attack(base_url, kind, BEFORE_S + bidders.seconds + AFTER_S))
    probed = Probed()
    await asyncio.sleep(BEFORE_S)
    bidden = await _probing(base_url, probed, bidders.bid())
    attacked = await attacking
    return {
        "ack_ms": bidden.ack_ms,
        "accepted": len(bidden.sent),
        "refused": bidden.refused,
        "unanswered": bidden.unanswered,
        "health": dict(probed.health),
        "rest": dict(probed.rest),
        "rest_ms": p50_p99(probed.rest_s),
        "memory_mib": round(max(probed.memory_bytes, default=0) / MIB, 1),
        "attackers": msgspec.to_builtins(attacked),
        "dropped": probed.dropped,
    }


async def _probing(base_url: str, probed: Probed, work: Any) -> SteadyResult:
    """Await the work while another client sends requests."""
    probing = asyncio.create_task(probe(base_url, probed))
    try:
        bidden: SteadyResult = await work
    finally:
        probing.cancel()
        await asyncio.gather(probing, return_exceptions=True)
    return bidden


async def probe(base_url: str, probed: Probed) -> None:
    """Send requests as another client, until cancelled."""
    before: dict[str, float] | None = None
    while True:
        async with httpx.AsyncClient(base_url=base_url, timeout=PROBE_TIMEOUT_S, trust_env=False) as client:
            probed.health[await _status(client, "/healthz")] += 1
            began_s = time.perf_counter()
            probed.rest[await _status(client, "/api/v1/auctions?limit=1")] += 1
            probed.rest_s.append(time.perf_counter() - began_s)
            metrics = await _metrics(client)
        if "process_resident_memory_bytes" in metrics:
            probed.memory_bytes.append(metrics["process_resident_memory_bytes"])
            dropped = {key: value for key, value in metrics.items() if key.startswith("ece_connections_dropped_total")}
            before = dropped if before is None else before
            probed.dropped = {_label(key): value - before[key] for key, value in dropped.items() if value > before[key]}
        await asyncio.sleep(PROBE_EVERY_S)


def _label(sample: str) -> str:
    return sample.partition('"')[2].rstrip('"}')


async def _status(client: httpx.AsyncClient, path: str) -> str:
    try:
        return str((await client.get(path)).status_code)
    except httpx.HTTPError:
        return FAILED


async def _metrics(client: httpx.AsyncClient) -> dict[str, float]:
    try:
        text = (await client.get("/metrics")).text
    except httpx.HTTPError:
        return {}
    return {name: float(value) for name, value in re.findall(r"^([a-z_]+(?:\{[^}]*\})?) (\S+)$", text, re.MULTILINE)}


def report(figures: Mapping[str, Any]) -> Report:
    """A row an attack, after one without attack."""
    quiet = max(figures["quiet_ack_ms"], key=lambda window: window["p99"] or 0)
    rows = [("none", pair(quiet), "", "", pair(figures["quiet_rest_ms"]), f"{figures['memory_mib']:.0f}", "")]
    for name, shown in figures["attacks"].items():
        times = shown["times_quiet"]
        rows.append((
            name.replace("_", " "),
            pair(shown["ack_ms"]),
            NONE if times is None else f"{times:.1f}",
            _statuses(shown["health"], shown["rest"]),
            pair(shown["rest_ms"]),
            f"{shown['memory_mib']:.0f}",
            f"{sum(shown['dropped'].values()):,.0f}",
        ))  # fmt: skip
    columns = ("attack", "ack ms", "×", "answers", "REST ms", "MiB", "dropped")
    notes = (
        "Latencies: p50 / p99; none: the worst of the windows without attack. ×: p99 of acks relative to the larger "
        f"one of the windows before and after. Goal: below {figures['goals']['times_quiet']:g}, and health and REST "
        "answer 200. The attackers use the same cores."
    )
    return Report(figures, [Table("The gateway under attack", columns, rows), notes])


def _statuses(*counts: Mapping[str, float]) -> str:
    """The statuses that were answered; the JSON says how often."""
    return ", ".join(sorted({status for some in counts for status in some}))


async def run(context: Context) -> Report:
    # The limits are what is measured: none is lifted.
    async with context.engine({}) as engine:
        await context.idle()
        figures = await measure_attacks(engine, context.value(ONLY), context.value(SECONDS), context.progress)
        return report(figures)


attacks = Bench(
    "attacks",
    "Latency for bidders and REST clients while others attack the gateway: slow, silent, flooding, not reading.",
    "ack ms, REST ms: latency of 100 bids/s, and of requests over new connections. answers: HTTP status codes. MiB: "
    "memory of the gateway. dropped: connections that the gateway closed.",
    (SECONDS, ONLY),
    run,
)
