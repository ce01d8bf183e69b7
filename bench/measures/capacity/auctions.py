"""Live auctions in shared placement on one node: the memory of their hosts, how fast they open and end, and the time
until all accept bids again after their hosts are killed."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import uuid4

from bench.engine import LIFTED_LIMITS, OwnEngine
from bench.loads.load import STARTING_PRICE, STEP
from bench.loads.processes import ProcessFailed
from bench.loads.shapes import DURATION_MS, SELLER
from bench.measures.capacity.fitting import slope
from bench.measures.capacity.kind import Kind, Meter, Progress
from bench.measures.capacity.search import Range, Step, Verdict
from bench.percentiles import p50_p99
from bench.wire.accounts import OPERATOR_ROLE, Roster
from bench.wire.client import Refusal, WireClient, bid_surely
from bench.wire.rest_client import RestClient

AUCTIONS = 10_000
MIB = 1024 * 1024
HOSTS_MIB_MAX = 2_048
RECOVERED_S_MAX = 20.0
AT_ONCE = 6
BIDS_AT_ONCE = 512
# Those who bid first, and those who bid once the hosts are back; each through a socket of its own.
FIRST_BIDDERS = [f"bench_first_{n}" for n in range(8)]
LATER_BIDDERS = [f"bench_later_{n}" for n in range(8)]
BID_WITHIN_S = 60.0
OPERATOR = "bench_operator"
# So many auctions are ended again after each step, and replaced in the next one.
ENDED = 100
# By so many steps of the price each bid passes the one before: the next one leads in any case.
BID_STEPS = 10

Item = TypeVar("Item")


class Crowd:
    """Users with a socket each, reconnected when lost."""

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
            answer = await bid_surely(lambda: self.live(bidder), auction, amount, uuid4().hex, BID_WITHIN_S)
            if isinstance(answer, Refusal) or answer.outcome != "leading":
                raise ProcessFailed(f"auction {auction} did not accept the bid of {bidder}: {answer}")
            accepted_at_s.append(time.perf_counter())

        await at_once(BIDS_AT_ONCE, bid, zip(auctions, itertools.cycle(bidders), strict=False))
        return accepted_at_s

    async def live(self, bidder: str) -> WireClient:
        """The socket of this user."""
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


class AuctionsMeter:
    """Opens auctions until there are as many as wanted, and kills their hosts. Sizes only grow."""

    def __init__(self, engine: OwnEngine, rest: RestClient, crowd: Crowd, progress: Progress) -> None:
        self._engine, self._rest, self._crowd, self._progress = engine, rest, crowd, progress
        self._live: list[str] = []
        self._amount = STARTING_PRICE
        self._memory: list[tuple[float, float]] = [(0, engine.hosts.memory().pss)]

    async def measure(self, size: int) -> Step:
        """Open those that are missing, bid in each, kill all hosts (kill -9), and bid in each again."""
        began_s, missing = time.perf_counter(), max(0, size - len(self._live))
        new = await self._opened(missing)
        opened_s = time.perf_counter() - began_s
        self._live += new
        await self._bid(new, FIRST_BIDDERS)
        memory = self._engine.hosts.memory()
        self._memory.append((len(self._live), memory.pss))
        self._progress(f"{len(self._live):,} auctions live: {memory.pss / MIB:,.0f} MiB; killing the hosts (kill -9)")
        killed_s = time.perf_counter()
        hosts = self._engine.hosts.kill()
        back_s = [at_s - killed_s for at_s in await self._bid(self._live, LATER_BIDDERS)]
        shown = {
            "auctions": len(self._live),
            "hosts": hosts,
            "hosts_mib": mib(memory.pss),
            "opened_per_s": round(len(new) / opened_s, 1) if new else None,
            "ended_per_s": round(await self._ended_per_s(), 1),
            "first_back_s": round(back_s[0], 2),
            "recovered_s": round(back_s[-1], 2),
            "back_ms": p50_p99(back_s),
        }
        why = what_broke(shown)
        return Step(size, Verdict.HELD if why is None else Verdict.BROKEN, why, shown)

    def costs(self) -> dict[str, float]:
        """The slope of the hosts' memory over the sizes, and their memory without auctions, for each host."""
        first, hosts = self._memory[0][1], max(1, self._engine.hosts.memory().hosts)
        return {"auction_bytes": max(0.0, slope(self._memory)), "host_bytes": first / hosts}

    async def _bid(self, auctions: Sequence[str], bidders: Sequence[str]) -> list[float]:
        self._amount += BID_STEPS * STEP
        return await self._crowd.bid_once_in_each(auctions, bidders, self._amount) if auctions else []

    async def _opened(self, missing: int) -> list[str]:
        """New live auctions, many at once."""
        made: list[str] = []

        async def open_one(number: int) -> None:
            state = await self._rest.open_auction(SELLER, _terms(number))
            made.append(str(state["id"]))

        await at_once(AT_ONCE, open_one, range(missing))
        return made

    async def _ended_per_s(self) -> float:
        """End some by REST, as an operator does."""
        ended, self._live = self._live[:ENDED], self._live[ENDED:]
        from_s = time.perf_counter()

        async def end_one(auction: str) -> None:
            await self._rest.close_auction(OPERATOR, auction)

        await at_once(AT_ONCE, end_one, ended)
        return len(ended) / (time.perf_counter() - from_s)


def what_broke(figures: dict[str, Any]) -> str | None:
    """Why the service level did not hold; None where it did."""
    if figures["hosts_mib"] > HOSTS_MIB_MAX:
        return f"the hosts took {figures['hosts_mib']:,.0f} MiB"
    if figures["recovered_s"] > RECOVERED_S_MAX:
        return f"the last auction accepted bids again after {figures['recovered_s']:.1f} s"
    return None


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


def mib(size: int) -> float:
    return round(size / MIB, 1)


def _terms(number: int) -> dict[str, Any]:
    return {
        "title": f"Bench capacity {number}",
        "format": "english",
        "starting_price": STARTING_PRICE,
        "increments": [[0, STEP]],
        "duration_ms": DURATION_MS,
        "placement": "shared",
    }


@asynccontextmanager
async def _meter(engine: OwnEngine, _seconds: float, progress: Progress) -> AsyncIterator[Meter]:
    roster = Roster(engine.accounts)
    await roster.enlist([SELLER, *FIRST_BIDDERS, *LATER_BIDDERS])
    await roster.enlist([OPERATOR], OPERATOR_ROLE)
    rest, crowd = RestClient(engine.base_url, roster), Crowd(engine.base_url, roster)
    try:
        yield AuctionsMeter(engine, rest, crowd, progress)
    finally:
        crowd.leave()
        await rest.close()


LIVE_AUCTIONS = Kind(
    "auctions",
    "live auctions",
    f"in shared placement on one node, each with a bid: hosts under {HOSTS_MIB_MAX:,} MiB (PSS, the spare host "
    f"included), every auction accepts bids again within {RECOVERED_S_MAX:g} s after kill -9 of all hosts",
    Range(first=AUCTIONS // 8, least=100, most=AUCTIONS, grows_only=True),
    "back_ms",
    _meter,
    lambda _most: LIFTED_LIMITS,
)
