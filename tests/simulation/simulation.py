"""One run of a seed: the engine with a few clients and faults, then peace, and the check of all promises."""

import asyncio
import gc
import random
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import structlog

from bench.faults.recording import Recording
from bench.faults.trades.recording import Holdings, TradeRecording
from domain.auction.terms import SoftClose, Terms
from domain.ids import id_text
from tests.auction_requests import open_request
from tests.simulation.checks import Books, Finished, findings, is_still, unlike_reserved
from tests.simulation.clients import Bidder, Watcher, World
from tests.simulation.database import Database
from tests.simulation.faults import Faults
from tests.simulation.loop import SimulatedLoop
from tests.simulation.network import Bus, Network
from tests.simulation.processes import Machinery, Placement, RunningGateway, Worker
from tests.simulation.trace import Trace
from tests.simulation.traders import Pair
from tests.virtual_time import EPOCH_MS

USD = 1_000_000
SELLER = 1
BIDDERS = range(101, 107)
TRADERS = (201, 202)
COPIES = (9_001, 9_002)
AUCTIONS = tuple(7_000_000_000_000_000 + number for number in (1, 2, 3))
BIDS_EACH = 12
TRADES = 3
FAULTS_MAX = 8
FAULTS_WITHIN_S = 6.0
ENDS_AFTER_MS = 8_000
# The last auction is open when all is checked.
OPEN = AUCTIONS[2]
# Answers come, auctions end, and views are complete within this time (virtual) after the last fault.
STILL_WITHIN_S = 60.0
# What a host that died has left reserved is found by the periodic check; without faults it takes a moment.
RESERVED_WITHIN_S = 15.0
RESERVED_SOON_S = 2.0
STEP_S = 0.1
# Internal errors that the engine catches: none may happen.
INTERNAL = frozenset(
    {
        "batch_failed", "order_failed", "session_fault", "command_failed", "subscribe_failed", "update_fault",
        "channel_task_failed", "look_up_failed", "entity_unreadable", "reservation_missing", "unreadable_update",
        "settlement_fault", "sale_failed", "unreadable_signal",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """What came of a seed. ``digest`` is that of its trace."""

    seed: int
    findings: tuple[str, ...]
    digest: str
    steps: int
    commands: int
    acks: int
    faults: int


def simulate(
    seed: int, show: Callable[[str], object] | None = None, faults: int | None = None, *, seizing: bool = False
) -> Result:  # fmt: skip
    """Run this seed. ``show`` gets the lines of its trace; ``faults``: that many instead of as many as it decides.

    ``seizing``: hosts may also acquire slots of a host that has a lease.
    """
    with _alone(seed, show) as (loop, log):
        run = Run(loop, seed, show, log, faults, seizing=seizing)
        work = loop.create_task(run.live())
        try:
            loop.run_until_complete(work)
        finally:
            loop.end()
        return run.result


@contextmanager
def _alone(seed: int, show: Callable[[str], object] | None) -> Iterator[tuple[SimulatedLoop, list[str]]]:
    """The clocks, randomness and logging of this process are those of the simulation."""
    loop = SimulatedLoop(random.Random(f"loop {seed}"))
    noted: list[str] = []

    def note(_: Any, level: str, event: dict[str, Any]) -> Any:
        if event["event"] in INTERNAL:
            noted.append(f"{event['event']}: {event}")
        if show is not None:
            show(f"{loop.time():.6f} log {level} {event}")
        raise structlog.DropEvent

    chance = random.Random(f"secrets {seed}")
    before = structlog.get_config()
    was_enabled = gc.isenabled()
    # The collector would finalise tasks at any moment.
    gc.disable()
    structlog.configure(processors=[note], cache_logger_on_first_use=False)
    try:
        with (
            patch.multiple(time, monotonic=loop.time, perf_counter=loop.time, thread_time=loop.time),
            patch.multiple(secrets, randbits=chance.getrandbits, token_bytes=chance.randbytes),
            patch("actors.hosting.entity.entity.RECENT_KEYS_MAX", 4),
            patch("actors.hosting.host.CHECK_HOLDS_EVERY_MS", 4_000),
            patch("actors.hosting.load_report.rss_bytes", lambda: 0),
        ):
            yield loop, noted
    finally:
        structlog.configure(**before)
        if was_enabled:
            gc.enable()


class Run:
    """One run."""

    def __init__(
        self, loop: SimulatedLoop, seed: int, show: Callable[[str], object] | None, noted: list[str],
        faults: int | None, *, seizing: bool,
    ) -> None:  # fmt: skip
        dice = random.Random(seed)
        self._seed = seed
        self._loop = loop
        self._noted = noted
        self._trace = trace = Trace(loop.time, show)
        self._funds = {user: dice.choice((8, 20, 1_000)) * USD for user in BIDDERS}
        self._funds |= dict.fromkeys((SELLER, *TRADERS), 50 * USD)
        owners = dict(zip(COPIES, TRADERS, strict=True))
        self._before = Holdings(owners, frozenset(), dict(self._funds), dict.fromkeys(self._funds, 0))
        network = Network(loop, random.Random(f"network {seed}"), trace)
        self.database = Database(loop, network, random.Random(f"database {seed}"), trace, self._funds, owners)
        bus = Bus(network, random.Random(f"bus {seed}"))
        self._machinery = Machinery(loop, network, self.database, bus, random.Random(f"machines {seed}"))
        self._placement = Placement(self._machinery, ("host-0", "host-1"))
        self._world = World(self._machinery, random.Random(f"clients {seed}"))
        self._world.gateways = [RunningGateway(self._machinery, f"gateway.{number}") for number in (1, 2)]
        Worker(self._machinery)
        chance = random.Random(f"faults {seed}")
        self._faults = Faults(self._machinery, self._placement, self._world, chance, seizing=seizing)
        # Of ten runs one has none.
        self._count = faults if faults is not None else dice.choice((0, *range(2, FAULTS_MAX), 5, 5))
        self.recording, self.trade_recording = Recording(), TradeRecording()
        self.result: Result

    async def live(self) -> None:
        """The whole run. Raises nothing: what is wrong is in ``result``."""
        try:
            found = await self._findings()
        except Exception as broken:
            # A log that the rules can't follow.
            found = [f"log: {broken!r}"]
        found += [f"internal: {one}" for one in (*self._noted, *self._loop.faults)]
        commands = len(self.recording.orders) + len(self.trade_recording.orders)
        acks = len(self.recording.acks) + len(self.trade_recording.acks)
        self._trace(f"end {len(found)} {commands} {acks}")
        self.result = Result(
            self._seed, tuple(found), self._trace.digest, self._trace.lines, commands, acks, self._count
        )

    async def _findings(self) -> list[str]:
        found = []
        await self._open_auctions()
        self._start_clients()
        await self._faults.happen(self._count, FAULTS_WITHIN_S)
        if not await self._until(self._is_still, STILL_WITHIN_S):
            found.append(f"liveness: after {STILL_WITHIN_S} s {self._unfinished()}")
        soon_s = RESERVED_WITHIN_S if self._count else RESERVED_SOON_S
        if not await self._until(lambda: not unlike_reserved(self.database), soon_s):
            found += unlike_reserved(self.database)
        found += [f"refused: {one}" for trader in self._pair.traders for one in trader.refused]
        books = Books(self._funds, self._before, self.recording, self.trade_recording, OPEN)
        return found + findings(self.database, books, complete=not found)

    async def _open_auctions(self) -> None:
        """By a user of the first gateway, until all are there."""
        begins = EPOCH_MS + 100
        for number, auction in enumerate(AUCTIONS):
            terms = Terms(
                auction, SELLER, "seller", "Charizard", USD, begins,
                begins + (ENDS_AFTER_MS - 2_000 * number if auction != OPEN else 3_600_000),
                reserve_price=(None, 2 * USD, None)[number],
                buy_now_price=(None, None, 900 * USD)[number],
                soft_close=(SoftClose(1_000, 1_000, 10), None, None)[number],
            )  # fmt: skip
            while True:
                gateway = self._world.gateways[0]
                if gateway.serves:
                    answer = await gateway.process.spawn(gateway.router.ask(open_request(auction, terms)))
                    if hasattr(answer, "state"):
                        break
                await asyncio.sleep(STEP_S)

    def _start_clients(self) -> None:
        names = [id_text(auction) for auction in AUCTIONS]
        self._bidders = [Bidder(self._world, user, names, self.recording, BIDS_EACH) for user in BIDDERS]
        for number, name in enumerate((*names, names[0])):
            Watcher(self._world, "auction", name, self.recording, None, f"watcher.{number}")
        self._pair = Pair(self._world, TRADERS, COPIES, self.trade_recording, TRADES)

    async def _until(self, condition: Callable[[], bool], within_s: float) -> bool:
        deadline_s = self._loop.time() + within_s
        while not condition():
            if self._loop.time() > deadline_s:
                return False
            await asyncio.sleep(STEP_S)
        return True

    def _finished(self) -> Finished:
        waiting = [bidder.process.name for bidder in self._bidders if not bidder.done]
        return Finished(waiting + [f"pair {TRADERS}"] * (not self._pair.done))

    def _is_still(self) -> bool:
        return not self._unfinished()

    def _unfinished(self) -> str:
        return is_still(self.database, self._finished(), [*self.recording.seen, *self.trade_recording.seen], OPEN)
