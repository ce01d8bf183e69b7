"""The engine's processes, with their own code, in the simulation: hosts, gateways, the worker. And who places slots."""

import asyncio
import random
import uuid
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

from actors.hosting.limits import HostLimits
from actors.hosting.ownership.ownership import Assignment
from actors.routing.router import Router
from actors.runtime.host_process import HostConfig, HostProcess
from actors.stream.messages import GetState
from actors.workers.job import Job
from actors.workers.settle import NotSold, SettleAuctions
from actors.workers.trades import ExecuteTrades, NotRecorded
from domain.ids import id_text
from domain.ledger.ids import held_for
from gateway.fanout.channels import FanOutCounts, FanOutLimits
from gateway.fanout.entity_channels import EntityChannels, UpdatePages
from gateway.fanout.hub import Hub
from gateway.fanout.trade_channels import TradeChannels
from gateway.identity.tokens import TokenIssuer
from gateway.trades.commands import TradeCommands
from gateway.trades.services import Trades
from gateway.websocket.admission import Admission
from gateway.websocket.connection import SessionLimits
from gateway.websocket.operations.table import MSGPACK, OPERATIONS
from gateway.websocket.session import Session
from gateway.websocket.traffic import Traffic
from persistence.jobs.store import Claimed
from persistence.placement.directory import Superseded
from persistence.postgres.errors import StoreError
from persistence.sales.settlement import SETTLE
from tests.simulation.database import Database, Link, SimulatedStores
from tests.simulation.loop import Process, SimulatedLoop
from tests.simulation.network import Announcer, Bus, End, Listener, Network
from tests.virtual_time import VirtualClock

SLOTS = 4
SECRET = b"the secret of the simulated cluster"
TOKENS = TokenIssuer("a-secret-of-at-least-thirty-two-characters", ttl_s=900)
# Small, so that their bounds are reached: queues fill, entities leave memory, recovery has snapshots and tails.
HOST_LIMITS = HostLimits(
    inbox_max=40, mailbox_max=20, batch_max=12, snapshot_every_events=5, passivate_after_ms=1_500
)  # fmt: skip
SESSION_LIMITS = SessionLimits(updates_unsent_bytes_max=600)
FAN_OUT = FanOutLimits(resume_events_max=30)
CLOCK_SKEW_MS = 100
PLACE_EVERY_S = 0.2
# A host without heartbeats counts as dead, though it may live.
DEAD_AFTER_MS = 3_000
CALL_WITHIN_S = 8.0


class Machinery:
    """What all processes share."""

    def __init__(
        self, loop: SimulatedLoop, network: Network, database: Database, bus: Bus, dice: random.Random
    ) -> None:  # fmt: skip
        self.loop = loop
        self.network = network
        self.database = database
        self.bus = bus
        self.dice = dice

    def clock(self) -> VirtualClock:
        """The clock of one machine."""
        clock = VirtualClock()
        clock.offset_ms = self.dice.randrange(-CLOCK_SKEW_MS, CLOCK_SKEW_MS)
        return clock

    def kill(self, process: Process) -> None:
        """``kill -9``."""
        self.network.trace(f"kill {process}")
        process.kill()
        self.network.ended(process)


class RunningHost:
    """One incarnation of a host."""

    def __init__(self, machinery: Machinery, host_id: str, number: int) -> None:
        self.host_id = host_id
        self.serves = False
        self._machinery = machinery
        self.process = machinery.loop.process(f"{host_id}.{number}")
        announcer: Any = Announcer(machinery.bus, self.process)
        stores: Any = SimulatedStores(machinery.database, self.process, host_id, announcer)
        config = HostConfig(host_id, SLOTS, "", "", SECRET, limits=HOST_LIMITS)
        self.engine = HostProcess(config, lambda: machinery.kill(self.process), stores=stores, clock=machinery.clock())
        stores.log.confirm = self.engine.confirm
        self.process.spawn(self._start())

    async def _start(self) -> None:
        await self.engine.start()
        self.serves = True

    async def ask(self, work: Coroutine[Any, Any, Any]) -> Any:
        """As a call to its Ray actor. Raises StoreError; TimeoutError where it does not answer."""
        task = self.process.spawn(work)
        loop = asyncio.get_running_loop()
        until_s = loop.time() + CALL_WITHIN_S
        while not task.done():
            if not self.process.alive or loop.time() > until_s:
                raise TimeoutError(self.host_id)
            await asyncio.wait([task], timeout=0.05)
        return task.result()


