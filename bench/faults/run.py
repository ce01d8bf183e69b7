"""A fault run: clients bid, trade and mint while parts of the engine are disturbed. Then everything is checked.

Over the wire, except that processes are found by part, and that the checkers read the database.
"""

import asyncio
import itertools
import os
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any
from uuid import uuid4

import msgspec

from bench.engine import OwnEngine, Parts
from bench.faults.checker import FALSE_ACK, LOST, ORDER, TWICE, Violation
from bench.faults.injection.clocks import Clocks
from bench.faults.injection.disk import SmallDisk
from bench.faults.injection.injector import Injected, Injector, Means
from bench.faults.injection.links import Links
from bench.faults.injection.schedule import Fault
from bench.faults.minting import Mint
from bench.faults.recovery import late, recovery_of
from bench.faults.scene import OPERATOR, Scene
from bench.faults.trades.clients import EXECUTED
from bench.faults.trades.pairs import Trading
from bench.faults.waiting import NotInTime, until
from bench.wire.accounts import OPERATOR_ROLE, Roster
from bench.wire.client import WireTrouble
from bench.wire.rest_client import RestClient
from ece_client import EceError
from persistence.ledger.check import CHECKS, ledger_checker

AUCTIONS, BIDDERS, WATCHERS = 4, 8, 2
# Of a bidder, after each bid: the run is about faults, not about load.
BIDDER_RESTS_S = 0.02
PAIRS = 4
# An auction that ends in the run is opened so often, and is open for so long.
SHORT_EVERY_S, SHORT_MS = 15.0, 10_000
WARM_UP_ACKS = 200
WHOLE_WITHIN_S = 120.0
POLL_S = 0.2
# Violations of the promise that what was acknowledged is done, once.
LOSSES = frozenset({LOST, FALSE_ACK, TWICE, ORDER})
STUCK, LEDGER = "stuck", "ledger"
SHOWN_MAX = 100

Progress = Callable[[str], None]


class Outcome(msgspec.Struct, frozen=True):
    """What the clients and the checkers of a run have found. Recovery: of each fault, in seconds."""

    acks: int
    answers: dict[str, int]
    trades: int
    minted: int
    auctions: int
    done: Sequence[Injected]
    recovered_s: dict[int, float]
    violations: list[Violation]

    @property
    def lost(self) -> int:
        """Acknowledged commands that are not in the log as they were acknowledged, or twice."""
        return sum(one.kind in LOSSES for one in self.violations)

    def figures(self) -> dict[str, Any]:
        """As JSON."""
        times = list(self.recovered_s.values())
        return {
            "faults": len(self.done),
            "by_fault": dict(Counter(f"{one.fault.kind} {part}" for one in self.done for part in one.hit)),
            "acks": self.acks,
            "answers": self.answers,
            "trades": self.trades,
            "minted": self.minted,
            "auctions": self.auctions,
            "lost": self.lost,
            "violations": [msgspec.to_builtins(one) for one in self.violations[:SHOWN_MAX]],
            "violations_count": len(self.violations),
            "recovered_s": {
                "median": round(median(times), 2) if times else None,
                "worst": round(max(times), 2) if times else None,
                "by_kind": self._worst_by_kind(),
            },
        }

    def _worst_by_kind(self) -> dict[str, float]:
        worst = dict[str, float]()
        for place, seconds in self.recovered_s.items():
            kind = self.done[place].fault.kind
            worst[kind] = max(worst.get(kind, 0.0), round(seconds, 2))
        return worst


async def run_faults(
    engine: OwnEngine, clocks: Clocks, disk: SmallDisk | None, faults: Sequence[Fault], seconds: float,
    progress: Progress,
) -> Outcome:  # fmt: skip
    """Let clients work for `seconds` while these faults happen, then check everything.

    The engine was started with the environment of `clocks`, and its data is on `disk`. Raises NotInTime, WireTrouble,
    EceError, StoreUnavailable when the run can't even begin.
    """
    async with Links(engine.base_url, engine.database_url, engine.redis_url) as links:
        progress("putting proxies between the parts")
        parts = await _between_the_parts(engine, links)
        means = Means(parts, links.proxies, clocks, links.direct_database_url, disk, engine.start_duplicate)
        return await _Run(engine, links.base_url, means, progress).outcome(faults, seconds)


async def _between_the_parts(engine: OwnEngine, links: Links) -> Parts:
    """Have PostgreSQL and hosts start again, so that all connections are made through proxies."""
    parts = await engine.parts()
    await links.prepare()
    postgres = await parts.find("postgres")
    assert postgres is not None, "it has just answered"
    os.kill(postgres, signal.SIGKILL)
    links.take_places()
    engine.hosts.kill()
    await until(parts.whole, "PostgreSQL and hosts run again", WHOLE_WITHIN_S, POLL_S)
    return await engine.parts(links.direct_database_url)


