"""A host with its stores, stream server, directory entry and heartbeat. Runs in any event loop."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence, Set
from dataclasses import dataclass, field
from functools import partial

import asyncpg
import msgspec
import structlog

from actors.clock import Clock
from actors.hosting.commit.lease import LEASE_S
from actors.hosting.entity.entity import Entity
from actors.hosting.host import Host
from actors.hosting.limits import HostLimits
from actors.hosting.load_report import encode_load_report
from actors.hosting.ownership.ownership import Assignment
from actors.hosting.ownership.releases import HANDED_OFF_MS, Releases, Returned
from actors.stream.connection import HostStream
from domain.ids import id_text
from persistence.jobs.rows import JobRow
from persistence.jobs.store import JobStore
from persistence.ledger.bid_holds import BidHolds
from persistence.log.event_log import Confirm, EventLog
from persistence.log.snapshots import SnapshotStore
from persistence.placement.directory import Directory, DueEntity, Former, Owned, Revoked, Superseded
from persistence.postgres.errors import StoreError, StoreUnavailable
from persistence.redis.announcements import DIRECTORY_CHANNEL, Announcer
from persistence.sales.copy_locks import CopyLocks
from persistence.summary_tables import SUMMARY_TABLES

log = structlog.get_logger()

HEARTBEAT_S = 0.5
MAINTENANCE_S = 1.0
PARTITIONS_EVERY_MS = 6 * 3600 * 1000
STORE_RETRY_S = 0.25
# How often it is tried whether the process of a former owner has ended.
FORMER_OWNER_EVERY_S = 0.05
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

    def __init__(self, config: HostConfig, confirm: Confirm) -> None:
        """``confirm``: see ``EventLog``."""
        url, writer = config.database_url, config.host_id
        self.log = EventLog(url, SUMMARY_TABLES, writer=writer, confirm=confirm)
        self.holds = BidHolds(url, writer=writer) if config.holds else None
        self.copy_locks = CopyLocks(url, writer=writer)
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
        self._stores = stores or HostStores(config, self.confirm)
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
        try:
            async with asyncio.timeout(5):
                await self.host.drain()
            await self._beat()
        except (StoreError, TimeoutError, Superseded) as error:
            log.warning("drain_incomplete", error=str(error))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # Only now: a port that refuses connections shows that the process answers nothing any more.
        if self._server is not None:
            self._server.close()
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

        If they were not handed off, it waits until no former owner can write or answer for them.
        """
        await self._confirm_hand_off(assigned)
        revoked = None
        if assigned.slots and assigned.released_at is None:
            revoked = await self._serving()[1].revoke(self.config.host_id, assigned.slots)
            await self._fence(revoked.formers)
        await self._acquire(assigned, revoked)

    async def _acquire(self, assigned: Assignment, revoked: Revoked | None) -> None:
        """``revoked``: only what nobody has acquired since; None if they were handed off to this host."""
        # If this fails half-way, the directory names this host, which does not serve: `_beat` acquires them again.
        self._released.add(assigned.slots, assigned.entities)
        if assigned.slots:
            await self._acquire_slots(assigned, revoked)
        if assigned.entities:
            await self._acquire_entities(assigned)
        self._released.difference_update(assigned.slots, assigned.entities)
        self._announce_directory()
        log.info("acquired", host=self.config.host_id, slots=len(assigned.slots), entities=len(assigned.entities))

    async def _acquire_slots(self, assigned: Assignment, revoked: Revoked | None) -> None:
        host, directory = self._serving()
        claimed = await directory.claim(self.config.host_id, self._incarnation, assigned.slots, revoked)
        self._acquired += 1
        await self._confirm_hand_off(assigned)
        slots = tuple(slot for slot in assigned.slots if slot not in claimed.refused)
        await self._drop_owned(slots)
        now = self.clock.now_ms()
        for slot, until in claimed.owned_until.items():
            host.outages.slot_acquired(slot, assigned.released_at or until, now)
        host.acquire_slots(slots, claimed.excluded)
        alarms = await directory.due(slots)
        if revoked is not None:
            # They are loaded, and what is held for them is compared with their states.
            alarms += await directory.left_held(slots, now)
        self._set_alarms(due for due in alarms if due.entity not in claimed.excluded)

    async def _acquire_entities(self, assigned: Assignment) -> None:
        host, directory = self._serving()
        slots = {entity: host.ownership.slot_of(entity) for entity in assigned.entities}
        await directory.claim_entities(self.config.host_id, self._incarnation, slots)
        self._acquired += 1
        await self._confirm_hand_off(assigned)
        self._serve_dedicated(assigned)
        self._set_alarms(await directory.due_entities(assigned.entities))

    async def reacquire(self, assigned: Assignment) -> None:
        """Acquire these entities, which had a dedicated host, with their slots again. Raises as ``acquire`` does."""
        host, directory = self._serving()
        await self._confirm_hand_off(assigned)
        if assigned.released_at is None:
            await self._fence((await directory.revoke(self.config.host_id, (), assigned.entities)).formers)
        claimed = await directory.reclaim(self.config.host_id, self._incarnation, assigned.entities)
        self._acquired += 1
        await self._confirm_hand_off(assigned)
        now = self.clock.now_ms()
        for entity, until in claimed.owned_until.items():
            host.outages.entity_acquired(entity, assigned.released_at or until, now)
        host.reacquire(assigned.entities)
        self._set_alarms(await directory.due_entities(assigned.entities))
        self._announce_directory()
        log.info("reacquired", host=self.config.host_id, entities=len(assigned.entities))

    async def hand_off(self, slots: Sequence[int], entities: Sequence[int]) -> int:
        """Hand off these. Returns the time (ms) from which another host may own them.

        If no host acquires them within RETURN_AFTER_S, this host does so again. Raises StoreUnavailable if it has done
        so before the commit in flight was over.
        """
        host, _ = self._serving()
        self._released.add(slots, entities)
        released_at = await host.hand_off(slots, entities)
        own = host.ownership
        if own.slots.intersection(slots) or any(own.owns(entity) for entity in entities):
            raise StoreUnavailable("the hand-off took so long that this host has acquired them again")
        self._released.add(slots, entities)
        return released_at

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

    async def _fence(self, formers: Collection[Former]) -> None:
        """Wait until none of these hosts can write or answer any more. What they owned has been revoked before.

        Their leases end by themselves, but a process that has ended need not be waited for. What they have sent to the
        database is ended, and over new connections they write only what is still theirs (``confirm``).
        """
        if formers:
            until_s = self.clock.steady_s() + LEASE_S
            await asyncio.gather(*(self._until_ended(former, until_s) for former in formers))
            await self._log.end_writers(sorted({former.host_id for former in formers}))

    async def _confirm_hand_off(self, assigned: Assignment) -> None:
        """Raises StoreUnavailable if the host that has handed these off may have acquired them again.

        It does so RETURN_AFTER_S later, after a heartbeat, and no longer once the directory names another host: what
        holds after the claim goes on to hold. Before it, nothing has been taken from that host yet.
        """
        if assigned.released_at is None:
            return
        late_from = assigned.released_at + HANDED_OFF_MS
        hosts = await self._serving()[1].hosts()
        if any(host.host_id == assigned.released_by and host.alive_at >= late_from for host in hosts):
            raise StoreUnavailable(f"{assigned.released_by} may have acquired again what it handed off long ago")

    async def _until_ended(self, former: Former, until_s: float) -> None:
        """Return when this process has ended; at the latest at ``until_s``, on the steady clock."""
        while (left_s := until_s - self.clock.steady_s()) > 0:
            try:
                async with asyncio.timeout(left_s):
                    transport, _ = await asyncio.get_running_loop().create_connection(
                        asyncio.Protocol, former.address, former.port
                    )
                transport.abort()
            except ConnectionRefusedError:
                return
            except (OSError, TimeoutError):
                log.debug("former_owner_unreachable", host=former.host_id)
            await asyncio.sleep(min(left_s, FORMER_OWNER_EVERY_S))

    async def confirm(self, entities: Set[int]) -> None:
        """Raises StoreUnavailable unless the directory says that this host owns these entities."""
        host, _ = self._serving()
        try:
            confirmed = await self._ask_directory() is not None
        except Superseded:
            # The next heartbeat finds it, too, and has this process end.
            confirmed = False
        if not (confirmed and all(host.ownership.owns(entity) for entity in entities)):
            raise StoreUnavailable("another host may own what was to be written")

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
        self.host.lease.confirm(self.clock.steady_s())
        address = reachable_address(config.bind)
        registered = await self._directory.register(config.host_id, address, self.port, now, config.node)
        self._incarnation = registered.incarnation
        # An earlier process of this name may live, or have left an append in flight.
        await self._fence([] if registered.former is None else [registered.former])
        await self._directory.free(config.host_id, self._incarnation)
        self.host.outages.commit_succeeded(now)

    async def _beat(self) -> None:
        asked_at_s = self.clock.steady_s()
        owned = await self._ask_directory()
        if owned is not None:
            host, _ = self._serving()
            self._released.add_unconfirmed(host.ownership.excluded - owned.excluded)
            await self._acquire_again(self._released.returned(owned, host.ownership, asked_at_s))

    async def _ask_directory(self) -> Owned | None:
        """A heartbeat: drop what is lost, and extend the lease. None: something was acquired meanwhile."""
        host, directory = self._serving()
        # As they are before the call: what is acquired during it is not in its answer.
        own = host.ownership
        slots, dedicated, excluded = own.slots, own.dedicated, own.excluded
        now, asked_at_s, acquired = self.clock.now_ms(), self.clock.steady_s(), self._acquired
        owned = await directory.heartbeat(self.config.host_id, self._incarnation, now, self._load_report())
        if acquired != self._acquired:
            # The answer may be older than that, and name as lost what was lost before and is acquired again.
            return None
        lost_slots, lost_entities = (
            slots - owned.slots,
            (dedicated - owned.entities) | (owned.excluded - excluded),
        )
        if lost_slots or lost_entities:
            log.warning("ownership_lost", host=self.config.host_id, slots=len(lost_slots), entities=len(lost_entities))
            host.lose(lost_slots, lost_entities)
            self._released.add((), lost_entities)
            # The lease begins once they are dropped: a check in progress of what is reserved must not use their states.
            host.between_commits(partial(host.lease.confirm, asked_at_s))
        else:
            host.lease.confirm(asked_at_s)
        return owned

    async def _acquire_again(self, returned: Returned) -> None:
        """Acquire again what the directory still assigns to this host, and no other host has acquired in time."""
        if returned.slots or returned.entities:
            log.warning("acquired_again", host=self.config.host_id, slots=len(returned.slots))
            # From nobody: the directory names this host. What another one acquires at this moment stays with that one.
            again = Assignment(slots=tuple(returned.slots), entities=tuple(returned.entities))
            await self._acquire(again, Revoked())
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
