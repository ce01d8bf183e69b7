"""A host with everything around it: stores, stream server, directory entry, heartbeat. Runs in any event loop."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import asyncpg
import structlog

from actors.clock import Clock
from actors.host import Host, HostLimits
from actors.stream import HostStream
from persistence.announcements import DIRECTORY_CHANNEL, Announcer
from persistence.directory import Directory, Superseded
from persistence.errors import StoreError
from persistence.event_log import EventLog
from persistence.snapshots import SnapshotStore

log = structlog.get_logger()

HEARTBEAT_S = 0.5
CHORES_S = 1.0
PARTITIONS_EVERY_MS = 6 * 3600 * 1000
STORE_RETRY_S = 0.25
WILDCARDS = ("0.0.0.0", "::")


@dataclass(frozen=True)
class HostConfig:
    """All that a host needs to know; it reads no environment. Pickled once, to the actor's process."""

    host_id: str
    slots_total: int
    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    cluster_secret: bytes = field(repr=False)
    bind: str = "127.0.0.1"
    limits: HostLimits = field(default_factory=HostLimits)


class HostProcess:
    """Start, serve, stop. Raises nothing once it serves: faults of stores are waited out."""

    def __init__(self, config: HostConfig, on_superseded: Callable[[], None] = lambda: None) -> None:
        self.config = config
        self._on_superseded = on_superseded
        self.clock = Clock()
        self.host: Host | None = None
        self.port: int | None = None
        self._log = EventLog(config.database_url)
        self._announcer = Announcer(config.redis_url)
        self._incarnation = 0
        self._server: asyncio.Server | None = None
        self._streams: set[HostStream] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._directory: Directory | None = None

    async def start(self) -> None:
        """Open the stores (waiting as long as it takes), enter the directory, serve; slots come by ``take``."""
        await _until_it_works(self._log.open)
        pool = self._log.pool
        self._directory = Directory(pool)
        self.host = Host(
            self._log,
            SnapshotStore(pool),
            self._announcer,
            slots_total=self.config.slots_total,
            limits=self.config.limits,
            clock=self.clock,
        )
        await _until_it_works(self.host.prepare)
        self._announcer.start()
        await self._listen()
        await _until_it_works(self._register)
        self._tasks = [
            asyncio.create_task(self.host.run(), name="host"),
            asyncio.create_task(self._beat_forever(), name="heartbeat"),
            asyncio.create_task(self._chores_forever(), name="chores"),
        ]
        log.info("host_serves", host=self.config.host_id, port=self.port)

    async def stop(self) -> None:
        """Answer what waits, save what is in memory, say a last time that all was well, and close."""
        if self.host is None:
            return
        if self._server is not None:
            self._server.close()
        try:
            await asyncio.wait_for(self.host.drain(), 5)
            await self._beat()
        except (StoreError, TimeoutError, Superseded) as error:
            log.warning("drain_incomplete", error=str(error))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for stream in list(self._streams):
            if stream.transport is not None:
                stream.transport.close()
        await self._announcer.stop()
        await self._log.close()

    async def _listen(self) -> None:
        host = self.host
        assert host is not None
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: HostStream(self.config.host_id, self.config.cluster_secret, host.submit, self._streams),
            self.config.bind,
            0,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def take(self, slots: Sequence[int]) -> None:
        """Keep these slots from now on. Raises StoreUnavailable, Superseded."""
        assert self.host is not None
        assert self._directory is not None
        kept_until = await self._directory.claim(self.config.host_id, self._incarnation, slots)
        now = self.clock.now_ms()
        for slot, until in kept_until.items():
            self.host.outages.slot_taken(slot, until, now)
        self.host.forget_slots(frozenset(slots) - self.host.slots)
        self.host.slots |= frozenset(slots)
        self._announcer.publish(DIRECTORY_CHANNEL, self.config.host_id.encode())
        for due in await self._directory.due(slots):
            self.host.timers.set(due.auction, due.due_at)
        log.info("slots_taken", host=self.config.host_id, slots=len(slots))

    async def _register(self) -> None:
        assert self.host is not None
        assert self._directory is not None
        assert self.port is not None
        config, now = self.config, self.clock.now_ms()
        address = reachable_address(config.bind)
        self._incarnation = await self._directory.register(config.host_id, address, self.port, now)
        self.host.outages.works(now)

    async def _beat(self) -> None:
        assert self._directory is not None
        assert self.host is not None
        before = self.host.slots
        kept = await self._directory.heartbeat(self.config.host_id, self._incarnation, self.clock.now_ms())
        if before - kept:
            # Somebody took us for dead. What we would still write collides with the new keeper's rows.
            log.warning("slots_lost", host=self.config.host_id, slots=len(before - kept))
            self.host.slots -= before - kept

    async def _beat_forever(self) -> None:
        assert self.host is not None
        while True:
            try:
                await self._beat()
                self.host.outages.works(self.clock.now_ms())
            except StoreError as error:
                self.host.outages.fails()
                log.warning("heartbeat_failed", error=str(error))
            except Superseded:
                log.error("superseded", host=self.config.host_id, incarnation=self._incarnation)
                self.host.step_down()
                self._on_superseded()
                return
            await asyncio.sleep(HEARTBEAT_S)

    async def _chores_forever(self) -> None:
        assert self.host is not None
        partitions_at = self.clock.now_ms()
        while True:
            await asyncio.sleep(CHORES_S)
            self.host.chores_due()
            try:
                if self.clock.now_ms() - partitions_at >= PARTITIONS_EVERY_MS:
                    partitions_at = self.clock.now_ms()
                    await self._log.ensure_partitions()
                await self.host.records.flush()
            except StoreError as error:
                log.warning("flush_failed", error=str(error))


def reachable_address(bind: str) -> str:
    """What gateways on other nodes connect to: for a wildcard, the address from which this node reaches the world."""
    if bind not in WILDCARDS:
        return bind
    family, anywhere = (socket.AF_INET6, "2001:db8::1") if ":" in bind else (socket.AF_INET, "192.0.2.1")
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        # Connecting a datagram socket sends nothing; it only chooses a route.
        probe.connect((anywhere, 9))
        return str(probe.getsockname()[0])


async def _until_it_works(step: Callable[[], Awaitable[None]]) -> None:
    """Try until the stores answer: a host without them has nothing else to do. Said once a second."""
    tries = 0
    while True:
        try:
            await step()
            return
        except (StoreError, asyncpg.UndefinedTableError, asyncpg.UndefinedFunctionError) as error:
            if tries % 4 == 0:
                log.warning("waiting_for_database", error=str(error))
            tries += 1
            await asyncio.sleep(STORE_RETRY_S)
