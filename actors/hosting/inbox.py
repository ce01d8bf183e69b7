"""The orders that wait at a host: those of clients, and entities that are due."""

from collections import Counter, deque
from collections.abc import Callable

from actors.hosting.entity.orders import DueNow, Order

# If all waiting orders were one batch, gateway, host and database would wait for each other in turn. Smaller batches
# let them work at the same time; a long queue still makes large ones.
BATCH_SOFT_MAX = 128
# Due entities in one batch: where thousands end at the same time, bids are decided in between.
BATCH_DUE_MAX = 200


class Inbox:
    """Two queues, so that bids don't wait for thousands of due entities, nor these for thousands of bids.

    The host bounds the orders of clients, in all and for each entity. Due entities are bounded by their number.
    """

    def __init__(self, batch_max: int) -> None:
        self._batch_max = batch_max
        self._orders: deque[Order] = deque()
        self._due: deque[Order] = deque()
        self._mailboxes: Counter[int] = Counter()
        # Orders taken since the last load report, by entity.
        self.taken: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._orders)

    def __bool__(self) -> bool:
        return bool(self._orders or self._due)

    def waiting_for(self, entity: int) -> int:
        """How many orders wait for this entity."""
        return self._mailboxes[entity]

    def add(self, order: Order) -> None:
        """Queue an order."""
        self._mailboxes[order.request.entity] += 1
        self._orders.append(order)

    def add_due(self, entity: int) -> None:
        """Queue an entity that is due."""
        self._due.append(Order(DueNow(entity), 0, None))

    def put_back(self, order: Order) -> None:
        """Queue an order again at the front."""
        if isinstance(order.request, DueNow):
            self._due.appendleft(order)
            return
        self._mailboxes[order.request.entity] += 1
        self._orders.appendleft(order)

    def take(self) -> list[Order]:
        """The orders of the next batch."""
        due, orders = self._due, self._orders
        batch = [due.popleft() for _ in range(min(len(due), BATCH_DUE_MAX))]
        for _ in range(min(len(orders), self._batch_max, max(BATCH_SOFT_MAX, len(orders) // 2))):
            order = orders.popleft()
            batch.append(order)
            entity = order.request.entity
            self.taken[entity] += 1
            left = self._mailboxes[entity] - 1
            if left:
                self._mailboxes[entity] = left
            else:
                del self._mailboxes[entity]
        return batch

    def remove(self, is_gone: Callable[[int], bool]) -> list[Order]:
        """Remove and return the orders of these entities, in order."""
        gone = [order for order in self._orders if is_gone(order.request.entity)]
        if gone:
            self._orders = deque(order for order in self._orders if not is_gone(order.request.entity))
            self._mailboxes = Counter(order.request.entity for order in self._orders)
        return gone
