"""A host with its stores, stream server, directory entry and heartbeat. Runs in any event loop."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

import asyncpg
import msgspec
import structlog

from actors.clock import Clock
from actors.hosting.entity.entity import Entity
from actors.hosting.host import Host
from actors.hosting.limits import HostLimits
from actors.hosting.load_report import encode_load_report
from actors.hosting.ownership.ownership import Assignment
from actors.hosting.ownership.releases import Releases, Returned
from actors.stream.connection import HostStream
from domain.ids import id_text
from persistence.jobs.rows import JobRow
from persistence.jobs.store import JobStore
from persistence.ledger.bid_holds import BidHolds
from persistence.log.event_log import EventLog
from persistence.log.snapshots import SnapshotStore
from persistence.placement.directory import Claimed, Directory, DueEntity, Superseded
from persistence.postgres.errors import StoreError
from persistence.redis.announcements import DIRECTORY_CHANNEL, Announcer
from persistence.sales.copy_locks import CopyLocks
from persistence.summary_tables import SUMMARY_TABLES

log = structlog.get_logger()

HEARTBEAT_S = 0.5
MAINTENANCE_S = 1.0
PARTITIONS_EVERY_MS = 6 * 3600 * 1000
STORE_RETRY_S = 0.25
# Jobs that one flush adds; the rest comes with the next.
JOBS_MAX = 1_000
WILDCARDS = ("0.0.0.0", "::")


@dataclass(frozen=True)
class HostConfig:
    """The configuration of a host, which reads no environment. Pickled to the actor's process."""

    host_id: str
    slots_total: int
    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    cluster_secret: bytes = field(repr=False)
    bind: str = "127.0.0.1"
    node: str = ""
    # Whether bids need funds.
    holds: bool = True
    limits: HostLimits = field(default_factory=HostLimits)


class HostStores:
    """The stores of one host. Those that are methods share the log's connections: call them once it is open."""

    def __init__(self, config: HostConfig) -> None:
        self.log = EventLog(config.database_url, SUMMARY_TABLES, writer=config.host_id)
        self.holds = BidHolds(config.database_url) if config.holds else None
        self.copy_locks = CopyLocks(config.database_url)
        self.announcer = Announcer(config.redis_url, config.limits.updates_waiting_max)

    def directory(self) -> Directory:
        return Directory(self.log.pool)

    def snapshots(self) -> SnapshotStore:
        return SnapshotStore(self.log.pool)

    def jobs(self) -> JobStore:
        return JobStore(self.log.pool)


