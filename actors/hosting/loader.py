"""Orders whose auction is not in memory wait here while it is loaded, page by page."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

import structlog

from actors.hosting.entity.keeper import Keeper
from actors.hosting.entity.orders import Order
from actors.hosting.records import Records
from persistence.postgres.errors import StoreError

log = structlog.get_logger()

# What waits to be loaded while others are goes with the next page; so a restarted host reads thousands in few queries.
LOADERS_MAX = 3
LOAD_PAGE = 250


class TakesLoaded(Protocol):
    """What is told of every auction that was asked for: its keeper, what was wrong, and the orders that waited."""

    def __call__(self, keeper: Keeper, fault: Exception | None, parked: list[Order]) -> None: ...


class Loader:
    """Loads auctions in the order in which they were first asked for; at most ``LOADERS_MAX`` pages at a time."""

    def __init__(self, records: Records, new_keeper: Callable[[int], Keeper], loaded: TakesLoaded) -> None:
        self._records = records
        self._new_keeper = new_keeper
        self._loaded = loaded
        self._parked: dict[int, list[Order]] = {}
        self._to_load: deque[int] = deque()
        self._loaders = 0
        self.orders_waiting = 0
        self.tasks: set[asyncio.Task[None]] = set()

    def waiting_for(self, auction: int) -> int:
        """How many orders wait for this auction."""
        return len(self._parked.get(auction, ()))

    def park(self, order: Order) -> None:
        """Let an order wait for its auction; the first one has it loaded."""
        auction = order.request.auction
        parked = self._parked.setdefault(auction, [])
        parked.append(order)
        self.orders_waiting += 1
        if len(parked) == 1:
            self._to_load.append(auction)
            if self._loaders < LOADERS_MAX:
                self._loaders += 1
                task = asyncio.create_task(self._load_waiting())
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)

    async def _load_waiting(self) -> None:
        """Load what waits, page after page, until nothing does."""
        try:
            while self._to_load:
                await self._load([self._to_load.popleft() for _ in range(min(len(self._to_load), LOAD_PAGE))])
        finally:
            self._loaders -= 1

    async def _load(self, auctions: list[int]) -> None:
        left = {auction: self._new_keeper(auction) for auction in auctions}
        try:
            async for keeper, fault in self._records.load(list(left.values())):
                del left[keeper.auction_id]
                self._hand_over(keeper, fault)
        except Exception as error:
            # Of a store, or of ours: what is left of this page is as unknown as before.
            if isinstance(error, StoreError):
                log.warning("activation_failed", auctions=len(left), error=str(error))
            for keeper in left.values():
                self._hand_over(keeper, error)

    def _hand_over(self, keeper: Keeper, fault: Exception | None) -> None:
        parked = self._parked.pop(keeper.auction_id, [])
        self.orders_waiting -= len(parked)
        self._loaded(keeper, fault, parked)
