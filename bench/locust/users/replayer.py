"""Recorded bids, each by its bidder, in recorded order. Every price is compared with what the rules give."""

from collections import OrderedDict

from bench.locust.line import Line
from bench.locust.plan import RecordedLot
from bench.locust.state import now_s
from bench.locust.users.person import Person

WRONG_PRICE = "wrong_price"
# Sockets that one replayer keeps open.
LINES_MAX = 40


class Replayer(Person):
    """Lists a recorded auction, sends its bids, each after the answer to the last one, and takes the next auction."""

    unfinished_max = 1

    def prepare(self) -> None:
        stock = self.load.share_of("stock", self.load.plan.stocks)
        assert stock is not None, "every plan has sellers"
        self._seller = stock.seller
        self._lines: OrderedDict[int, Line] = OrderedDict()

    def operate(self, due_s: float) -> None:
        recorded = self.load.share_of("recorded", self.load.plan.recorded)
        assert recorded is not None, "a recording has auctions"
        state = self.rest("list", due_s, "POST", "/auctions", self._seller.token, recorded.terms)
        if state is None:
            return
        self._bid_all(recorded, state["id"], state["minimum"], state["ends_at"])

    def _bid_all(self, recorded: RecordedLot, auction: str, minimum: int, ends_at: int) -> None:
        lot = self.load.book.learn(auction, minimum, ends_at)
        watcher = self._line(recorded.bids[0][0])
        watcher.follow(lot)
        for (bidder, amount), price in zip(recorded.bids, recorded.prices, strict=True):
            reply = self._line(bidder).bid(lot, amount, now_s())
            if (None if reply is None else reply["price"]) != price:
                self.load.measures.record("ack", "price", 0.0, WRONG_PRICE)
                break
        watcher.unfollow(lot)

    def _line(self, bidder: int) -> Line:
        """The least recently used one is closed when there are too many."""
        line = self._lines.get(bidder)
        if line is None:
            line = self._lines[bidder] = Line(self.load, self.load.plan.bidders[bidder])
            if len(self._lines) > LINES_MAX:
                self._lines.popitem(last=False)[1].close()
        self._lines.move_to_end(bidder)
        return line

    def leave(self) -> None:
        for line in self._lines.values():
            line.close()
