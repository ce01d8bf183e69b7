"""What rate limits cost a bid, and what its notifications do: three kinds of users in turns on one engine."""

from collections.abc import Mapping
from statistics import median
from typing import Any

from bench.cells import pair, percent, rate
from bench.definition import SECONDS, Bench, Context, Option, Report, Table
from bench.engine import LIFTED_LIMITS, Engine
from bench.loads.shapes import SPREAD, measure_shape
from bench.measures.closed_loop import figures
from bench.wire.accounts_by_rest import AccountsByRest

# Leases and their calls as for anybody, but of buckets that are never empty.
SETTINGS: Mapping[str, int] = {
    **LIFTED_LIMITS, "account_bids_per_s": 1_000_000, "account_bids_burst": 1_000_000, "attempts_per_minute": 10_000,
    "bcrypt_cost": 4, "seller_listings_per_hour": 1_000_000, "seller_live_max": 1_000_000,
}  # fmt: skip
GOAL = 0.1
KINDS = ("exempt", "limited", "notified")
ROUNDS = Option(("--rounds",), int, 4, "ROUNDS", "Measurements of each kind, in turns.", minimum=1, maximum=100)


async def run(context: Context) -> Report:
    """Measure all kinds in turns, in the other order in every second round."""
    rounds: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    async with context.engine(SETTINGS) as engine:
        await context.idle()
        engines = {
            "exempt": engine,
            "limited": Engine(engine.base_url, engine.limited_accounts),
            "notified": Engine(engine.base_url, AccountsByRest(engine.base_url)),
        }
        for number in range(context.value(ROUNDS)):
            for kind in KINDS[:: -1 if number % 2 else 1]:
                context.progress(f"round {number + 1}: {kind}")
                measured = await measure_shape(engines[kind], SPREAD, context.value(SECONDS))
                rounds[kind].append(figures(measured))
    return report(rounds)


def report(rounds: Mapping[str, list[dict[str, Any]]]) -> Report:
    """The medians of the rounds, and the shares of acks/s that the limits and the notifications cost."""
    acks = {kind: median(one["acks_per_s"] for one in measured) for kind, measured in rounds.items()}
    limits = round(1 - acks["limited"] / acks["exempt"], 3)
    notifications = round(1 - acks["notified"] / acks["limited"], 3)
    rows = [(kind, rate(acks[kind]), pair(_middle(measured)["ack_ms"])) for kind, measured in rounds.items()]
    shown = {
        "acks_per_s": acks, "cost": limits, "goal": GOAL, "notifications_cost": notifications, "rounds": rounds,
        "settings": dict(SETTINGS),
    }  # fmt: skip
    return Report(
        shown,
        [
            Table("Bids with and without rate limits and notifications", ("users", "acks/s", "ack ms"), rows),
            f"The limits cost {percent(limits)} of the acks/s. Goal: {percent(GOAL)} at most. "
            f"The notifications of who is outbid cost {percent(notifications)} of the rest.",
        ],
    )


def _middle(measured: list[dict[str, Any]]) -> dict[str, Any]:
    return sorted(measured, key=lambda one: float(one["acks_per_s"]))[len(measured) // 2]


guard = Bench(
    "guard",
    "What rate limits add to a bid, and the notifications of who is outbid.",
    "50 auctions × 4 bidders. exempt: users without limits and notifications, as in all other benches; limited: the "
    "same users with limits; notified: users that registered, who are told that they were outbid. acks/s: the median "
    "of the rounds. Differences of some percent are noise: compare the rounds in the JSON output.",
    (SECONDS, ROUNDS),
    run,
)
