"""A host keeps many auctions: it merges what all gateways sent since its last commit into one append.

One task decides and commits, batch after batch; nothing is decided on state that may be rolled back. Activation,
snapshots, the read model and the heartbeat run beside it and never touch a keeper's state.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from functools import partial

import structlog

from actors.clock import Clock
from actors.hosting.commit.batch import Batch
from actors.hosting.commit.doubts import keys_of_second_attempts, resolve_doubts
from actors.hosting.commit.holds import Holds
from actors.hosting.commit.lease import Lease
from actors.hosting.commit.reservations import Reservations
from actors.hosting.entity.keeper import BrokenChain, Keeper
from actors.hosting.entity.orders import Order, Reply, TickDue
from actors.hosting.entity.overlay import Overlay
from actors.hosting.inbox import Inbox
from actors.hosting.limits import HostLimits
from actors.hosting.loader import Loader
from actors.hosting.news import Newsroom, Publisher
from actors.hosting.ownership.outages import Outages
from actors.hosting.ownership.places import Places
from actors.hosting.records import Records
from actors.hosting.timers import Timers
from actors.hosting.vitals import Pulse, Vitals, hottest_of
from actors.stream.messages import MOVED, Create, Refused, Request
from domain.errors import NOT_FOUND, OVERLOADED, UNAVAILABLE
from domain.log.codec import UnreadableEvent
from persistence.log.event_log import EventLog, KeyedRow
from persistence.log.snapshots import SnapshotStore
from persistence.postgres.errors import KeyTaken, StaleSequence, StoreError

log = structlog.get_logger()

ATTEMPTS_MAX = 4
RETRY_AFTER_MS = 500
TICK_RETRY_MS = 250
# After a fault of ours, which will hardly have gone away.
FAULT_RETRY_MS = 5_000
PASSIVATE_EVERY_MS = 5_000
# Chores come by once a second, so what was not let go of is tried again then.
HOLDS_RETRY_MS = 900
# A host that has just lost an auction may still have placed a hold there, after the new keeper had looked.
CHECK_HOLDS_EVERY_MS = 60_000


class Host:
    """Plain class; ``actors.runtime.host_process`` gives it a stream server, a directory entry and a Ray actor around
    it.
    """

    def __init__(
        self, event_log: EventLog, snapshots: SnapshotStore, announcer: Publisher, *, slots_total: int,
        limits: HostLimits, clock: Clock, holds: Holds | None = None,
    ) -> None:  # fmt: skip
        self.clock = clock
        self.limits = limits
        self.places = Places(slots_total)
        self.outages = Outages()
        self.pulse = Pulse()
        self.keepers: dict[int, Keeper] = {}
        self.timers = Timers(clock, self._time_has_come)
        self.newsroom = Newsroom(announcer)
        self.records = Records(event_log, snapshots, limits.snapshot_every_events)
        self._reservations, self._catching_up_at = Reservations(holds), 0
        self._log = event_log
        self._epoch = 1
        self._inbox = Inbox(limits.batch_max)
        self._loader = Loader(self.records, self._new_keeper, self._loaded)
        # Steps between two commits: each is taken once, before the next.
        self._between: deque[Callable[[], None]] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._draining = False
        self._passivated_at = self._holds_checked_at = clock.now_ms()
        self._lease = Lease()

    # -- the way in

    def submit(self, request: Request, request_id: int, reply: Reply) -> None:
        """Queue a request; it is answered exactly once. Full: ``overloaded`` at once."""
        auction = request.auction
        if self._draining:
            reply(request_id, self._unavailable())
        elif not self.places.keep(auction):
            reply(request_id, self._moved())
        elif self._full(auction):
            self.pulse.refused_overloaded += 1
            reply(request_id, Refused(OVERLOADED, self.clock.now_ms(), retry_after_ms=RETRY_AFTER_MS))
        else:
            self._enqueue(Order(request, request_id, reply))

    def _full(self, auction: int) -> bool:
        waiting = len(self._inbox) + self._loader.orders_waiting
        mailbox = self._inbox.waiting_for(auction) + self._loader.waiting_for(auction)
        return waiting >= self.limits.inbox_max or mailbox >= self.limits.mailbox_max

    def _enqueue(self, order: Order) -> None:
        self._inbox.add(order)
        self._wake.set()

    def _time_has_come(self, auction: int) -> None:
        if self.places.keep(auction):
            self._inbox.add_tick(auction)
            self._wake.set()

    # -- life

    async def prepare(self) -> None:
        """Read what every batch needs to know. Raises StoreUnavailable."""
        self._epoch = await self._log.epoch()
        await self._log.ensure_partitions()

    async def run(self) -> None:
        """Decide and commit until ``drain``; between commits do what else is due."""
        while True:
            if not (self._inbox or self._between):
                self._idle.set()
                await self._wake.wait()
            self._idle.clear()
            self._wake.clear()
            while self._between:
                self._between.popleft()()
            if self._inbox:
                await self._commit_next()
            if self._reservations.unchecked or (self._reservations.behind and not self._inbox):
                await self._catch_up()

    async def _commit_next(self) -> None:
        batch = Batch(self.clock.now_ms(), self._unavailable())
        orders = self._inbox.take()
        try:
            await self._commit(orders, batch)
        except Exception:
            # A fault of ours, not of a store: no answer of this batch can be trusted.
            log.exception("batch_failed", orders=len(orders))
            self._forget({o.request.auction for o in orders})
            self._give_up(orders)

    async def _catch_up(self) -> None:
        """Release what no batch takes along, and look at what is reserved. Only between two commits."""
        now = self.clock.now_ms()
        if self._draining or now < self._catching_up_at:
            return
        try:
            await self._reservations.check_some(self.keepers, lambda: self._lease.runs(self.clock.now_ms()))
            if not self._inbox:
                await self._reservations.catch_up()
        except StoreError as error:
            log.warning("holds_not_let_go", error=str(error))
            self._catching_up_at = now + HOLDS_RETRY_MS

    def between_commits(self, step: Callable[[], None]) -> None:
        """Have a step taken soon, between two commits."""
        self._between.append(step)
        self._wake.set()

    def chores_due(self) -> None:
        """Ask for reminders, read model and passivation to be seen to before the next commit."""
        self.between_commits(lambda: self._chores(self.clock.now_ms()))

    def _chores(self, now_ms: int) -> None:
        self.newsroom.remind(now_ms)
        self.records.collect_heads()
        if now_ms - self._passivated_at >= PASSIVATE_EVERY_MS:
            self._passivated_at = now_ms
            self._passivate_idle(now_ms - self.limits.passivate_after_ms)
        if now_ms - self._holds_checked_at >= CHECK_HOLDS_EVERY_MS:
            self._holds_checked_at = now_ms
            for keeper in self.keepers.values():
                self._reservations.check(keeper)

    async def drain(self) -> None:
        """Answer what waits, save what is in memory. Afterwards every request gets ``unavailable``."""
        self._draining = True
        loading = self._loader.tasks
        while loading or self._inbox or not self._idle.is_set():
            if loading:
                await asyncio.wait(loading)
            # `run` sets it again when it finds nothing to do: only then is nothing left.
            self._idle.clear()
            self._wake.set()
            await self._idle.wait()
        self.timers.stop()
        for keeper in self.keepers.values():
            self.records.retire(keeper)
        await self._reservations.close()
        await self.records.flush()

    def _passivate_idle(self, unused_since_ms: int) -> None:
        """Take out of memory what nobody used lately. Timers stay: the auction is loaded again when it is due."""
        idle = [k for k in self.keepers.values() if k.last_used_ms < unused_since_ms]
        for keeper in idle:
            self.records.retire(keeper)
            del self.keepers[keeper.auction_id]

    # -- what it keeps

    def take_slots(self, slots: Iterable[int], elsewhere: Iterable[int]) -> None:
        """Keep these slots, but for these auctions. What memory has of them is dropped."""
        self._forget_unkept()
        self.places.add(slots, elsewhere)

    def take_auctions(self, auctions: Iterable[int]) -> None:
        """Keep these auctions alone, as their own host."""
        self._forget_unkept()
        self.places.dedicated |= frozenset(auctions)

    def take_back(self, auctions: Iterable[int]) -> None:
        """Keep these auctions with their slots again."""
        self._forget_unkept()
        self.places.take_back(auctions)

    async def release(self, slots: Iterable[int], auctions: Iterable[int]) -> int:
        """Keep these no more. Once this returns (the time, ms), none is in a batch or in memory, all is saved.

        From the start of it their requests are answered ``moved``; what is being committed is finished first.
        """
        self.places.remove(slots)
        self.places.let_go(auctions)
        self._turn_away_unkept()
        retired = asyncio.get_running_loop().create_future()
        self.between_commits(partial(self._retire_unkept, retired))
        at_ms: int = await retired
        try:
            await self.records.flush()
        except StoreError as error:
            # Snapshots only save time: the log has everything.
            log.warning("flush_failed", error=str(error))
        return at_ms

    def lose(self, slots: Iterable[int], auctions: Iterable[int]) -> None:
        """Somebody has taken us for dead. What we would still write collides with the new keeper's rows."""
        self.places.remove(slots)
        self.places.let_go(auctions)
        self._turn_away_unkept()
        self.between_commits(self._forget_unkept)

    def step_down(self) -> None:
        """Another host keeps all this now: decide nothing more."""
        self.places.clear()
        self.timers.stop()

    def confirmed(self, now_ms: int) -> None:
        """The directory has just said what this host keeps."""
        self._lease.confirmed_at = now_ms

    def vitals(self) -> Vitals:
        """How this host is doing; to be called at each heartbeat."""
        rates = self.pulse.rates(self._inbox.taken, self.clock.now_ms())
        self._inbox.taken = Counter()
        alone, keepers = self.places.dedicated, self.keepers
        return self.pulse.vitals(
            orders_rate=round(sum(rates.values()), 1),
            inbox=len(self._inbox),
            inbox_max=self.limits.inbox_max,
            loading=self._loader.orders_waiting,
            auctions=len(keepers),
            timers=len(self.timers),
            hottest=hottest_of({a: r for a, r in rates.items() if a in keepers and keepers[a].may_be_dedicated}),
            wishes=[keeper.auction_id for keeper in keepers.values() if keeper.wants_own_host],
            finished=[a for a in alone if a in keepers and keepers[a].finished],
        )

    def _turn_away_unkept(self) -> None:
        """Answer ``moved`` to what waits for auctions that we keep no more, before anything newer is answered so."""
        for order in self._inbox.remove(lambda auction: not self.places.keep(auction)):
            order.answer(self._moved())

    def _retire_unkept(self, retired: "asyncio.Future[int]") -> None:
        for keeper in self._unkept():
            self.records.retire(keeper)
            self._drop(keeper)
        if not retired.done():
            retired.set_result(self.clock.now_ms())

    def _forget_unkept(self) -> None:
        for keeper in self._unkept():
            self.records.forget(keeper)
            self._drop(keeper)

    def _unkept(self) -> list[Keeper]:
        return [keeper for keeper in self.keepers.values() if not self.places.keep(keeper.auction_id)]

    def _drop(self, keeper: Keeper) -> None:
        del self.keepers[keeper.auction_id]
        self.newsroom.forget(keeper)
        self.timers.set(keeper.auction_id, None)
        self.pulse.forget(keeper.auction_id)

    # -- one commit

    async def _commit(self, orders: list[Order], batch: Batch) -> None:
        self._decide(orders, batch, await keys_of_second_attempts(self._log, orders))
        await self._reservations.reserve(batch)
        batch.close()
        if batch.doubtful:
            await resolve_doubts(self._log, batch, self.keepers)
        self._reservations.verify(batch)
        rows = batch.rows()
        if rows:
            began = time.perf_counter()
            try:
                await self._log.append(rows, self.records.heads_for(batch))
            except (StaleSequence, KeyTaken) as conflict:
                self.pulse.conflicts += 1
                log.warning("append_conflict", conflict=type(conflict).__name__, rows=len(rows))
                return self._decide_again(batch)
            except StoreError as error:
                log.error("append_failed", error=str(error), rows=len(rows))
                return self._outcome_unknown(batch)
            # What the batch was decided at, not what it is now: an end moved by an outage must lie after that outage.
            self.outages.works(batch.now_ms)
            self.pulse.committed(1000 * (time.perf_counter() - began))
        self._lease.hold_back(batch)
        self._committed(batch)
        return None

    def _decide(self, orders: list[Order], batch: Batch, found: dict[tuple[int, bytes], KeyedRow]) -> None:
        """Decide the orders whose auctions are in memory, after what time alone does there."""
        for order in orders:
            keeper = self._keeper_for(order)
            if keeper is None:
                continue
            batch.orders.append(order)
            overlay = batch.overlays.get(keeper.auction_id)
            if overlay is None:
                overlay = batch.overlays[keeper.auction_id] = self._overlay(keeper, batch, found)
            if isinstance(order.request, TickDue):
                # It may have rung too early, and rings once: the commit sets it again only where something changed.
                due = batch.now_ms + FAULT_RETRY_MS if overlay.stuck else overlay.due_at
                self.timers.set(keeper.auction_id, due)
            else:
                keeper.last_used_ms = batch.now_ms
                overlay.decide(order)

    def _overlay(self, keeper: Keeper, batch: Batch, found: dict[tuple[int, bytes], KeyedRow]) -> Overlay:
        overlay = Overlay(keeper, batch.now_ms, batch.unavailable, found)
        due = keeper.due_at
        if due is not None and due <= batch.now_ms:
            overlay.tick(self.outages.covering(keeper.slot, due, batch.now_ms, keeper.auction_id))
        return overlay

    def _keeper_for(self, order: Order) -> Keeper | None:
        """Who decides this order; None where it waits for its auction to be loaded."""
        request = order.request
        keeper = self.keepers.get(request.auction)
        if keeper is not None:
            return keeper
        if not self.places.keep(request.auction):
            order.answer(self._moved())
            return None
        if isinstance(request, Create) and not order.attempts:
            # If it exists after all, the append collides with it and the second attempt loads it.
            return self._empty_keeper(request.auction)
        self._loader.park(order)
        return None

    def _committed(self, batch: Batch) -> None:
        """Install, reply, then announce."""
        touched = batch.touched
        events = [overlay.events for overlay in touched]
        for overlay in touched:
            overlay.install()
        self._reservations.release(batch)
        for order, answer in batch.answers:
            order.answer(answer)
        for overlay, happened in zip(touched, events, strict=True):
            keeper = overlay.keeper
            self.newsroom.announce(keeper, happened, batch.now_ms)
            self.timers.set(keeper.auction_id, keeper.due_at)
            self.records.committed(overlay)
        self.newsroom.send()
        self._drop_empty(batch)

    def _drop_empty(self, batch: Batch) -> None:
        """Forget auctions that were to be listed, and were not, by a fault of ours."""
        for auction, overlay in batch.overlays.items():
            if overlay.keeper.auction is None:
                self.keepers.pop(auction, None)

    def _decide_again(self, batch: Batch) -> None:
        """Nothing was written: reload what was touched and put its orders back at the front."""
        auctions = self._forget_touched(batch)
        again = [o for o in batch.orders if o.request.auction in auctions]
        self._give_up([o for o in again if o.attempts >= ATTEMPTS_MAX])
        for order in reversed([o for o in again if o.attempts < ATTEMPTS_MAX]):
            order.attempts += 1
            self._put_back(order)

    def _outcome_unknown(self, batch: Batch) -> None:
        """Nobody knows whether the rows landed: forget the state, and say so to everyone who asked for it."""
        self.outages.fails()
        auctions = self._forget_touched(batch)
        self._give_up([o for o in batch.orders if o.request.auction in auctions])

    def _forget_touched(self, batch: Batch) -> set[int]:
        """Drop what the batch changed in memory; the answers of all other auctions stand."""
        auctions = {overlay.auction_id for overlay in batch.touched}
        self._reservations.release(batch, forgotten=auctions)
        self._forget(auctions)
        self._drop_empty(batch)
        self._lease.hold_back(batch)
        for order, answer in batch.answers:
            if order.request.auction not in auctions:
                order.answer(answer)
        return auctions

    def _forget(self, auctions: set[int]) -> None:
        for auction in auctions:
            keeper = self.keepers.pop(auction, None)
            if keeper is not None:
                self.records.forget(keeper)
                self.newsroom.forget(keeper)
                # Its timer was lost with it, or may be wrong: loading it again sets the right one.
                self.timers.set(auction, self.clock.now_ms() + TICK_RETRY_MS)

    def _give_up(self, orders: list[Order]) -> None:
        for order in orders:
            order.answer(self._unavailable())

    def _put_back(self, order: Order) -> None:
        self._inbox.put_back(order)
        self._wake.set()

    # -- activation

    def _loaded(self, keeper: Keeper, fault: Exception | None, parked: list[Order]) -> None:
        """Put the orders that waited back to the front, or answer them."""
        auction = keeper.auction_id
        failure = None
        if not self.places.keep(auction):
            failure = self._moved()
        elif fault is not None:
            self._load_failed(auction, fault)
            failure = self._unavailable()
        elif keeper.auction is None:
            failure = Refused(NOT_FOUND, self.clock.now_ms())
        else:
            self._activated(keeper)
        for order in reversed(parked):
            if failure is None:
                self._put_back(order)
            elif isinstance(order.request, Create) and failure.code == NOT_FOUND:
                self._empty_keeper(auction)
                self._put_back(order)
            else:
                order.answer(failure)

    def _load_failed(self, auction: int, fault: Exception) -> None:
        """Say why, and try again later where that may help: its timer may be lost."""
        if isinstance(fault, StoreError):
            self.timers.set(auction, self.clock.now_ms() + TICK_RETRY_MS)
        elif isinstance(fault, (BrokenChain, UnreadableEvent)):
            log.error("auction_unreadable", auction=auction, error=str(fault), next_step="ece verify")
        else:
            log.error("activation_failed", auction=auction, exc_info=fault)
            self.timers.set(auction, self.clock.now_ms() + FAULT_RETRY_MS)

    def _new_keeper(self, auction: int) -> Keeper:
        placement = "dedicated" if auction in self.places.dedicated else "shared"
        return Keeper(auction, self.places.slot_of(auction), self._epoch, placement)

    def _empty_keeper(self, auction: int) -> Keeper:
        return self.keepers.setdefault(auction, self._new_keeper(auction))

    def _activated(self, keeper: Keeper) -> None:
        if keeper.auction_id not in self.keepers:
            keeper.last_used_ms = self.clock.now_ms()
            self.keepers[keeper.auction_id] = keeper
            self.records.activated(keeper)
            self._reservations.check(keeper)
            self.newsroom.stands(keeper)
            self.timers.set(keeper.auction_id, keeper.due_at)

    def _moved(self) -> Refused:
        return Refused(MOVED, self.clock.now_ms(), retry_after_ms=RETRY_AFTER_MS)

    def _unavailable(self) -> Refused:
        return Refused(UNAVAILABLE, self.clock.now_ms(), retry_after_ms=RETRY_AFTER_MS)
