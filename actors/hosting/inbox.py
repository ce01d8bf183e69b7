"""What waits at a host: clients' orders, and auctions whose time has come."""

from collections import Counter, deque
from collections.abc import Callable

from actors.hosting.entity.orders import Order, TickDue

# With everything that waits in one batch, all bidders would wait for the same commit, and gateway, host and database
# for each other in turn. Smaller batches let them work at the same time; a long queue still makes large ones.
BATCH_SOFT_MAX = 128
# Auctions whose time has come, in one batch: where thousands end at the same time, bids have their turn in between.
BATCH_TICKS_MAX = 200


class Inbox:
    """Two queues: bids need not wait for thousands of ends, and ends not for thousands of bids.

    Clients' orders are bounded by the host, in all and for each auction; auctions' times by how many there are.
    """

    def __init__(self, batch_max: int) -> None:
        self._batch_max = batch_max
        self._orders: deque[Order] = deque()
        self._ticks: deque[Order] = deque()
        self._mailboxes: Counter[int] = Counter()
        # Orders taken since the last look, by auction: see actors/hosting/vitals.py.
        self.taken: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._orders)

    def __bool__(self) -> bool:
        return bool(self._orders or self._ticks)

    def waiting_for(self, auction: int) -> int:
        """How many orders wait for this auction."""
        return self._mailboxes[auction]

    def add(self, order: Order) -> None:
        """Queue an order."""
        self._mailboxes[order.request.auction] += 1
        self._orders.append(order)

    def add_tick(self, auction: int) -> None:
        """Queue an auction whose time has come."""
        self._ticks.append(Order(TickDue(auction), 0, None))

    def put_back(self, order: Order) -> None:
        """To the front, where it was taken from."""
        if isinstance(order.request, TickDue):
            self._ticks.appendleft(order)
            return
        self._mailboxes[order.request.auction] += 1
        self._orders.appendleft(order)

    def take(self) -> list[Order]:
        """The orders of the next batch."""
        ticks, orders = self._ticks, self._orders
        batch = [ticks.popleft() for _ in range(min(len(ticks), BATCH_TICKS_MAX))]
        for _ in range(min(len(orders), self._batch_max, max(BATCH_SOFT_MAX, len(orders) // 2))):
            order = orders.popleft()
            batch.append(order)
            auction = order.request.auction
            self.taken[auction] += 1
            left = self._mailboxes[auction] - 1
            if left:
                self._mailboxes[auction] = left
            else:
                del self._mailboxes[auction]
        return batch

    def remove(self, is_gone: Callable[[int], bool]) -> list[Order]:
        """Take out the orders of such auctions, in their order."""
        gone = [order for order in self._orders if is_gone(order.request.auction)]
        if gone:
            self._orders = deque(order for order in self._orders if not is_gone(order.request.auction))
            self._mailboxes = Counter(order.request.auction for order in self._orders)
        return gone
