"""A host keeps many auctions: it merges what all gateways sent since its last commit into one append.

One task decides and commits, batch after batch; nothing is decided on state that may be rolled back. Activation,
snapshots, the read model and the heartbeat run beside it and never touch a keeper's state.
"""

import asyncio
from collections import Counter, deque
from dataclasses import dataclass
from typing import Protocol

import structlog

from actors.batch import Batch, Order, Reply, TickDue
from actors.clock import Clock
from actors.holds import Holds, NoHolds
from actors.keeper import BrokenChain, Keeper
from actors.messages import (
    INSUFFICIENT_FUNDS,
    MOVED,
    NOT_FOUND,
    OVERLOADED,
    UNAVAILABLE,
    Bid,
    Buy,
    Create,
    Refused,
    Request,
)
from actors.news import Newsroom
from actors.outages import Outages
from actors.records import Records
from actors.timers import Timers
from domain.auction.codec import UnreadableEvent, command_key
from persistence.directory import slot_of
from persistence.errors import KeyTaken, StaleSequence, StoreError
from persistence.event_log import EventLog, KeyedRow
from persistence.snapshots import SnapshotStore

log = structlog.get_logger()

ATTEMPTS_MAX = 4
# With everything that waits in one batch, all bidders would wait for the same commit, and gateway, host and database
# for each other in turn. Smaller batches let them work at the same time; a long queue still makes large ones.
BATCH_SOFT_MAX = 128
# What waits to be loaded while others are goes with the next page; so a restarted host reads thousands in few queries.
LOADERS_MAX = 3
LOAD_PAGE = 250
RETRY_AFTER_MS = 500
TICK_RETRY_MS = 250
# After a fault of ours, which will hardly have gone away.
FAULT_RETRY_MS = 5_000
PASSIVATE_EVERY_MS = 5_000


@dataclass(frozen=True)
class HostLimits:
    """Bounds of one host; see docs/operations.md."""

    inbox_max: int = 20_000
    mailbox_max: int = 4_000
    batch_max: int = 2_000
    snapshot_every_events: int = 1_000
    passivate_after_ms: int = 300_000


class Announcing(Protocol):
    """Where news goes; it may lose them."""

    def publish(self, channel: str, message: bytes) -> None: ...


