"""A host owns many entities: it merges what all gateways sent since its last commit into one append.

One task decides and commits, batch after batch; nothing is decided on state that may be rolled back. Activation,
snapshots, the read model and the heartbeat run beside it and never touch an entity's state.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from functools import partial

import structlog

from actors.clock import Clock
from actors.hosting.commit.batch import Batch
from actors.hosting.commit.copy_locks import CopyLocks
from actors.hosting.commit.duplicates import keys_of_second_attempts, resolve_duplicates
from actors.hosting.commit.holds import Holds
from actors.hosting.commit.lease import Lease, withhold_refusals
from actors.hosting.commit.reservations import Plan, Reservations
from actors.hosting.entity.entity import Entity
from actors.hosting.entity.orders import DueNow, Order, Reply
from actors.hosting.entity.overlay import Overlay
from actors.hosting.inbox import Inbox
from actors.hosting.limits import HostLimits
from actors.hosting.load_report import LoadMeter, LoadReport, hottest_of
from actors.hosting.loader import FAULT_RETRY_MS, RETRY_MS, Loader, retry_after_fault
from actors.hosting.ownership.outages import Outages
from actors.hosting.ownership.ownership import Ownership
from actors.hosting.records import Records
from actors.hosting.timers import Timers
from actors.hosting.updates import Publisher, Updates
from actors.stream.messages import MOVED, Open, Refused, Request
from domain.errors import NOT_FOUND, OVERLOADED, UNAVAILABLE
from domain.kinds import is_known
from persistence.log.event_log import EventLog, KeyedRow
from persistence.log.snapshots import SnapshotStore
from persistence.postgres.errors import KeyTaken, StaleSequence, StoreError

log = structlog.get_logger()

ATTEMPTS_MAX = 4
RETRY_LATER = {"retry_after_ms": 500}
PASSIVATE_EVERY_MS = 5_000
# Maintenance runs once a second; it retries releases that failed.
HOLDS_RETRY_MS = 900
# A host that has just lost an entity may have reserved funds for it after the new owner's check.
CHECK_HOLDS_EVERY_MS = 60_000


class Host:
    """Plain class; ``actors.runtime.host_process`` adds a stream server, a directory entry and a Ray actor."""

    def __init__(
        self, event_log: EventLog, snapshots: SnapshotStore, publisher: Publisher, *, slots_total: int,
        limits: HostLimits, clock: Clock, holds: Holds | None = None, copy_locks: CopyLocks | None = None,
        summarised: Callable[[Entity], None] = lambda _: None,
    ) -> None:  # fmt: skip
        self.clock = clock
        self.limits = limits
        self.ownership = Ownership(slots_total)
        self.outages = Outages()
        self.meter = LoadMeter()
        self.entities: dict[int, Entity] = {}
        self.timers = Timers(clock, self._on_due)
        self.updates = Updates(publisher, clock)
        self.records = Records(event_log, snapshots, limits.snapshot_every_events, summarised)
        self._wake = asyncio.Event()
        self.lease = Lease(clock.steady_s)
        self._reservations = Reservations(holds, copy_locks, self._wake.set, self.lease)
        self._catching_up_at = 0
        self._log = event_log
        self._epoch = 1
        self._inbox = Inbox(limits.batch_max)
        self._loader = Loader(self.records, self._new_entity, self._loaded)
        # Steps that run between two commits, once each.
        self._between: deque[Callable[[], None]] = deque()
        self._idle = asyncio.Event()
        self._draining = False
        self._passivated_at = self._holds_checked_at = clock.now_ms()

    # -- requests

    def submit(self, request: Request, request_id: int, reply: Reply) -> None:
        """Queue a request; it is answered exactly once. If the queue is full: ``overloaded``, immediately."""
        if self._draining:
            reply(request_id, self._unavailable())
        elif not self.ownership.owns(request.entity):
            reply(request_id, self._moved())
        elif not is_known(request.kind):
            reply(request_id, Refused(NOT_FOUND, self.clock.now_ms()))
        elif self._full(request.entity):
            self.meter.refused_overloaded += 1
            reply(request_id, Refused(OVERLOADED, self.clock.now_ms(), RETRY_LATER))
        else:
            self._enqueue(Order(request, request_id, reply))

    def _full(self, entity: int) -> bool:
        if len(self._inbox) + self._loader.orders_waiting >= self.limits.inbox_max:
            return True
        return self._inbox.waiting_for(entity) + self._loader.waiting_for(entity) >= self.limits.mailbox_max

    def _enqueue(self, order: Order) -> None:
        self._inbox.add(order)
        self._wake.set()

    def _on_due(self, entity: int) -> None:
        if self.ownership.owns(entity):
            self._inbox.add_due(entity)
            self._wake.set()

    # -- life

    async def prepare(self) -> None:
        """Read the cluster's epoch, and make partitions of the log. Raises StoreUnavailable."""
        self._epoch = await self._log.epoch()
        await self._log.ensure_partitions()

    async def run(self) -> None:
        """Decide and commit until ``drain``; run queued steps between commits."""
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
                await asyncio.sleep(0)  # sends the answers before the next batch is decided
            if self._reservations.unchecked or (self._reservations.releases_due and not self._inbox):
                await self._catch_up()

    async def _commit_next(self) -> None:
        batch = Batch(self.clock.now_ms(), self._unavailable(), self.lease.runs())
        orders = self._inbox.take()
        try:
            await self._commit(orders, batch)
        except Exception:
            # An internal error, not one of a store: no answer of this batch can be trusted.
            log.exception("batch_failed", orders=len(orders))
            self._forget({o.request.entity for o in orders})
            self._give_up(orders)

    async def _catch_up(self) -> None:
        """Release funds, and check reservations. Only between two commits."""
        now = self.clock.now_ms()
        if self._draining or now < self._catching_up_at:
            return
        try:
            await self._reservations.check_some(self.entities, now)
            if not self._inbox:
                await self._reservations.catch_up()
        except StoreError as error:
            log.warning("holds_not_released", error=str(error))
            self._catching_up_at = now + HOLDS_RETRY_MS

    def between_commits(self, step: Callable[[], None]) -> None:
        """Queue a step that runs between two commits."""
        self._between.append(step)
        self._wake.set()

    def maintain(self) -> None:
        """Queue maintenance before the next commit: repeat updates, collect summaries, passivate."""
        self.between_commits(lambda: self._maintain(self.clock.now_ms()))

    def _maintain(self, now_ms: int) -> None:
        self.updates.repeat()
        self.records.collect_summaries()
        if now_ms - self._passivated_at >= PASSIVATE_EVERY_MS:
            self._passivated_at = now_ms
            self._passivate_idle(now_ms - self.limits.passivate_after_ms)
        if now_ms - self._holds_checked_at >= CHECK_HOLDS_EVERY_MS:
            self._holds_checked_at = now_ms
            for entity in self.entities.values():
                self._reservations.check(entity)

    async def drain(self) -> None:
        """Answer all waiting requests, and save what is in memory. Later requests get ``unavailable``."""
        self._draining = True
        loading = self._loader.tasks
        while loading or self._inbox or not self._idle.is_set():
            if loading:
                await asyncio.wait(loading)
            # `run` sets it again when nothing is left to do.
            self._idle.clear()
            self._wake.set()
            await self._idle.wait()
        self.timers.stop()
        self.updates.flush()
        for entity in self.entities.values():
            self.records.retire(entity)
        await self._reservations.close()
        await self.records.flush()

    def _passivate_idle(self, unused_since_ms: int) -> None:
        """Remove idle entities from memory. Timers stay: an entity is loaded again when it is due."""
        for entity in [one for one in self.entities.values() if one.last_used_ms < unused_since_ms]:
            self.records.retire(entity)
            del self.entities[entity.id]

    # -- ownership

    def acquire_slots(self, slots: Iterable[int], excluded: Iterable[int]) -> None:
        """Acquire these slots, but for the excluded entities. Entities of them in memory are dropped."""
        self._forget_not_owned()
        self.ownership.add(slots, excluded)

    def acquire_dedicated(self, entities: Iterable[int]) -> None:
        """Acquire these entities as their dedicated host."""
        self._forget_not_owned()
        self.ownership.dedicated |= frozenset(entities)

    def reacquire(self, entities: Iterable[int]) -> None:
        """Acquire these entities, which had a dedicated host, with their slots again."""
        self._forget_not_owned()
        self.ownership.reacquire(entities)

    async def hand_off(self, slots: Iterable[int], entities: Iterable[int]) -> int:
        """Hand off these. Returns the time (ms) from which none is in a batch or in memory, and all is saved.

        From the start, requests for them are answered ``moved``; a commit in flight is finished first.
        """
        self.ownership.remove(slots)
        self.ownership.hand_off(entities)
        self._reject_not_owned()
        retired = asyncio.get_running_loop().create_future()
        self.between_commits(partial(self._retire_not_owned, retired))
        at_ms: int = await retired
        try:
            await self.records.flush()
        except StoreError as error:
            # Snapshots only save time: the log has everything.
            log.warning("flush_failed", error=str(error))
        return at_ms

    def lose(self, slots: Iterable[int], entities: Iterable[int]) -> None:
        """Drop these, which another host owns. Later appends for them collide with the new owner's rows."""
        self.ownership.remove(slots)
        self.ownership.hand_off(entities)
        self._reject_not_owned()
        self.between_commits(self._forget_not_owned)

    def step_down(self) -> None:
        """Drop everything: another incarnation has registered."""
        self.ownership.clear()
        self.timers.stop()

    def load_report(self) -> LoadReport:
        """The load report; to be called at each heartbeat."""
        rates = self.meter.rates(self._inbox.taken, self.clock.now_ms())
        self._inbox.taken = Counter()
        dedicated, entities = self.ownership.dedicated, self.entities
        return self.meter.report(
            orders_rate=round(sum(rates.values()), 1),
            inbox=len(self._inbox),
            inbox_max=self.limits.inbox_max,
            loading=self._loader.orders_waiting,
            entities=len(entities),
            timers=len(self.timers),
            hottest=hottest_of({e: r for e, r in rates.items() if e in entities and entities[e].may_be_dedicated}),
            dedicated_wanted=[entity.id for entity in entities.values() if entity.wants_dedicated_host],
            ended=[e for e in dedicated if e in entities and entities[e].ended],
        )

    def _reject_not_owned(self) -> None:
        """Answer ``moved`` to waiting orders of entities that are not owned, before later ones are answered so."""
        for order in self._inbox.remove(lambda entity: not self.ownership.owns(entity)):
            order.answer(self._moved())

    def _retire_not_owned(self, retired: "asyncio.Future[int]") -> None:
        self.updates.flush()
        for entity in self._not_owned():
            self.records.retire(entity)
            self._drop(entity)
        if not retired.done():
            retired.set_result(self.clock.now_ms())

    def _forget_not_owned(self) -> None:
        for entity in self._not_owned():
            self.records.forget(entity)
            self._drop(entity)
        self._reservations.forget_unless(self.ownership.owns)

    def _not_owned(self) -> list[Entity]:
        return [entity for entity in self.entities.values() if not self.ownership.owns(entity.id)]

    def _drop(self, entity: Entity) -> None:
        del self.entities[entity.id]
        self.updates.forget(entity)
        self.timers.set(entity.id, None)
        self.meter.forget(entity.id)

    # -- one commit

    async def _commit(self, orders: list[Order], batch: Batch) -> None:
        self._decide(orders, batch, await keys_of_second_attempts(self._log, orders))
        await self._reservations.lock_copies(batch)
        plan = self._reservations.plan(batch)
        if plan is not None:
            batch.encode()
            if await self._write(batch, plan):
                return
            self._reservations.plan_failed(plan)
        # Some balance is too small: the ledger says which, and those decisions are dropped before the next append.
        await self._reservations.reserve(batch)
        await self._write(batch)

    async def _write(self, batch: Batch, plan: Plan | None = None) -> bool:
        """Append the batch and answer it. False: the plan can't be reserved, and nothing was written."""
        batch.close()
        if batch.maybe_duplicates:
            await resolve_duplicates(self._log, batch)
        self._reservations.verify(batch)
        rows = batch.rows()
        if rows:
            began = time.perf_counter()
            reserves = None if plan is None else plan.arrays
            try:
                if not await self._log.append(rows, self.records.summaries_for(batch), reserves):
                    return False
            except (StaleSequence, KeyTaken) as conflict:
                self.meter.conflicts += 1
                log.warning("append_conflict", conflict=type(conflict).__name__, rows=len(rows))
                self._decide_again(batch)
                return True
            except StoreError as error:
                log.error("append_failed", error=str(error), rows=len(rows))
                self._outcome_unknown(batch)
                return True
            if plan is not None:
                self._reservations.plan_committed(plan)
            # The batch's time, not the present one: an end that an outage moved must lie after that outage.
            self.outages.commit_succeeded(batch.now_ms)
            self.meter.committed(1000 * (time.perf_counter() - began))
        withhold_refusals(batch)
        self._committed(batch)
        return True

    def _decide(self, orders: list[Order], batch: Batch, found: dict[tuple[int, bytes], KeyedRow]) -> None:
        """Decide the orders whose entities are in memory, after the ticks that are due."""
        for order in orders:
            entity = self._entity_for(order)
            if entity is None:
                continue
            batch.orders.append(order)
            overlay = batch.overlays.get(entity.id)
            if overlay is None:
                overlay = batch.overlays[entity.id] = self._overlay(entity, batch, found)
            if isinstance(order.request, DueNow):
                # A timer fires once, perhaps too early, and the commit sets it only for entities that changed.
                due = batch.now_ms + FAULT_RETRY_MS if overlay.stuck else overlay.due_at
                self.timers.set(entity.id, due)
            else:
                entity.last_used_ms = batch.now_ms
                overlay.decide(order)

    def _overlay(self, entity: Entity, batch: Batch, found: dict[tuple[int, bytes], KeyedRow]) -> Overlay:
        overlay = Overlay(entity, batch.now_ms, batch.unavailable, found)
        due = entity.due_at
        if due is not None and due <= batch.now_ms:
            overlay.tick(self.outages.covering(entity.slot, due, batch.now_ms, entity.id))
        return overlay

    def _entity_for(self, order: Order) -> Entity | None:
        """The entity of this order; None if the order is answered, or waits for the entity to be loaded."""
        request = order.request
        entity = self.entities.get(request.entity)
        if entity is not None:
            return entity
        if not self.ownership.owns(request.entity):
            order.answer(self._moved())
            return None
        if isinstance(request, Open) and not order.attempts:
            # If it exists, the append collides with its rows, and the second attempt loads it.
            return self._empty_entity(order)
        self._loader.park(order)
        return None

    def _committed(self, batch: Batch) -> None:
        """Install the new states, reply, then publish."""
        touched = batch.touched
        events = [overlay.events for overlay in touched]
        for overlay in touched:
            overlay.install()
        self._reservations.release(batch)
        for order, answer in batch.answers:
            order.answer(answer)
        for overlay, happened in zip(touched, events, strict=True):
            entity = overlay.entity
            self.updates.add(entity, happened)
            self.timers.set(entity.id, entity.due_at)
            self.records.committed(overlay)
        self.updates.send()
        self._drop_empty(batch)

    def _drop_empty(self, batch: Batch) -> None:
        """Remove entities that were not opened because of an internal error."""
        for entity_id, overlay in batch.overlays.items():
            if overlay.entity.state is None:
                self.entities.pop(entity_id, None)

    def _decide_again(self, batch: Batch) -> None:
        """Nothing was appended: drop the changed entities, and queue their orders again at the front."""
        entities = self._forget_touched(batch)
        for order in reversed([o for o in batch.orders if o.request.entity in entities]):
            order.attempts += 1
            if order.attempts > ATTEMPTS_MAX:
                order.answer(self._unavailable())
            else:
                self._put_back(order)

    def _outcome_unknown(self, batch: Batch) -> None:
        """It is unknown whether the rows were committed: drop the state, and answer ``unavailable``."""
        self.outages.commit_failed()
        entities = self._forget_touched(batch)
        self._give_up([o for o in batch.orders if o.request.entity in entities])

    def _forget_touched(self, batch: Batch) -> set[int]:
        """Drop the entities that the batch changed; send the answers of all others."""
        entities = {overlay.entity_id for overlay in batch.touched}
        self._reservations.release(batch, forgotten=entities)
        self._forget(entities)
        self._drop_empty(batch)
        withhold_refusals(batch)
        for order, answer in batch.answers:
            if order.request.entity not in entities:
                order.answer(answer)
        return entities

    def _forget(self, ids: set[int]) -> None:
        for entity_id in ids:
            entity = self.entities.pop(entity_id, None)
            if entity is not None:
                self.records.forget(entity)
                self.updates.forget(entity)
                # Its timer may be gone or wrong: loading it again sets the right one.
                self.timers.set(entity_id, self.clock.now_ms() + RETRY_MS)

    def _give_up(self, orders: list[Order]) -> None:
        for order in orders:
            order.answer(self._unavailable())

    def _put_back(self, order: Order) -> None:
        self._inbox.put_back(order)
        self._wake.set()

    # -- activation

    def _loaded(self, entity: Entity, fault: Exception | None, parked: list[Order]) -> None:
        """Queue the orders that waited again at the front, or answer them."""
        entity_id = entity.id
        failure = None
        if not self.ownership.owns(entity_id):
            failure = self._moved()
        elif fault is not None:
            retry_ms = retry_after_fault(entity_id, fault)
            if retry_ms is not None:
                self.timers.set(entity_id, self.clock.now_ms() + retry_ms)
            failure = self._unavailable()
        elif entity.state is None:
            failure = Refused(NOT_FOUND, self.clock.now_ms())
        else:
            self._activated(entity)
        for order in reversed(parked):
            if failure is None:
                self._put_back(order)
            elif isinstance(order.request, Open) and failure.code == NOT_FOUND:
                self._empty_entity(order)
                self._put_back(order)
            else:
                order.answer(failure)

    def _new_entity(self, order: Order) -> Entity:
        request = order.request
        kind, own = None if isinstance(request, DueNow) else request.kind, self.ownership
        placement = "dedicated" if request.entity in own.dedicated else "shared"
        return Entity(request.entity, kind, own.slot_of(request.entity), self._epoch, placement)

    def _empty_entity(self, order: Order) -> Entity:
        return self.entities.setdefault(order.request.entity, self._new_entity(order))

    def _activated(self, entity: Entity) -> None:
        if entity.id not in self.entities:
            entity.last_used_ms = self.clock.now_ms()
            self.entities[entity.id] = entity
            self.records.activated(entity)
            self._reservations.check(entity)
            self.updates.repeat_later(entity)
            self.timers.set(entity.id, entity.due_at)

    def _moved(self) -> Refused:
        return Refused(MOVED, self.clock.now_ms(), RETRY_LATER)

    def _unavailable(self) -> Refused:
        return Refused(UNAVAILABLE, self.clock.now_ms(), RETRY_LATER)