class _Run:
    def __init__(self, engine: OwnEngine, base_url: str, means: Means, progress: Progress) -> None:
        self._engine = engine
        self._base_url = base_url
        self._means = means
        self._progress = progress
        self._steps: Counter[str] = Counter()
        self._found: list[Violation] = []

    async def outcome(self, faults: Sequence[Fault], seconds: float) -> Outcome:
        engine = self._engine
        scene = Scene(
            self._base_url, self._means.database_url, engine.accounts,
            auctions=AUCTIONS, bidders=BIDDERS, watchers=WATCHERS, rest_s=BIDDER_RESTS_S,
        )  # fmt: skip
        roster = Roster(engine.accounts)
        await roster.enlist([OPERATOR], OPERATOR_ROLE)
        mint = Mint(RestClient(engine.base_url, roster), OPERATOR, f"faults-{uuid4().hex[:8]}")
        async with scene:
            steady = tuple(scene.auctions)
            trading = await self._traders(roster, mint)
            injector = Injector(self._means, self._report)
            try:
                await self._work(scene, trading, mint, injector, faults, seconds)
                await self._check(scene, trading, mint)
            finally:
                await trading.cancel()
                await mint.close()
        recovered_s, never = recovery_of(scene.recording, injector.done, steady)
        self._found += late(injector.done, recovered_s, never)
        acks = scene.recording.acks
        codes = Counter(one.code for one in scene.recording.refused) + Counter(scene.recording.rejected)
        return Outcome(
            len(acks) + len(trading.recording.acks), {"accepted": len(acks), **codes}, self._steps[EXECUTED],
            mint.copies, len(scene.auctions), injector.done, recovered_s, self._found,
        )  # fmt: skip

    async def _traders(self, roster: Roster, mint: Mint) -> Trading:
        """Pairs with a minted copy each: what they trade is moved on the chain, too."""
        names = [f"fault_{uuid4().hex[:8]}" for _ in range(2 * PAIRS)]
        await roster.enlist(names)
        accounts = [roster.account(name) for name in names]
        self._progress(f"minting a card for each of {len(names)} traders")
        await mint.open()
        copies = await mint.copies_for(accounts)
        return Trading(self._base_url, self._means.database_url, accounts, copies, self._step)

    async def _work(
        self, scene: Scene, trading: Trading, mint: Mint, injector: Injector, faults: Sequence[Fault], seconds: float
    ) -> None:
        scene.start()
        await trading.start()
        await scene.more_acks(WARM_UP_ACKS)
        self._progress(f"{seconds:g} s: {BIDDERS} bidders, {len(trading.pairs)} pairs of traders, {len(faults)} faults")
        others = [asyncio.create_task(mint.run()), asyncio.create_task(_short_auctions(scene))]
        try:
            await injector.run(faults, seconds)
        finally:
            mint.stopping = True
            others[1].cancel()
        done = await asyncio.gather(*others, return_exceptions=True)
        self._found += [
            Violation(STUCK, "", repr(one))
            for one in (*done, scene.failure())
            if isinstance(one, Exception) and not isinstance(one, asyncio.CancelledError)
        ]

    async def _check(self, scene: Scene, trading: Trading, mint: Mint) -> None:
        self._progress("waiting for all parts, and for the last answers")
        whole = until(self._means.parts.whole, "every part runs", WHOLE_WITHIN_S, POLL_S)
        await self._step_of("every part runs", whole)
        logs = await self._step_of("the last trades", trading.finish())
        self._progress("checking bids, auctions and what watchers have received")
        self._found += await self._step_of("bids", scene.finish()) or []
        self._progress("checking trades, what their parties have, and the chain")
        if logs is not None:
            self._found += await self._step_of("trades", trading.violations(logs)) or []
        self._found += await self._step_of("mints", mint.finish()) or []
        self._found += await self._step_of("the ledger", ledger_violations(self._means.database_url)) or []

    async def _step_of(self, what: str, work: Any) -> Any:
        """The result; None, with a violation, where it does not come."""
        try:
            return await work
        except (NotInTime, TimeoutError, WireTrouble, EceError, AssertionError) as fault:
            self._found.append(Violation(STUCK, "", f"{what}: {fault or 'not in time'}"))
            return None

    def _step(self, step: str) -> None:
        self._steps[step] += 1

    def _report(self, injected: Injected) -> None:
        missing = set(injected.fault.parts) - set(injected.hit)
        self._progress(f"{injected.fault.at_s:6.1f} s  {injected.fault}" + (" (not there yet)" if missing else ""))


async def _short_auctions(scene: Scene) -> None:
    """Auctions that end while faults happen."""
    for number in itertools.count(1):
        auction = await scene.open_auction(f"Short {number}", SHORT_MS)
        # The bidders choose from this list.
        scene.auctions.append(auction)
        await asyncio.sleep(SHORT_EVERY_S)


async def ledger_violations(database_url: str) -> list[Violation]:
    """What `ece ledger check` finds."""
    found: list[Violation] = []
    async with ledger_checker(database_url) as checker:
        for check in CHECKS:
            _, findings = await checker.findings(check)
            found += [Violation(LEDGER, "", f"{one.kind}: {one.detail}") for one in findings]
    return found
