"""Density: many live auctions in shared placement on one node, each with a bid; the memory of their hosts, and the time
until all accept bids again after their hosts are killed. Over the wire, except that the machine is asked for the memory
of the hosts, and kills them."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import uuid4

from bench.cells import rate
from bench.definition import Bench, Context, Option, Report, Table
from bench.engine import HostMemory, Hosts
from bench.loads.load import STARTING_PRICE, USD
from bench.loads.processes import ProcessFailed
from bench.loads.shapes import DURATION_MS, SELLER
from bench.wire.accounts import Roster
from bench.wire.client import Refusal, WireClient, bid_surely
from bench.wire.rest_client import RestClient

AUCTIONS = 10_000
AUCTIONS_MIN = 100
MIB = 1024 * 1024
HOSTS_MIB_MAX = 2_048
RECOVERED_S_MAX = 20.0
# At so many sizes, evenly spread, the memory is read.
SIZES = 4
CREATIONS_AT_ONCE = 6
BIDS_AT_ONCE = 512
# Those who bid first, and those who bid once the hosts are back; each through a socket of its own.
FIRST_BIDDERS = [f"bench_first_{n}" for n in range(8)]
LATER_BIDDERS = [f"bench_later_{n}" for n in range(8)]
BID_WITHIN_S = 60.0

Item = TypeVar("Item")


class Crowd:
    """Bidders with a socket each, reconnected when lost."""

    def __init__(self, base_url: str, roster: Roster) -> None:
        self._base_url = base_url
        self._roster = roster
        self._clients: dict[str, WireClient] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def bid_once_in_each(self, auctions: Sequence[str], bidders: Sequence[str], amount: int) -> list[float]:
        """Return when every auction has accepted a bid that leads: when each did (perf_counter), in order.

        Raises ProcessFailed when one doesn't.
        """
        accepted_at_s: list[float] = []

        async def bid(seat: tuple[str, str]) -> None:
            auction, bidder = seat
            answer = await bid_surely(lambda: self._live(bidder), auction, amount, uuid4().hex, BID_WITHIN_S)
            if isinstance(answer, Refusal) or answer.outcome != "leading":
                raise ProcessFailed(f"auction {auction} did not accept the bid of {bidder}: {answer}")
            accepted_at_s.append(time.perf_counter())

        await at_once(BIDS_AT_ONCE, bid, zip(auctions, itertools.cycle(bidders), strict=False))
        return accepted_at_s

    async def _live(self, bidder: str) -> WireClient:
        async with self._locks.setdefault(bidder, asyncio.Lock()):
            client = self._clients.get(bidder)
            if client is None or client.closed is not None:
                client = await WireClient.connect(self._base_url, self._roster.token(bidder))
                self._clients[bidder] = client
            return client

    def leave(self) -> None:
        """Hang up."""
        for client in self._clients.values():
            client.close()


AUCTIONS_OPTION = Option(
    ("--auctions",), int, AUCTIONS, "AUCTIONS", "Auctions that are live at the same time.", minimum=AUCTIONS_MIN
)


async def measure_density(
    base_url: str, roster: Roster, hosts: Hosts, auctions: int, progress: Callable[[str], None]
) -> dict[str, Any]:
    """List auctions and read the memory in steps, kill the hosts, and wait until every auction accepted another bid."""
    await roster.enlist([SELLER, *FIRST_BIDDERS, *LATER_BIDDERS])
    rest, crowd = RestClient(base_url, roster), Crowd(base_url, roster)
    live: list[str] = []
    sizes: list[tuple[int, HostMemory]] = [(0, hosts.memory())]
    created_s = bid_s = 0.0
    try:
        for step in range(1, SIZES + 1):
            began_s = time.perf_counter()
            new = await _listed(rest, range(len(live), auctions * step // SIZES))
            listed_s = time.perf_counter()
            live += new
            await crowd.bid_once_in_each(new, FIRST_BIDDERS, 2 * USD)
            created_s, bid_s = created_s + listed_s - began_s, bid_s + time.perf_counter() - listed_s
            sizes.append((len(live), hosts.memory()))
            progress(f"{len(live):,} auctions live, each with a bid: {_mib(sizes[-1][1].pss):,.0f} MiB")
        progress("killing the hosts (kill -9)")
        killed_s = time.perf_counter()
        killed = hosts.kill()
        back_at_s = await crowd.bid_once_in_each(live, LATER_BIDDERS, 3 * USD)
    finally:
        crowd.leave()
        await rest.close()
    return {
        "auctions": auctions,
        "hosts": killed,
        "hosts_mib": _mib(sizes[-1][1].pss),
        "hosts_uss_mib": _mib(sizes[-1][1].uss),
        "first_back_s": round(back_at_s[0] - killed_s, 2),
        "recovered_s": round(back_at_s[-1] - killed_s, 2),
        "recovered_mib": _mib(hosts.memory().pss),
        "mib_per_1000": round(slope([(n / 1000, memory.pss / MIB) for n, memory in sizes]), 2),
        "sizes": [{"auctions": n, "hosts_mib": _mib(memory.pss)} for n, memory in sizes],
        "created_per_s": round(auctions / created_s, 1),
        "bids_per_s": round(auctions / bid_s, 1),
        "goals": {"hosts_mib": HOSTS_MIB_MAX, "recovered_s": RECOVERED_S_MAX},
    }


async def _listed(rest: RestClient, numbers: Iterable[int]) -> list[str]:
    """New live auctions, one a number, many at once."""
    made: list[str] = []

    async def open_one(number: int) -> None:
        state = await rest.open_auction(SELLER, _terms(number))
        made.append(str(state["id"]))

    await at_once(CREATIONS_AT_ONCE, open_one, numbers)
    return made


async def at_once(limit: int, work: Callable[[Item], Awaitable[None]], items: Iterable[Item]) -> None:
    """Do the work for each item, at most so many at a time. Raises the first failure."""
    left = iter(items)

    async def worker() -> None:
        for item in left:
            await work(item)

    tasks = [asyncio.create_task(worker()) for _ in range(limit)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The rise of the straight line that fits these points best."""
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    over = sum((x - mean_x) * (y - mean_y) for x, y in points)
    return float(over / sum((x - mean_x) ** 2 for x, _ in points))


