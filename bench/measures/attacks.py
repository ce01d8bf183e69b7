"""What bidders and REST clients notice while others attack the gateway (`bench.loads.attackers`).

Bids at a steady rate: in quiet before and after each attack, and while it lasts. Meanwhile `/healthz` and a REST
route are asked, each time over a new connection, and the gateway's memory is looked at.
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec

from bench.loads.attackers import KINDS, Attack, Attacked
from bench.loads.load import STEPS_AHEAD, Seat
from bench.loads.processes import output_of, python_module
from bench.loads.steady import Bidden, Steady
from bench.measures.live import Engine, Shape, open_seats
from bench.percentiles import p50_p99

SHAPE = Shape("attacks", 1, 8, "1 auction × 8 bidders")
BIDS_PER_S = 100.0
ATTACK_SECONDS = 8.0
# The attack is under way when the bids begin, and goes on after they end.
BEFORE_S, AFTER_S = 1.0, 1.0
GRACE_S = 60.0
PROBE_EVERY_S = 0.2
PROBE_TIMEOUT_S = 5.0
FAILED = "failed"
ACK_P99_TIMES_MAX = 3.0
MIB = 1_048_576

Tell = Callable[[str], None]


@dataclass
class Probed:
    """What other clients were answered."""

    health: Counter[str] = field(default_factory=Counter)
    rest: Counter[str] = field(default_factory=Counter)
    rest_s: list[float] = field(default_factory=list)
    memory_bytes: list[float] = field(default_factory=list)
    dropped: dict[str, float] = field(default_factory=dict)


async def measure_attacks(engine: Engine, kinds: Sequence[str], seconds: float, tell: Tell) -> dict[str, Any]:
    """A warm-up, then each attack between two quiet windows. Raises ProcessFailed."""
    [seat] = await open_seats(engine, SHAPE)
    bidders = Bidders(engine.base_url, seat, seconds)
    tell(f"in quiet, {seconds:g} s, as before each attack")
    before = Probed()
    await bidders.bid()
    quiet = [await _probing(engine.base_url, before, bidders.bid())]
    attacks = {}
    for kind in kinds:
        tell(f"{kind}: {KINDS[kind].about}")
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


def _times_quiet(p99_ms: float | None, quiet: Sequence[Bidden]) -> float | None:
    """Beside the larger one of the windows before and after: where they differ, the machine has changed."""
    quiet_ms = max(bidden.ack_ms["p99"] or 0.0 for bidden in quiet)
    return None if p99_ms is None or not quiet_ms else round(p99_ms / quiet_ms, 2)


class Bidders:
    """Bids at a steady rate in one auction, each time above all before."""

    def __init__(self, url: str, seat: Seat, seconds: float) -> None:
        self._url = url
        self._seat = seat
        self.seconds = seconds

    async def bid(self) -> Bidden:
        """One window of bids, from a process of its own."""
        steady = Steady(self._url, self._seat, BIDS_PER_S, self.seconds)
        sent = int(BIDS_PER_S * self.seconds)
        self._seat = msgspec.structs.replace(self._seat, top=self._seat.top + sent * self._seat.step * STEPS_AHEAD)
        out = await output_of(
            python_module("bench.loads.steady"), given=msgspec.json.encode(steady), deadline_s=self.seconds + GRACE_S
        )
        return msgspec.json.decode(out, type=Bidden)


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


async def _probing(base_url: str, probed: Probed, work: Any) -> Bidden:
    """Do the work, and be another client meanwhile."""
    probing = asyncio.create_task(probe(base_url, probed))
    try:
        bidden: Bidden = await work
    finally:
        probing.cancel()
        await asyncio.gather(probing, return_exceptions=True)
    return bidden


async def probe(base_url: str, probed: Probed) -> None:
    """Be another client, for ever."""
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
