"""What waits at a host: clients' orders, and entities whose time has come."""

from collections import Counter, deque
from collections.abc import Callable

from actors.hosting.entity.orders import DueNow, Order

# With everything that waits in one batch, all bidders would wait for the same commit, and gateway, host and database
# for each other in turn. Smaller batches let them work at the same time; a long queue still makes large ones.
BATCH_SOFT_MAX = 128
# Entities whose time has come, in one batch: where thousands end at the same time, bids have their turn in between.
BATCH_DUE_MAX = 200


class Inbox:
    """Two queues: bids need not wait for thousands of ends, and ends not for thousands of bids.

    Clients' orders are bounded by the host, in all and for each entity; due times by how many entities there are.
    """

    def __init__(self, batch_max: int) -> None:
        self._batch_max = batch_max
        self._orders: deque[Order] = deque()
        self._due: deque[Order] = deque()
        self._mailboxes: Counter[int] = Counter()
        # Orders taken since the last look, by entity: see actors/hosting/load_report.py.
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
        """Queue an entity whose time has come."""
        self._due.append(Order(DueNow(entity), 0, None))

    def put_back(self, order: Order) -> None:
        """To the front, where it was taken from."""
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
        """Take out the orders of such entities, in their order."""
        gone = [order for order in self._orders if is_gone(order.request.entity)]
        if gone:
            self._orders = deque(order for order in self._orders if not is_gone(order.request.entity))
            self._mailboxes = Counter(order.request.entity for order in self._orders)
        return gone