class Placement:
    """Assigns what nobody owns to a host that lives, as the director does; it never dies."""

    def __init__(self, machinery: Machinery, host_ids: Sequence[str]) -> None:
        self._machinery = machinery
        self._numbers = dict.fromkeys(host_ids, 0)
        self.hosts: dict[str, RunningHost] = {}
        self._process = machinery.loop.process("director")
        # How many orders are under way that this director did not give.
        self._seizing = 0
        for host_id in host_ids:
            self.start(host_id)
        self._process.spawn(self._place_forever())

    def start(self, host_id: str) -> None:
        """A new incarnation of this host; one that runs still is superseded."""
        self._numbers[host_id] += 1
        self.hosts[host_id] = RunningHost(self._machinery, host_id, self._numbers[host_id])

    def serving(self) -> list[RunningHost]:
        """The hosts that may own something."""
        return [host for host in self.hosts.values() if host.process.alive and host.serves]

    async def owners(self) -> dict[int, str]:
        """By slot, as the directory has it."""
        found = await self._machinery.database.directory.hosts()
        return {slot: host.host_id for host in found for slot in host.slots}

    async def _place_forever(self) -> None:
        while True:
            with suppress(StoreError, TimeoutError, Superseded, asyncio.CancelledError):
                await self._place()
            await asyncio.sleep(PLACE_EVERY_S)

    async def _place(self) -> None:
        found = await self._machinery.database.directory.hosts()
        newest = max((host.alive_at for host in found), default=0)
        late = {host.host_id for host in found if host.alive_at < newest - DEAD_AFTER_MS}
        may_own = [host for host in self.serving() if host.host_id not in late]
        ids = {host.host_id for host in may_own}
        owners = await self.owners()
        free = tuple(slot for slot in range(SLOTS) if owners.get(slot) not in ids)
        if free and may_own and not self._seizing:
            host = self._machinery.dice.choice(may_own)
            self._machinery.network.trace(f"place {free} {host.process}")
            await host.ask(host.engine.acquire(Assignment(slots=free)))

    async def move(self, slots: Sequence[int], source: RunningHost, target: RunningHost, *, dies: bool) -> None:
        """Hand off these slots. ``dies``: the director does, in between."""
        released_at = await source.ask(source.engine.hand_off(slots, ()))
        if not dies:
            assigned = Assignment(slots=tuple(slots), released_at=released_at, released_by=source.host_id)
            await target.ask(target.engine.acquire(assigned))

    async def seize(self, slots: Sequence[int], target: RunningHost) -> None:
        """Have a second host own these, though their owner lives. The director may try to place them meanwhile."""
        alone = self._machinery.dice.random() < 0.7
        self._seizing += alone
        try:
            await target.ask(target.engine.acquire(Assignment(slots=tuple(slots))))
        finally:
            self._seizing -= alone


class Socket:
    """The gateway's end of a client's connection: the port of a session. ``end`` is its stream."""

    def __init__(self, end: End) -> None:
        self._end = end
        self.write_frame = end.write
        self.write_soon = end.write
        self.unsent_bytes = end.get_write_buffer_size

    def pause(self) -> bool:
        """The client is read from all the same."""
        return True

    def close(self, code: int, reason: str) -> None:
        self._end.close()