class Host:
    """Plain class; ``actors.host_process`` gives it a stream server, a directory entry and a Ray actor around it."""

    def __init__(
        self, event_log: EventLog, snapshots: SnapshotStore, announcer: Announcing, *, slots_total: int,
        limits: HostLimits, clock: Clock, holds: Holds | None = None,
    ) -> None:  # fmt: skip
        self.clock = clock
        self.limits = limits
        self.outages = Outages()
        self.keepers: dict[int, Keeper] = {}
        self.timers = Timers(clock, self._time_has_come)
        self.newsroom = Newsroom(announcer)
        self.records = Records(event_log, snapshots, limits.snapshot_every_events)
        self._holds: Holds = holds or NoHolds()
        self._log = event_log
        self._slots_total = slots_total
        self._epoch = 1
        self._inbox: deque[Order] = deque()
        self._mailboxes: Counter[int] = Counter()
        self._parked: dict[int, list[Order]] = {}
        self._parked_orders = 0
        self._to_load: deque[int] = deque()
        self._loaders = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._draining = False
        self._chores_due = False
        self._passivated_at = clock.now_ms()
        self.slots: frozenset[int] = frozenset()

    # -- the way in

    def submit(self, request: Request, request_id: int, reply: Reply) -> None:
        """Queue a request; it is answered exactly once. Full: ``overloaded`` at once."""
        auction = request.auction
        if self._draining:
            reply(request_id, self._unavailable())
        elif slot_of(auction, self._slots_total) not in self.slots:
            reply(request_id, Refused(MOVED, self.clock.now_ms(), retry_after_ms=RETRY_AFTER_MS))
        elif self._full(auction):
            reply(request_id, Refused(OVERLOADED, self.clock.now_ms(), retry_after_ms=RETRY_AFTER_MS))
        else:
            self._enqueue(Order(request, request_id, reply))

    def _full(self, auction: int) -> bool:
        waiting = len(self._inbox) + self._parked_orders
        return waiting >= self.limits.inbox_max or self._mailboxes[auction] >= self.limits.mailbox_max

    def _enqueue(self, order: Order) -> None:
        self._mailboxes[order.request.auction] += 1
        self._inbox.append(order)
        self._wake.set()

    def _time_has_come(self, auction: int) -> None:
        self._enqueue(Order(TickDue(auction), 0, None))

    # -- life

    async def prepare(self) -> None:
        """Read what every batch needs to know. Raises StoreUnavailable."""
        self._epoch = await self._log.epoch()
        await self._log.ensure_partitions()

    async def run(self) -> None:
        """Decide and commit until ``drain``; between commits, when nothing is staged, do the chores that are due."""
        while True:
            if not self._inbox and not self._chores_due:
                self._idle.set()
                await self._wake.wait()
            self._idle.clear()
            self._wake.clear()
            if self._chores_due:
                self._chores_due = False
                self._chores(self.clock.now_ms())
            if self._inbox:
                await self._commit_next()

    async def _commit_next(self) -> None:
        batch = Batch(self.clock.now_ms())
        orders = self._take_orders()
        try:
            await self._commit(orders, batch)
        except Exception:
            # A fault of ours, not of a store: no answer of this batch can be trusted.
            log.exception("batch_failed", orders=len(orders))
            self._forget({o.request.auction for o in orders})
            self._give_up(orders)

    def chores_due(self) -> None:
        """Ask for reminders, read model and passivation to be seen to before the next commit."""
        self._chores_due = True
        self._wake.set()

    def _chores(self, now_ms: int) -> None:
        self.newsroom.remind(now_ms)
        self.records.collect_heads()
        if now_ms - self._passivated_at >= PASSIVATE_EVERY_MS:
            self._passivated_at = now_ms
            self._passivate_idle(now_ms - self.limits.passivate_after_ms)

    async def drain(self) -> None:
        """Answer what waits, save what is in memory. Afterwards every request gets ``unavailable``."""
        self._draining = True
        while self._tasks or self._inbox or not self._idle.is_set():
            if self._tasks:
                await asyncio.wait(self._tasks)
            # `run` sets it again when it finds nothing to do: only then is nothing left, or staged.
            self._idle.clear()
            self._wake.set()
            await self._idle.wait()
        self.timers.stop()
        for keeper in self.keepers.values():
            self.records.retire(keeper)
        await self.records.flush()

    def _passivate_idle(self, unused_since_ms: int) -> None:
        """Take out of memory what nobody used lately. Timers stay: the auction is loaded again when it is due."""
        idle = [k for k in self.keepers.values() if k.last_used_ms < unused_since_ms]
        for keeper in idle:
            self.records.retire(keeper)
            del self.keepers[keeper.auction_id]

    def forget_slots(self, slots: frozenset[int]) -> None:
        """Drop what is in memory of these slots: another host may have kept them since."""
        self._forget({keeper.auction_id for keeper in self.keepers.values() if keeper.slot in slots})

    def step_down(self) -> None:
        """Another host keeps these slots now: decide nothing more."""
        self.slots = frozenset()
        self.timers.stop()

    def _take_orders(self) -> list[Order]:
        inbox, mailboxes = self._inbox, self._mailboxes
        size = min(len(inbox), self.limits.batch_max, max(BATCH_SOFT_MAX, len(inbox) // 2))
        orders = [inbox.popleft() for _ in range(size)]
        for order in orders:
            auction = order.request.auction
            left = mailboxes[auction] - 1
            if left:
                mailboxes[auction] = left
            else:
                del mailboxes[auction]
        if inbox:
            self._wake.set()
        return orders

    # -- one commit

    async def _commit(self, orders: list[Order], batch: Batch) -> None:
        found = await self._keys_of_second_attempts(orders)
        for order in await self._covered(orders, batch):
            keeper = self._keeper_for(order)
            if keeper is not None:
                batch.orders.append(order)
                self._stage(order, keeper, batch, found)
        if batch.doubtful:
            await self._resolve_doubts(batch)
        if batch.rows:
            try:
                await self._log.append(batch.rows, self.records.heads_for(batch))
            except (StaleSequence, KeyTaken) as conflict:
                log.warning("append_conflict", conflict=type(conflict).__name__, rows=len(batch.rows))
                return self._decide_again(batch)
            except StoreError as error:
                log.error("append_failed", error=str(error), rows=len(batch.rows))
                return self._outcome_unknown(batch)
            self.outages.works(self.clock.now_ms())
        self._committed(batch)
        return None

    async def _covered(self, orders: list[Order], batch: Batch) -> list[Order]:
        """Hold the funds of all bids of the batch; those that are not covered are answered, the others go on."""
        if isinstance(self._holds, NoHolds):
            return orders
        bids = [(order, order.request) for order in orders if isinstance(order.request, (Bid, Buy))]
        try:
            short = await self._holds.place([request for _, request in bids])
        except StoreError as error:
            log.error("holds_failed", error=str(error))
            batch.orders += [order for order, _ in bids]
            batch.answers += [(order, self._unavailable()) for order, _ in bids]
            return [order for order in orders if not isinstance(order.request, (Bid, Buy))]
        refused = set()
        for index, shortfall in short.items():
            order = bids[index][0]
            refused.add(id(order))
            batch.orders.append(order)
            answer = Refused(
                INSUFFICIENT_FUNDS, batch.now_ms, available=shortfall.available, required=shortfall.required
            )
            batch.answers.append((order, answer))
        return [order for order in orders if id(order) not in refused]

    def _keeper_for(self, order: Order) -> Keeper | None:
        """Who decides this order; None where it waits for its auction to be loaded."""
        request = order.request
        keeper = self.keepers.get(request.auction)
        if keeper is None:
            if not isinstance(request, Create):
                self._park(order)
                return None
            if order.attempts:
                self._park(order)
                return None
            # If it exists after all, the append collides with it and the second attempt loads it.
            keeper = self._empty_keeper(request.auction)
        return keeper

    def _stage(self, order: Order, keeper: Keeper, batch: Batch, found: dict[tuple[int, bytes], KeyedRow]) -> None:
        request = order.request
        try:
            due = keeper.due_at
            if due is not None and due <= batch.now_ms:
                keeper.stage_tick(batch, self.outages.covering(keeper.slot, due, batch.now_ms))
            if isinstance(request, TickDue):
                # It may have rung too early, and rings once: the commit sets it again only where something changed.
                self.timers.set(request.auction, keeper.due_at)
                return
            if found and isinstance(request, (Bid, Buy)):
                known = found.get((request.auction, command_key(request.bidder, request.key)))
                if known is not None:
                    batch.answers.append((order, keeper.known_answer(request, known)))
                    return
            keeper.stage(order, batch)
        except Exception:
            # The keeper is as it was before this order: refusing it harms nobody else.
            log.exception("order_failed", request=type(request).__name__)
            batch.answers.append((order, self._unavailable()))
            if isinstance(request, TickDue):
                self.timers.set(request.auction, batch.now_ms + FAULT_RETRY_MS)
            if keeper.auction is None:
                del self.keepers[request.auction]

    async def _keys_of_second_attempts(self, orders: list[Order]) -> dict[tuple[int, bytes], KeyedRow]:
        """After a conflict look before deciding: the key may be in the log, older than what memory holds."""
        again = [o.request for o in orders if o.attempts and isinstance(o.request, (Bid, Buy))]
        if not again:
            return {}
        try:
            return await self._log.find_keys([(r.auction, command_key(r.bidder, r.key)) for r in again])
        except StoreError:
            return {}

    async def _resolve_doubts(self, batch: Batch) -> None:
        """A refused bid may be a retry of one that the log has but memory has forgotten: then that is the answer.

        An accepted bid can't be such a retry: its maximum stays below what a new bid must offer for ever.
        """
        wanted = [(o.request.auction, command_key(o.request.bidder, o.request.key)) for o, _ in batch.doubtful
                  if isinstance(o.request, (Bid, Buy))]  # fmt: skip
        try:
            found = await self._log.find_keys(wanted)
        except StoreError:
            batch.answers += [(order, self._unavailable()) for order, _ in batch.doubtful]
            return
        for (order, refused), key in zip(batch.doubtful, wanted, strict=True):
            answer = refused
            if key in found and isinstance(order.request, (Bid, Buy)):
                answer = self.keepers[order.request.auction].known_answer(order.request, found[key])
            batch.answers.append((order, answer))

    def _committed(self, batch: Batch) -> None:
        """Reply, then announce."""
        for order, answer in batch.answers:
            order.answer(answer)
        for keeper, staged in batch.touched.items():
            self.newsroom.announce(keeper, staged, batch.now_ms)
            self.timers.set(keeper.auction_id, keeper.due_at)
            self.records.committed(keeper)
        self.newsroom.send()

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
        auctions = {keeper.auction_id for keeper in batch.touched}
        self._forget(auctions)
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
        self._mailboxes[order.request.auction] += 1
        self._inbox.appendleft(order)
        self._wake.set()

    # -- activation

    def _park(self, order: Order) -> None:
        """Let an order wait for its auction to be loaded; the first one starts that."""
        parked = self._parked.setdefault(order.request.auction, [])
        if len(parked) >= self.limits.mailbox_max:
            order.answer(Refused(OVERLOADED, self.clock.now_ms(), retry_after_ms=RETRY_AFTER_MS))
            return
        parked.append(order)
        self._parked_orders += 1
        if len(parked) == 1:
            self._to_load.append(order.request.auction)
            if self._loaders < LOADERS_MAX:
                self._loaders += 1
                task = asyncio.create_task(self._load_waiting())
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _load_waiting(self) -> None:
        """Load what waits, page after page, until nothing does."""
        try:
            while self._to_load:
                await self._load([self._to_load.popleft() for _ in range(min(len(self._to_load), LOAD_PAGE))])
        finally:
            self._loaders -= 1

    async def _load(self, auctions: list[int]) -> None:
        left = {auction: Keeper(auction, slot_of(auction, self._slots_total), self._epoch) for auction in auctions}
        try:
            async for keeper, fault in self.records.load(list(left.values())):
                del left[keeper.auction_id]
                self._loaded(keeper, fault)
        except Exception as error:
            # Of a store, or of ours: what is left of this page is as unknown as before.
            if isinstance(error, StoreError):
                log.warning("activation_failed", auctions=len(left), error=str(error))
            for keeper in left.values():
                self._loaded(keeper, error)

    def _loaded(self, keeper: Keeper, fault: Exception | None) -> None:
        """Put the orders that waited back to the front, or answer them."""
        auction = keeper.auction_id
        parked = self._parked.pop(auction, [])
        self._parked_orders -= len(parked)
        failure = None
        if fault is not None:
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

    def _empty_keeper(self, auction: int) -> Keeper:
        keeper = Keeper(auction, slot_of(auction, self._slots_total), self._epoch)
        return self.keepers.setdefault(auction, keeper)

    def _activated(self, keeper: Keeper) -> None:
        if keeper.auction_id not in self.keepers:
            keeper.last_used_ms = self.clock.now_ms()
            self.keepers[keeper.auction_id] = keeper
            self.records.activated(keeper)
            self.newsroom.stands(keeper)
            self.timers.set(keeper.auction_id, keeper.due_at)

    def _unavailable(self) -> Refused:
        return Refused(UNAVAILABLE, self.clock.now_ms(), retry_after_ms=RETRY_AFTER_MS)