class HostProcess:
    """Starts, serves, stops. Raises nothing once it serves: it waits until stores are available again."""

    def __init__(
        self, config: HostConfig, on_superseded: Callable[[], None] = lambda: None, *,
        stores: HostStores | None = None, clock: Clock | None = None,
    ) -> None:  # fmt: skip
        """``stores`` and ``clock``: those that the configuration names, and this machine's, unless given."""
        self.config = config
        self._on_superseded = on_superseded
        self.clock = clock or Clock()
        self.host: Host | None = None
        self.port: int | None = None
        self._stores = stores or HostStores(config)
        self._log, self._holds = self._stores.log, self._stores.holds
        self._announcer = self._stores.announcer
        self._incarnation = 0
        self._server: asyncio.Server | None = None
        self._streams: set[HostStream] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._directory: Directory | None = None
        self._released = Releases(self.clock.steady_s)
        # How often anything was acquired.
        self._acquired = 0
        # Jobs that follow changed summary rows.
        self._jobs: dict[JobRow, None] = {}

    async def start(self) -> None:
        """Open the stores (waiting as long as it takes), register, and serve. Slots come by ``acquire``."""
        await _until_it_works(self._log.open)
        self._directory = self._stores.directory()
        self.host = Host(
            self._log,
            self._stores.snapshots(),
            self._announcer,
            slots_total=self.config.slots_total,
            limits=self.config.limits,
            clock=self.clock,
            holds=self._holds,
            copy_locks=self._stores.copy_locks,
            summarised=self._summarised,
        )
        await _until_it_works(self.host.prepare)
        self._announcer.start()
        await self._listen()
        await _until_it_works(self._register)
        await _until_it_works(self._log.prepare_appends)
        if self._holds is not None:
            await _until_it_works(self._holds.prepare)
        self._tasks = [
            asyncio.create_task(self.host.run(), name="host"),
            asyncio.create_task(self._beat_forever(), name="heartbeat"),
            asyncio.create_task(self._maintain_forever(), name="maintenance"),
        ]
        log.info("host_serves", host=self.config.host_id, port=self.port)

    async def stop(self) -> None:
        """Drain, write a last heartbeat, and close."""
        if self.host is None:
            return
        if self._server is not None:
            self._server.close()
        try:
            async with asyncio.timeout(5):
                await self.host.drain()
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

    def _summarised(self, entity: Entity) -> None:
        self._jobs |= dict.fromkeys(
            JobRow(kind, id_text(entity.id)) for kind in entity.rules.summary_jobs(entity.state)
        )

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._new_stream,
            self.config.bind,
            0,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def _new_stream(self) -> HostStream:
        host, config = self.host, self.config
        assert host is not None
        limits = config.limits
        return HostStream(
            config.host_id, config.cluster_secret, host.submit, self._streams, streams_max=limits.streams_max,
            unread_bytes_max=limits.stream_unread_bytes_max,
        )  # fmt: skip

    def _load_report(self) -> bytes:
        assert self.host is not None
        report = msgspec.structs.replace(
            self.host.load_report(),
            streams=len(self._streams),
            unread_bytes=sum(stream.unread_bytes for stream in self._streams),
            updates_waiting=self._announcer.waiting,
            updates_dropped=self._announcer.dropped,
        )
        return encode_load_report(report)

    async def acquire(self, assigned: Assignment) -> None:
        """Acquire these. Raises StoreUnavailable, Superseded.

        If they were not handed off, appends in flight of the former owners are ended first.
        """
        host, directory = self._serving()
        config = self.config
        # If this fails half-way, the directory names this host, which does not serve: `_beat` acquires them again.
        self._released.add(assigned.slots, assigned.entities)
        if assigned.slots:
            claimed = await directory.claim(config.host_id, self._incarnation, assigned.slots)
            self._acquired += 1
            await self._end_appends_of(claimed, assigned)
            await self._drop_owned(assigned.slots)
            now = self.clock.now_ms()
            for slot, until in claimed.owned_until.items():
                host.outages.slot_acquired(slot, assigned.released_at or until, now)
            host.acquire_slots(assigned.slots, claimed.excluded)
            alarms = await directory.due(assigned.slots)
            self._set_alarms(due for due in alarms if due.entity not in claimed.excluded)
        if assigned.entities:
            slots = {entity: host.ownership.slot_of(entity) for entity in assigned.entities}
            await directory.claim_entities(config.host_id, self._incarnation, slots)
            self._acquired += 1
            self._serve_dedicated(assigned)
            self._set_alarms(await directory.due_entities(assigned.entities))
        self._released.difference_update(assigned.slots, assigned.entities)
        self._announce_directory()
        log.info("acquired", host=config.host_id, slots=len(assigned.slots), entities=len(assigned.entities))

    async def reacquire(self, assigned: Assignment) -> None:
        """Acquire these entities, which had a dedicated host, with their slots again. Raises as ``acquire`` does."""
        host, directory = self._serving()
        claimed = await directory.reclaim(self.config.host_id, self._incarnation, assigned.entities)
        self._acquired += 1
        await self._end_appends_of(claimed, assigned)
        now = self.clock.now_ms()
        for entity, until in claimed.owned_until.items():
            host.outages.entity_acquired(entity, assigned.released_at or until, now)
        host.reacquire(assigned.entities)
        self._set_alarms(await directory.due_entities(assigned.entities))
        self._announce_directory()
        log.info("reacquired", host=self.config.host_id, entities=len(assigned.entities))

    async def hand_off(self, slots: Sequence[int], entities: Sequence[int]) -> int:
        """Hand off these. Returns the time (ms) from which another host may own them.

        If no host acquires them within RETURN_AFTER_S, this host does so again.
        """
        host, _ = self._serving()
        self._released.add(slots, entities)
        return await host.hand_off(slots, entities)

    def _serving(self) -> tuple[Host, Directory]:
        assert self.host is not None
        assert self._directory is not None
        return self.host, self._directory

    def _serve_dedicated(self, assigned: Assignment) -> None:
        assert self.host is not None
        now = self.clock.now_ms()
        for entity in assigned.entities:
            self.host.outages.entity_acquired(entity, assigned.released_at or now, now)
        self.host.acquire_dedicated(assigned.entities)

    async def _end_appends_of(self, claimed: Claimed, assigned: Assignment) -> None:
        if assigned.released_at is None and claimed.owners:
            await self._log.end_writers(sorted(claimed.owners))

    async def _drop_owned(self, slots: Sequence[int]) -> None:
        """Drop what is in memory of slots that this host still assumes to own.

        A process that was stopped does not know that another host owned them meanwhile: its states may be old.
        """
        host, _ = self._serving()
        dropped = asyncio.Event()
        owned = host.ownership.slots & frozenset(slots)
        if owned:
            host.lose(owned, ())
            host.between_commits(dropped.set)
            await dropped.wait()

    def _set_alarms(self, alarms: Iterable[DueEntity]) -> None:
        assert self.host is not None
        for due in alarms:
            self.host.timers.set(due.entity, due.due_at)

    def _announce_directory(self) -> None:
        self._announcer.publish(DIRECTORY_CHANNEL, self.config.host_id.encode())

    async def _register(self) -> None:
        assert self.host is not None
        assert self._directory is not None
        assert self.port is not None
        config, now = self.config, self.clock.now_ms()
        address = reachable_address(config.bind)
        self._incarnation = await self._directory.register(config.host_id, address, self.port, now, config.node)
        # An earlier process of this name may have left an append in flight.
        await self._log.end_writers([config.host_id])
        self.host.outages.commit_succeeded(now)

    async def _beat(self) -> None:
        host, directory = self._serving()
        # As they are before the call: what is acquired during it is not in its answer.
        own = host.ownership
        slots, dedicated, excluded = own.slots, own.dedicated, own.excluded
        now, acquired = self.clock.now_ms(), self._acquired
        owned = await directory.heartbeat(self.config.host_id, self._incarnation, now, self._load_report())
        if acquired != self._acquired:
            # The answer may be older than that, and name as lost what was lost before and is acquired again.
            return
        lost_slots, lost_entities = (
            slots - owned.slots,
            (dedicated - owned.entities) | (owned.excluded - excluded),
        )
        if lost_slots or lost_entities:
            log.warning("ownership_lost", host=self.config.host_id, slots=len(lost_slots), entities=len(lost_entities))
            host.lose(lost_slots, lost_entities)
            self._released.add((), lost_entities)
            # The lease begins once they are dropped: a check in progress of what is reserved must not use their states.
            host.between_commits(partial(host.confirmed, now))
        else:
            host.confirmed(now)
        self._released.add_unconfirmed(own.excluded - owned.excluded)
        await self._acquire_again(self._released.returned(owned, own))

    async def _acquire_again(self, returned: Returned) -> None:
        """Acquire again what the directory still assigns to this host, and no other host has acquired in time."""
        if returned.slots or returned.entities:
            log.warning("acquired_again", host=self.config.host_id, slots=len(returned.slots))
            await self.acquire(Assignment(slots=tuple(returned.slots), entities=tuple(returned.entities)))
        if returned.excluded:
            log.warning("acquired_again", host=self.config.host_id, entities=len(returned.excluded))
            self._released.add((), returned.excluded)
            await self.reacquire(Assignment(entities=tuple(returned.excluded)))
            self._released.difference_update((), returned.excluded)

    async def _beat_forever(self) -> None:
        assert self.host is not None
        while True:
            try:
                await self._beat()
                self.host.outages.commit_succeeded(self.clock.now_ms())
            except StoreError as error:
                self.host.outages.commit_failed()
                log.warning("heartbeat_failed", error=str(error))
            except Superseded:
                log.error("superseded", host=self.config.host_id, incarnation=self._incarnation)
                self.host.step_down()
                self._on_superseded()
                return
            await asyncio.sleep(HEARTBEAT_S)

    async def _maintain_forever(self) -> None:
        assert self.host is not None
        partitions_at = self.clock.now_ms()
        while True:
            await asyncio.sleep(MAINTENANCE_S)
            self.host.maintain()
            try:
                if self.clock.now_ms() - partitions_at >= PARTITIONS_EVERY_MS:
                    partitions_at = self.clock.now_ms()
                    await self._log.ensure_partitions()
                await self.host.records.flush()
                await self._add_jobs()
            except StoreError as error:
                log.warning("flush_failed", error=str(error))

    async def _add_jobs(self) -> None:
        """Add the jobs that follow changed summary rows. Raises StoreUnavailable."""
        some = list(self._jobs)[:JOBS_MAX]
        for job in some:
            del self._jobs[job]
        if some:
            try:
                await self._stores.jobs().add_again(some)
            except StoreError:
                self._jobs |= dict.fromkeys(some)
                raise


def reachable_address(bind: str) -> str:
    """The address for gateways on other nodes; for a wildcard, that of the interface with the default route."""
    if bind not in WILDCARDS:
        return bind
    family, anywhere = (socket.AF_INET6, "2001:db8::1") if ":" in bind else (socket.AF_INET, "192.0.2.1")
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        # Connecting a datagram socket sends nothing; it only chooses a route.
        probe.connect((anywhere, 9))
        return str(probe.getsockname()[0])


async def _until_it_works(step: Callable[[], Awaitable[None]]) -> None:
    """Retry until the stores answer. Logs once a second."""
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