class RunningGateway:
    """One gateway: router, hub and sessions."""

    def __init__(self, machinery: Machinery, name: str) -> None:
        self._machinery = machinery
        self.process = machinery.loop.process(name)
        self.serves = False
        self.sessions: list[Session] = []
        self.process.spawn(self._start())

    async def _start(self) -> None:
        machinery, process = self._machinery, self.process
        database, self._clock = machinery.database, machinery.clock()
        directory: Any = Link(database, process, database.directory)
        history: Any = Link(database, process, database.history)
        keys: Any = Link(database, process, database.keys)
        checks: Any = Link(database, process, database.checks)
        nothing: Any = None
        self.router = router = Router(directory, SECRET, SLOTS, self._clock)
        counts, pages, now_ms = FanOutCounts(), UpdatePages(), self._clock.now_ms
        announcer: Any = Announcer(machinery.bus, process)
        listener: Any = Listener(machinery.bus, process)
        sources = [
            EntityChannels("auction", router, history, counts, FAN_OUT, pages),
            TradeChannels(router, history, counts, announcer, now_ms, pages),
        ]
        self._hub = Hub(router, listener, sources, counts, now_ms)
        router.on_moved = self._hub.moved
        commands = TradeCommands(router, keys, checks, _NO_SECOND_FACTOR, now_ms)
        self._services = Trades(commands, nothing, nothing, nothing, nothing)
        self._admission, self._traffic = Admission(200), Traffic()
        await router.start()
        self._hub.start()
        self.serves = True

    def accept(self, end: End) -> None:
        """A client has connected."""
        session = Session(
            Socket(end), MSGPACK, OPERATIONS, self.router, self._hub, TOKENS, SESSION_LIMITS, self._admission,
            self._traffic, self._clock.now_ms, self._services,
        )  # fmt: skip
        frames = Frames(session.received)
        end.received = frames.data_received
        end.lost = session.closed
        self.sessions.append(session)


class Frames:
    """Frames of clients, each with four bytes of length, as the WebSocket protocol would deliver whole messages."""

    def __init__(self, received: Callable[[bytes], None]) -> None:
        self._received = received
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data
        while len(buffer) >= 4 and len(buffer) - 4 >= (size := int.from_bytes(buffer[:4], "big")):
            self._received(buffer[4 : 4 + size])
            buffer = buffer[4 + size :]
        self._buffer = buffer


class _NoSecondFactor:
    """Nobody has one."""

    async def check_fresh(self, caller: Any, code: str | None, now_ms: int) -> None:
        """It is fresh."""


_NO_SECOND_FACTOR: Any = _NoSecondFactor()


class Worker:
    """Settles auctions and executes trades, again and again, until the logs have it."""

    EVERY_S = 0.25
    STALE_EVERY = 20

    def __init__(self, machinery: Machinery) -> None:
        self._machinery = machinery
        self.process = machinery.loop.process("worker")
        self.process.spawn(self._run())

    async def _run(self) -> None:
        database, clock = self._machinery.database, self._machinery.clock()
        directory: Any = Link(database, self.process, database.directory)
        settlements: Any = Link(database, self.process, database.settlements)
        executions: Any = Link(database, self.process, database.executions)
        self._router = Router(directory, SECRET, SLOTS, clock)
        await self._router.start()
        settle = SettleAuctions(settlements, self._router, clock.now_ms, _copies_moved)
        execute = ExecuteTrades(executions, self._router, clock.now_ms)
        claim = uuid.UUID(int=1)
        turn = 0
        while True:
            turn += 1
            ended = [Claimed(SETTLE, id_text(one), b"", 1, claim) for one in database.settlements.ended()]
            confirmed = [
                Claimed(execute.kind, f"{id_text(one)}:{seq}", b"", 1, claim)
                for one, seq in database.executions.confirmed().items()
            ]
            await self._work(settle, ended)
            await self._work(execute, confirmed)
            if turn % self.STALE_EVERY == 0:
                await self._load_stale()
            await asyncio.sleep(self.EVERY_S)

    @staticmethod
    async def _work(job: Job, claimed: list[Claimed]) -> None:
        if claimed:
            with suppress(StoreError, TimeoutError, NotSold, NotRecorded):
                await job.run(claimed)

    async def _load_stale(self) -> None:
        """As ``release_stale_trades``: hosts correct what is held for a trade when they load it."""
        database = self._machinery.database
        held = {reference for reference, _ in database.holds.books.holds}
        for trade, rows in list(database.tables.events.items()):
            if rows[0].kind == "trade" and held_for("trade", trade) in held:
                await self._router.ask(GetState(trade, "trade"))


async def _copies_moved(_: Sequence[int]) -> None:
    """There is no catalog to bring up to date."""
