"""`ece bench scale`: what a cluster would carry, by the model of docs/scale.md and its simulation. Starts no engine."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from bench.cells import percent, rate
from bench.definition import Bench, BenchFailed, Context, Option, Report, Table
from bench.scale.measured import FILE, NotMeasured, read
from bench.scale.model import USABLE_SHARE, Plan, carries, demands
from bench.scale.simulation import Cluster, simulate

NODES = Option(("--nodes",), int, 100, "NODES", "Nodes with a gateway and a host each.", minimum=1, maximum=10_000)
SOCKETS = Option(("--sockets",), int, 1_000_000, "SOCKETS", "Sockets, each watching one auction.", minimum=0)
AUCTIONS = Option(("--auctions",), int, 100_000, "AUCTIONS", "Live auctions.", minimum=1)
BIDS = Option(("--bids",), float, 5_000.0, "BIDS", "Bids per second of all auctions together.", minimum=1)
CORES = Option(("--cores",), int, 2, "CORES", "Cores of each node.", minimum=1)
SIMULATED = Option(("--simulate",), float, 1.0, "SECONDS", "Simulated time; 0: only the model.", minimum=0, maximum=60)
SEED = Option(("--seed",), int, 1, "SEED", "Of the simulation.", minimum=0)
MEASURED = Option(("--measured",), Path, FILE, "FILE", "The constants, as `ece bench capacity --save` writes them.")
# Events of one simulation: about 15 for a bid, and one for each gateway and update.
EVENTS_MAX = 20_000_000


async def run(context: Context) -> Report:
    """The model, then the simulation of the same cluster."""
    value = context.value
    try:
        costs = read(value(MEASURED)).constants
    except (NotMeasured, OSError) as error:
        raise BenchFailed(str(error)) from error
    plan = Plan(
        nodes=value(NODES), sockets=value(SOCKETS), auctions=value(AUCTIONS), bids_per_s=value(BIDS), cores=value(CORES)
    )
    found = demands(plan, costs)
    shown: dict[str, Any] = {
        "plan": msgspec.to_builtins(plan),
        "demands": [
            {"resource": one.resource, "used": one.used, "available": one.available, "unit": one.unit,
             "share": round(one.share, 4), "changes": one.changes}
            for one in found
        ],
        "carries_bids_per_s": round(carries(plan, costs), 1),
    }  # fmt: skip
    if seconds := value(SIMULATED):
        if plan.bids_per_s * seconds * (15 + plan.nodes) > EVENTS_MAX:
            raise BenchFailed("too many events to simulate: use --simulate with less time, or 0")
        context.progress(f"simulating {seconds:g} s")
        cluster = Cluster(plan.nodes, plan.cores, plan.auctions, plan.sockets, plan.bids_per_s)
        result = simulate(cluster, costs, seconds, seed=value(SEED))
        shown["simulated"] = {
            "acked_per_s": round(result.acked / seconds, 1),
            "ack_ms": {"p50": result.ack_p(0.5), "p99": result.ack_p(0.99)},
            "update_ms": {"p50": result.update_p(0.5), "p99": result.update_p(0.99)},
            "busy": {part: round(share, 3) for part, share in result.busy.items()},
        }
    return report(shown)


def report(shown: Mapping[str, Any]) -> Report:
    """A row for each resource, the scarcest first."""
    rows = [
        (one["resource"], f"{one['used']:,.2f} {one['unit']}", f"{one['available']:,.0f}", percent(one["share"]))
        for one in shown["demands"]
    ]
    plan = shown["plan"]
    scarcest = shown["demands"][0]
    parts: list[Table | str] = [
        Table(
            f"{plan['nodes']:,} nodes, {plan['sockets']:,} sockets, {plan['auctions']:,} auctions, "
            f"{rate(plan['bids_per_s'])} bids/s",
            ("resource", "used", "there is", "share"),
            rows,
        ),
        f"Up to {rate(shown['carries_bids_per_s'])} bids/s before one is used to {percent(USABLE_SHARE)}. "
        f"First: {scarcest['resource']}. Then: {scarcest['changes']}.",
    ]
    if (simulated := shown.get("simulated")) is not None:
        acks, updates = simulated["ack_ms"], simulated["update_ms"]
        parts.append(
            f"Simulated: {rate(simulated['acked_per_s'])} acks/s; ack p50 / p99 {_ms(acks)}, update {_ms(updates)} ms; "
            f"busiest: {max(simulated['busy'], key=simulated['busy'].__getitem__)}."
        )
    return Report(shown, parts)


def _ms(latencies: Mapping[str, float | None]) -> str:
    return " / ".join("—" if value is None else f"{value:.1f}" for value in latencies.values())


scale = Bench(
    "scale",
    "What a cluster of so many nodes would carry, and which resource it would use up first: a model and a simulation.",
    "Starts no engine. The constants were measured on one node by `ece bench capacity --save`. docs/scale.md explains "
    "the model, and how far it is to be believed.",
    (NODES, SOCKETS, AUCTIONS, BIDS, CORES, SIMULATED, SEED, MEASURED),
    run,
)
