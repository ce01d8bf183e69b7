"""Trades: executed a second over WebSockets, and many open ones in shared placement: the memory of their hosts, and the
time until all of them answer again after their hosts are killed."""

import asyncio
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from bench.cells import pair, rate
from bench.definition import SECONDS, Bench, BenchFailed, Context, Option, Report
from bench.engine import Hosts
from bench.loads.processes import ProcessFailed
from bench.loads.trading import Pair, Tally, Trader, new_card, new_copy
from bench.measures.capacity.auctions import Crowd, at_once, mib
from bench.percentiles import p50_p99
from bench.wire.accounts import OPERATOR_ROLE, Roster
from bench.wire.client import Refusal, WireTrouble, request_surely
from bench.wire.rest_client import RestClient
from bench.wire.trades import USD, leg

OPERATOR = "bench_operator"
LIVE, LIVE_MIN = 10_000, 100
PAIRS = 64
WARM_UP_S = 2.0
OFFERS_AT_ONCE = 128
MESSAGES_AT_ONCE = 512
ANSWERED_WITHIN_S = 120.0
# The number of open offers of a user is limited.
OFFERS_EACH = 400
GOALS = {"trades_per_s": 500, "hosts_mib": 200, "recovered_s": 5}

LIVE_OPTION = Option(
    ("--live",), int, LIVE, "TRADES", "Negotiations that are open at the same time.", minimum=LIVE_MIN, maximum=50_000
)
PAIRS_OPTION = Option(
    ("--pairs",), int, PAIRS, "PAIRS", "Pairs of users who trade with each other.", minimum=2, maximum=500
)


class Stock:
    """Users with copies of one card."""

    def __init__(self, base_url: str, roster: Roster) -> None:
        self.base_url = base_url
        self.roster = roster
        self.rest = RestClient(base_url, roster)
        self._card = ""

    async def open(self, names: list[str]) -> None:
        """Register these, and create the card."""
        await self.roster.enlist([OPERATOR], OPERATOR_ROLE)
        await self.roster.enlist(names)
        self._card = await new_card(self.rest, OPERATOR, f"bench-{uuid4().hex[:8]}")

    async def copy_for(self, name: str) -> str:
        """A new copy."""
        return await new_copy(self.rest, OPERATOR, self._card, self.roster.account(name))


async def measure_rate(stock: Stock, pairs: Sequence[tuple[str, str]], seconds: float) -> dict[str, Any]:
    """Trades executed a second in closed loop; every second pair trades copies for money."""
    tally, trading = Tally(), list[Pair]()
    for number, names in enumerate(pairs):
        one, other = [await Trader.connect(stock.base_url, stock.roster, name, tally) for name in names]
        copies = [await stock.copy_for(name) for name in names[: 1 + number % 2]]
        trading.append(Pair(one, other, copies[0], copies[1] if copies[1:] else None, tally))
    began_s = time.perf_counter() + WARM_UP_S
    ends_s = began_s + seconds
    try:
        await asyncio.gather(*(each.run(lambda: time.perf_counter() >= ends_s) for each in trading))
    finally:
        for each in trading:
            each.one.client.close()
            each.other.client.close()
    trades, acks = tally.between(began_s, ends_s)
    return {
        "pairs": len(pairs),
        "trades": trades,
        "trades_per_s": round(trades / seconds, 1),
        "commands_per_s": round(len(acks) / seconds, 1),
        "ack_ms": p50_p99(acks),
    }


