"""A host with everything around it: stores, stream server, directory entry, heartbeat. Runs in any event loop."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

import asyncpg
import msgspec
import structlog

from actors.clock import Clock
from actors.hosting.host import Host
from actors.hosting.limits import HostLimits
from actors.hosting.ownership.places import Taken
from actors.hosting.ownership.releases import Releases, Returned
from actors.hosting.vitals import encode_vitals
from actors.stream.connection import HostStream
from actors.workers.market import refresh_jobs
from persistence.jobs.store import JobStore
from persistence.ledger.bid_holds import BidHolds
from persistence.log.event_log import EventLog
from persistence.log.snapshots import SnapshotStore
from persistence.placement.directory import Claimed, Directory, DueAuction, Superseded
from persistence.postgres.errors import StoreError
from persistence.redis.announcements import DIRECTORY_CHANNEL, Announcer

log = structlog.get_logger()

HEARTBEAT_S = 0.5
CHORES_S = 1.0
PARTITIONS_EVERY_MS = 6 * 3600 * 1000
STORE_RETRY_S = 0.25
# Jobs that one flush adds; the rest comes with the next.
JOBS_MAX = 1_000
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
    node: str = ""
    # Whether bids have to be covered by their bidders' balances.
    holds: bool = True
    limits: HostLimits = field(default_factory=HostLimits)


class HostProcess:
    """Start, serve, stop. Raises nothing once it serves: faults of stores are waited out."""

    def __init__(self, config: HostConfig, on_superseded: Callable[[], None] = lambda: None) -> None:
        self.config = config
        self._on_superseded = on_superseded
        self.clock = Clock()
        self.host: Host | None = None
        self.port: int | None = None
        self._log = EventLog(config.database_url, writer=config.host_id)
        self._holds = BidHolds(config.database_url) if config.holds else None
        self._announcer = Announcer(config.redis_url, config.limits.news_waiting_max)
        self._incarnation = 0
        self._server: asyncio.Server | None = None
        self._streams: set[HostStream] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._directory: Directory | None = None
        # Auctions that have changed, for which the catalog is not up to date.
        self._moved: set[int] = set()
        self._released = Releases()

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
            holds=self._holds,
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

    def _vitals(self) -> bytes:
        assert self.host is not None
        vitals = msgspec.structs.replace(
            self.host.vitals(),
            streams=len(self._streams),
            unread_bytes=sum(stream.unread_bytes for stream in self._streams),
            news_waiting=self._announcer.waiting,
            news_dropped=self._announcer.dropped,
        )
        return encode_vitals(vitals)

    async def take(self, places: Taken) -> None:
        """Keep these from now on. Raises StoreUnavailable, Superseded.

        Where they were not released, their former keepers' last appends are ended first: none lands behind our back.
        """
        host, directory = self._serving()
        config = self.config
        # Were this to fail half-way, the directory would have us as a keeper that does not keep: see `_beat`.
        self._released.add(places.slots, places.auctions)
        if places.slots:
            claimed = await directory.claim(config.host_id, self._incarnation, places.slots)
            await self._end_appends_of(claimed, places)
            now = self.clock.now_ms()
            for slot, until in claimed.kept_until.items():
                host.outages.slot_taken(slot, places.released_at or until, now)
            host.take_slots(places.slots, claimed.elsewhere)
            alarms = await directory.due(places.slots)
            self._set_alarms(due for due in alarms if due.auction not in claimed.elsewhere)
        if places.auctions:
            slots = {auction: host.places.slot_of(auction) for auction in places.auctions}
            await directory.claim_auctions(config.host_id, self._incarnation, slots)
            self._serve_alone(places)
            self._set_alarms(await directory.due_auctions(places.auctions))
        self._released.difference_update(places.slots, places.auctions)
        self._announce_directory()
        log.info("taken", host=config.host_id, slots=len(places.slots), auctions=len(places.auctions))

    async def take_back(self, places: Taken) -> None:
        """Keep these auctions, which had a host of their own, with their slots again. Raises as ``take`` does."""
        host, directory = self._serving()
        claimed = await directory.reclaim(self.config.host_id, self._incarnation, places.auctions)
        await self._end_appends_of(claimed, places)
        now = self.clock.now_ms()
        for auction, until in claimed.kept_until.items():
            host.outages.auction_taken(auction, places.released_at or until, now)
        host.take_back(places.auctions)
        self._set_alarms(await directory.due_auctions(places.auctions))
        self._announce_directory()
        log.info("taken_back", host=self.config.host_id, auctions=len(places.auctions))

    async def release(self, slots: Sequence[int], auctions: Sequence[int]) -> int:
        """Keep these no more; the time (ms) from when on another may. It has to take them soon: else they come back."""
        host, _ = self._serving()
        self._released.add(slots, auctions)
        return await host.release(slots, auctions)

    def _serving(self) -> tuple[Host, Directory]:
        assert self.host is not None
        assert self._directory is not None
        return self.host, self._directory

    def _serve_alone(self, places: Taken) -> None:
        assert self.host is not None
        now = self.clock.now_ms()
        for auction in places.auctions:
            self.host.outages.auction_taken(auction, places.released_at or now, now)
        self.host.take_auctions(places.auctions)

    async def _end_appends_of(self, claimed: Claimed, places: Taken) -> None:
        if places.released_at is None and claimed.keepers:
            await self._log.end_writers(sorted(claimed.keepers))

    def _set_alarms(self, alarms: Iterable[DueAuction]) -> None:
        assert self.host is not None
        for due in alarms:
            self.host.timers.set(due.auction, due.due_at)

    def _announce_directory(self) -> None:
        self._announcer.publish(DIRECTORY_CHANNEL, self.config.host_id.encode())

    async def _register(self) -> None:
        assert self.host is not None
        assert self._directory is not None
        assert self.port is not None
        config, now = self.config, self.clock.now_ms()
        address = reachable_address(config.bind)
        self._incarnation = await self._directory.register(config.host_id, address, self.port, now, config.node)
        # A process of this name that is gone may have left an append under way.
        await self._log.end_writers([config.host_id])
        self.host.outages.works(now)

    async def _beat(self) -> None:
        host, directory = self._serving()
        before = host.places
        slots, alone, now = before.slots, before.dedicated, self.clock.now_ms()
        kept = await directory.heartbeat(self.config.host_id, self._incarnation, now, self._vitals())
        lost_slots, lost_auctions = slots - kept.slots, (alone - kept.auctions) | (kept.elsewhere - before.elsewhere)
        if lost_slots or lost_auctions:
            log.warning("lost", host=self.config.host_id, slots=len(lost_slots), auctions=len(lost_auctions))
            host.lose(lost_slots, lost_auctions)
            self._released.add((), lost_auctions)
        host.confirmed(now)
        self._released.doubt(before.elsewhere - kept.elsewhere)
        await self._take_again(self._released.returned(kept, before))

    async def _take_again(self, returned: Returned) -> None:
        """Keep what we let go of, or were to take, and what is still ours in the directory: nobody else will."""
        if returned.slots or returned.auctions:
            log.warning("kept_again", host=self.config.host_id, slots=len(returned.slots))
            await self.take(Taken(slots=tuple(returned.slots), auctions=tuple(returned.auctions)))
        if returned.elsewhere:
            log.warning("kept_again", host=self.config.host_id, auctions=len(returned.elsewhere))
            self._released.add((), returned.elsewhere)
            await self.take_back(Taken(auctions=tuple(returned.elsewhere)))
            self._released.difference_update((), returned.elsewhere)

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
                await self._add_jobs()
            except StoreError as error:
                log.warning("flush_failed", error=str(error))

    async def _add_jobs(self) -> None:
        """Have workers bring the catalog up to date where auctions have changed. Raises StoreUnavailable."""
        assert self.host is not None
        self._moved |= self.host.records.take_moved()
        some = sorted(self._moved)[:JOBS_MAX]
        if some:
            await JobStore(self._log.pool).add_again(refresh_jobs(some))
            self._moved.difference_update(some)


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
