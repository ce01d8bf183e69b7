"""Loads entities page by page; orders for them wait here meanwhile."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

import structlog

from actors.hosting.entity.entity import BrokenChain, Entity
from actors.hosting.entity.orders import Order
from actors.hosting.records import Records
from domain.kinds import UnknownKind
from domain.log.codec import Unreadable
from persistence.postgres.errors import StoreError

log = structlog.get_logger()

# Entities that are requested while others load form the next page, so a restarted host needs few queries.
LOADERS_MAX = 3
RETRY_MS = 250
# After a fault of ours, which will hardly have gone away.
FAULT_RETRY_MS = 5_000
LOAD_PAGE = 250


class OnLoaded(Protocol):
    """Called for each entity: the entity, the error if it could not be loaded, and the orders that waited for it."""

    def __call__(self, entity: Entity, fault: Exception | None, parked: list[Order]) -> None: ...


class Loader:
    """Loads entities in the order of the first requests; at most ``LOADERS_MAX`` pages at a time."""

    def __init__(self, records: Records, new_entity: Callable[[Order], Entity], loaded: OnLoaded) -> None:
        self._records = records
        self._new_entity = new_entity
        self._loaded = loaded
        self._parked: dict[int, list[Order]] = {}
        self._to_load: deque[Order] = deque()
        self._loaders = 0
        self.orders_waiting = 0
        self.tasks: set[asyncio.Task[None]] = set()

    def waiting_for(self, entity: int) -> int:
        """How many orders wait for this entity."""
        return len(self._parked.get(entity, ()))

    def park(self, order: Order) -> None:
        """Queue an order until its entity is loaded. The first one starts the load."""
        parked = self._parked.setdefault(order.request.entity, [])
        parked.append(order)
        self.orders_waiting += 1
        if len(parked) == 1:
            self._to_load.append(order)
            if self._loaders < LOADERS_MAX:
                self._loaders += 1
                task = asyncio.create_task(self._load_waiting())
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)

    async def _load_waiting(self) -> None:
        """Load page after page until no entity waits."""
        try:
            while self._to_load:
                await self._load([self._to_load.popleft() for _ in range(min(len(self._to_load), LOAD_PAGE))])
        finally:
            self._loaders -= 1

    async def _load(self, orders: list[Order]) -> None:
        left = {order.request.entity: self._new_entity(order) for order in orders}
        try:
            async for entity, fault in self._records.load(list(left.values())):
                del left[entity.id]
                self._hand_over(entity, fault)
        except Exception as error:
            # An error of a store, or an internal one: the rest of this page is not loaded.
            if isinstance(error, StoreError):
                log.warning("activation_failed", entities=len(left), error=str(error))
            for entity in left.values():
                self._hand_over(entity, error)

    def _hand_over(self, entity: Entity, fault: Exception | None) -> None:
        parked = self._parked.pop(entity.id, [])
        self.orders_waiting -= len(parked)
        self._loaded(entity, fault, parked)


def retry_after_fault(entity_id: int, fault: Exception) -> int | None:
    """Log why an entity could not be loaded; the time (ms) after which to try again, or None where that won't help."""
    if isinstance(fault, StoreError):
        return RETRY_MS
    if isinstance(fault, (BrokenChain, Unreadable, UnknownKind)):
        log.error("entity_unreadable", entity=entity_id, error=str(fault), next_step="ece verify")
        return None
    log.error("activation_failed", entity=entity_id, exc_info=fault)
    return FAULT_RETRY_MS