async def measure_live(
    stock: Stock, hosts: Hosts, users: Sequence[str], live: int, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Open so many offers, kill the hosts, and wait until each negotiation accepts a message."""
    crowd, trades = Crowd(stock.base_url, stock.roster), dict[str, str]()
    proposers, others = users[::2], users[1::2]
    copies = {name: await stock.copy_for(name) for name in proposers}
    empty = hosts.memory()

    async def surely(name: str, op: str, **fields: Any) -> dict[str, Any]:
        reply = await request_surely(lambda: crowd.live(name), op, ANSWERED_WITHIN_S, key=uuid4().hex, **fields)
        if isinstance(reply, Refusal):
            raise ProcessFailed(f"{op} of {name}: {reply}")
        return reply

    async def offer(seat: tuple[str, str]) -> None:
        one, other = (stock.roster.account(name) for name in seat)
        legs = [leg(one, other, [copies[seat[0]]]), leg(other, one, money=USD)]
        trades[str((await surely(seat[0], "trade_offer", legs=legs))["trade"])] = seat[1]

    back_at_s: list[float] = []

    async def write(seat: tuple[str, str]) -> None:
        await surely(seat[1], "trade_message", trade=seat[0], text="Still there?")
        back_at_s.append(time.perf_counter())

    try:
        began_s = time.perf_counter()
        await at_once(
            OFFERS_AT_ONCE, offer, itertools.islice(itertools.cycle(zip(proposers, others, strict=True)), live)
        )
        offered_s = time.perf_counter() - began_s
        full = hosts.memory()
        progress(f"{live:,} trades open: {mib(full.pss):,.0f} MiB; killing the hosts (kill -9)")
        killed_s = time.perf_counter()
        killed = hosts.kill()
        await at_once(MESSAGES_AT_ONCE, write, list(trades.items()))
    finally:
        crowd.leave()
    return {
        "live": len(trades),
        "hosts": killed,
        "hosts_empty_mib": mib(empty.pss),
        "hosts_mib": mib(full.pss),
        "recovered_mib": mib(hosts.memory().pss),
        "offers_per_s": round(live / offered_s, 1),
        "first_back_s": round(back_at_s[0] - killed_s, 2),
        "recovered_s": round(back_at_s[-1] - killed_s, 2),
    }


def report(figures: Mapping[str, Any]) -> Report:
    """One sentence a figure."""
    goals = figures["goals"]
    return Report(
        figures,
        [
            f"{rate(figures['trades_per_s'])} trades/s executed by {figures['pairs']} pairs of users, half of them for "
            f"money; {rate(figures['commands_per_s'])} commands/s. Goal: {goals['trades_per_s']} trades/s.",
            f"Acks, ms (p50 / p99): {pair(figures['ack_ms'])}.",
            f"{figures['live']:,} open trades in shared placement: {figures['hosts_mib']:,.0f} MiB, of which "
            f"{figures['hosts_empty_mib']:,.0f} MiB without them. Goal: {goals['hosts_mib']} MiB. "
            f"Offered at {rate(figures['offers_per_s'])}/s.",
            f"After kill -9 of the hosts ({figures['hosts']}) the first trade accepted a message after "
            f"{figures['first_back_s']:.1f} s, the last after {figures['recovered_s']:.1f} s. "
            f"Goal: {goals['recovered_s']:g} s.",
        ],
    )


async def run(context: Context) -> Report:
    async with context.engine() as engine:
        live, roster = context.value(LIVE_OPTION), Roster(engine.accounts)
        pairs = [(f"bench_one_{n}", f"bench_other_{n}") for n in range(context.value(PAIRS_OPTION))]
        users = [f"bench_live_{n}" for n in range(2 * -(-live // OFFERS_EACH))]
        stock = Stock(engine.base_url, roster)
        try:
            await stock.open([name for both in pairs for name in both] + users)
            await context.idle()
            context.progress(f"{len(pairs)} pairs trade")
            figures = await measure_rate(stock, pairs, context.value(SECONDS))
            context.progress(f"{figures['trades_per_s']:,.0f} trades/s")
            figures |= await measure_live(stock, engine.hosts, users, live, context.progress)
        except WireTrouble as trouble:
            raise BenchFailed(f"a request failed: {trouble}") from trouble
        finally:
            await stock.rest.close()
        return report({**figures, "goals": GOALS})


trades = Bench(
    "trades",
    "Trades executed a second over WebSockets; memory and recovery of 10,000 open negotiations.",
    "trades_per_s: from the offer until both parties have seen on the channel that it is executed, in closed loop: "
    "each pair offers, accepts, confirms twice and waits. ack_ms: of offers, acceptances and confirmations.\n\n"
    "hosts_mib: proportional set size (PSS) of all hosts, the standby host included, with `live` open offers. "
    "recovered_s: from kill -9 of the hosts until the last of these negotiations has accepted a message.",
    (SECONDS, PAIRS_OPTION, LIVE_OPTION),
    run,
)