def _mib(size: int) -> float:
    return round(size / MIB, 1)


def _terms(number: int) -> dict[str, Any]:
    return {
        "title": f"Bench density {number}",
        "format": "english",
        "starting_price": STARTING_PRICE,
        "duration_ms": DURATION_MS,
        "placement": "shared",
    }


def report(figures: Mapping[str, Any]) -> Report:
    """The memory of the hosts at each size, and how soon every auction accepted bids again."""
    rows = [(f"{size['auctions']:,}", f"{size['hosts_mib']:,.1f}") for size in figures["sizes"]]
    goals = figures["goals"]
    return Report(
        figures,
        [
            Table("Live auctions in shared placement, each with a bid", ("auctions", "hosts MiB"), rows),
            f"Each further 1,000 auctions: {figures['mib_per_1000']:.1f} MiB. Goal: under {goals['hosts_mib']:,} MiB "
            "in all.",
            f"Listed by REST at {rate(figures['created_per_s'])}/s, then bids at {rate(figures['bids_per_s'])}/s.",
            f"After kill -9 of the hosts ({figures['hosts']}) the first auction accepted a bid after "
            f"{figures['first_back_s']:.1f} s, the last after {figures['recovered_s']:.1f} s. "
            f"Goal: {goals['recovered_s']:g} s.",
        ],
    )


async def run(context: Context) -> Report:
    async with context.engine() as engine:
        auctions, roster = context.value(AUCTIONS_OPTION), Roster(engine.accounts)
        return report(await measure_density(engine.base_url, roster, engine.hosts, auctions, context.progress))


density = Bench(
    "density",
    "10,000 live auctions in shared placement: memory of the hosts, and recovery of all auctions after kill -9.",
    "hosts MiB: proportional set size (PSS) of all hosts, the standby host included. The time of recovery counts from "
    "the kill to the next accepted bid of the first and of the last auction.",
    (AUCTIONS_OPTION,),
    run,
)
