"""What the users of one process know of auctions, and when the bids of this process were due: pure, for one thread."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.locust.frames import Update
from bench.locust.plan import Lot

# Of each auction: more than can be on their way to a watcher.
BIDS_MAX = 4_096
LOTS_MAX = 5_000
OVER = frozenset({"closed", "cancelled", "settled"})
State = dict[str, Any]


@dataclass
class KnownLot:
    """An auction as this process knows it. Money in base units, times the server's."""

    id: str
    minimum: int
    ends_at: int
    seq: int = 0
    leader: str | None = None
    open: bool = True
    # The highest amount that a user of this process has sent.
    highest_sent: int = 0

    def learn_state(self, seq: int, state: State) -> None:
        """A complete state, unless a newer one is known."""
        if seq < self.seq:
            return
        self.seq = seq
        self.minimum, self.ends_at, self.leader = state["minimum"], state["ends_at"], state["leader"]
        self.open = state["status"] not in OVER

    def learn_event(self, seq: int, kind: str, data: State) -> None:
        """An event, unless a newer one is known."""
        if seq <= self.seq:
            return
        self.seq = seq
        if kind == "bid":
            self.minimum = data["minimum"]
            if data["outcome"] == "leading":
                self.leader = data["bidder"]
        elif kind == "extended":
            self.ends_at = data["ends_at"]
        elif kind in OVER:
            self.open = False

    def learn_bid(self, username: str, reply: State) -> None:
        """The answer to a bid of this user."""
        if reply["seq"] <= self.seq:
            return
        self.seq, self.minimum = reply["seq"], reply["minimum"]
        self.ends_at = reply["ends_at"] or self.ends_at
        if reply["outcome"] == "leading":
            self.leader = username

    def learn_refusal(self, code: str, details: Mapping[str, Any]) -> None:
        """What a refusal was decided on."""
        self.minimum = max(self.minimum, details.get("minimum") or 0)
        if code == "auction_closed":
            self.open = False


class Book:
    """The auctions of one process, at most LOTS_MAX: those learned first are forgotten first."""

    def __init__(self, lots: list[Lot]) -> None:
        self._lots: OrderedDict[str, KnownLot] = OrderedDict()
        self._due: dict[str, OrderedDict[int, float]] = {}
        for lot in lots:
            self.learn(lot.id, lot.minimum, lot.ends_at)

    def learn(self, auction: str, minimum: int, ends_at: int) -> KnownLot:
        """The auction, added where it was not known."""
        lot = self._lots.get(auction)
        if lot is None:
            lot = self._lots[auction] = KnownLot(auction, minimum, ends_at)
            if len(self._lots) > LOTS_MAX:
                forgotten, _ = self._lots.popitem(last=False)
                self._due.pop(forgotten, None)
        return lot

    def open_lots(self, now_ms: int) -> list[KnownLot]:
        """Auctions that take bids now."""
        return [lot for lot in self._lots.values() if lot.open and lot.ends_at > now_ms]

    def ending(self, now_ms: int, within_ms: int) -> list[KnownLot]:
        """Open auctions that end within that time."""
        return [lot for lot in self.open_lots(now_ms) if lot.ends_at - now_ms <= within_ms]

    def bid_acked(self, auction: str, seq: int, due_s: float) -> None:
        """A bid of this process, which was due then, is the event `seq`."""
        due = self._due.setdefault(auction, OrderedDict())
        due[seq] = due_s
        if len(due) > BIDS_MAX:
            due.popitem(last=False)

    def oldest_due_s(self, auction: str, after_seq: int, to_seq: int) -> float | None:
        """When the oldest bid of this process in that range of events was due; None where there is none."""
        due = self._due.get(auction)
        if not due:
            return None
        for seq in range(max(after_seq + 1, to_seq - BIDS_MAX), to_seq + 1):
            if seq in due:
                return due[seq]
        return None


@dataclass
class Following:
    """One subscription: its position, and what its watcher saw last. The rules for clients of docs/protocol.md."""

    lot: KnownLot
    epoch: int = 0
    seq: int = 0
    open: bool = True
    ends_at: int = 0

    def subscribed(self, reply: State) -> None:
        """The answer to `subscribe`."""
        self.epoch, self.seq = reply["epoch"], reply["seq"]
        if reply["recovered"]:
            for event in reply["events"]:
                self._event(event["seq"], event["type"], event["data"])
        else:
            self._state(reply["seq"], reply["state"])

    def take(self, update: Update) -> bool:
        """An update. False: there is a gap before it, subscribe again. Then nothing has changed."""
        if update.epoch is None or update.seq is None or (update.epoch == self.epoch and update.seq <= self.seq):
            return True
        if update.epoch != self.epoch or (update.type != "state" and update.seq != self.seq + 1):
            return False
        self.seq = update.seq
        if update.type == "state":
            self._state(update.seq, update.data)
        else:
            self._event(update.seq, update.type, update.data)
        return True

    def _state(self, seq: int, state: State) -> None:
        self.lot.learn_state(seq, state)
        self.ends_at = state["ends_at"]
        self.open = state["status"] not in OVER

    def _event(self, seq: int, kind: str, data: State) -> None:
        self.lot.learn_event(seq, kind, data)
        if kind == "listed" or kind == "extended":
            self.ends_at = data["ends_at"]
        if kind in OVER:
            self.open = False
