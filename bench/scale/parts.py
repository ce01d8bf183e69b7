"""The parts of the simulated engine, with its queues and batches: log, hosts, gateways and their broadcasts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.scale.constants import Constants
from bench.scale.cores import Clock, Done, Thread

US = 1e-6
# As in actors/hosting/limits.py, persistence/redis/announcements.py, actors/hosting/updates.py and gateway/fanout/.
BATCH_MAX = 2_000
CHANNEL_GROUPS = 16
PUBLISH_EVERY_S = 0.005
FLUSH_EVERY_S, FLUSH_HOT_EVERY_S, FLUSH_CROWD_EVERY_S = 0.02, 0.05, 0.2
HOT_EVENTS = 3
BROADCAST_SHARE = 0.67
WATCHERS_PER_TURN = 64


@dataclass(slots=True)
class Bid:
    """One bid, by the time at which it was due."""

    due_s: float
    auction: int
    gateway: int


class Log:
    """The disk of PostgreSQL: one flush at a time; commits that wait meanwhile share the next one."""

    def __init__(self, clock: Clock, flush_s: float) -> None:
        self._clock = clock
        self._flush_s = flush_s
        self._waiting: list[Done] = []
        self._flushing = False

    def flush(self, done: Done) -> None:
        """Call `done` when a flush that began from now on has ended."""
        self._waiting.append(done)
        if not self._flushing:
            self._begin()

    def _begin(self) -> None:
        batch, self._waiting, self._flushing = self._waiting, [], True

        def flushed() -> None:
            self._flushing = False
            for done in batch:
                done()
            if self._waiting and not self._flushing:
                self._begin()

        self._clock.after(self._flush_s, flushed)


class Host:
    """Decides what has arrived in one batch, commits it, and takes the next batch only then."""

    def __init__(
        self, thread: Thread, backend: Thread, log: Log, costs: Constants,
        committed: Callable[[list[Bid]], None], publish: Callable[[list[Bid]], None],
    ) -> None:  # fmt: skip
        self._thread, self._backend, self._log, self._costs = thread, backend, log, costs
        self._committed, self._publish = committed, publish
        self._waiting: list[Bid] = []
        self._busy = False
        self._unpublished: list[Bid] = []
        self._published_s = -PUBLISH_EVERY_S
        self._publishes_later = False

    def receive(self, bid: Bid) -> None:
        """A bid from a gateway."""
        self._waiting.append(bid)
        if not self._busy:
            self._next_batch()

    def _next_batch(self) -> None:
        batch, self._waiting = self._waiting[:BATCH_MAX], self._waiting[BATCH_MAX:]
        self._busy = True
        costs, size = self._costs, len(batch)

        def decided() -> None:
            self._backend.add((costs.postgres_us_per_commit + size * costs.postgres_us_per_bid) * US, written)

        def written() -> None:
            self._log.flush(committed)

        def committed() -> None:
            self._busy = False
            self._committed(batch)
            self._announce(batch)
            if self._waiting:
                self._next_batch()

        self._thread.add((costs.host_us_per_batch + size * costs.host_us_per_bid) * US, decided)

    def _announce(self, batch: list[Bid]) -> None:
        self._unpublished += batch
        if self._publishes_later:
            return
        clock = self._thread.node.clock
        wait_s = self._published_s + PUBLISH_EVERY_S - clock.now_s
        if wait_s <= 0:
            self._flush()
        else:
            self._publishes_later = True
            clock.after(wait_s, self._flush)

    def _flush(self) -> None:
        self._publishes_later = False
        self._published_s = self._thread.node.clock.now_s
        bids, self._unpublished = self._unpublished, []
        self._publish(bids)


class Channel:
    """One auction at one gateway: broadcasts to its watchers, in turns, with pauses between them."""

    def __init__(self, thread: Thread, watchers: int, frame_us: float, delivered: Callable[[int, Bid], None]) -> None:
        self._thread = thread
        self._frame_us = frame_us
        self._delivered = delivered
        # Watchers of each turn, and up to which of the bids they have been notified.
        whole, rest = divmod(watchers, WATCHERS_PER_TURN)
        self._turns = [WATCHERS_PER_TURN] * whole + [rest] * (rest > 0)
        self._known = [0] * len(self._turns)
        self._bids: list[Bid] = []
        self._sent_up_to = 0
        self._flushed_s = -FLUSH_CROWD_EVERY_S
        self._flush_every_s = FLUSH_EVERY_S
        self._flushing = False
        self.frames = 0

    def update(self, bids: Sequence[Bid]) -> None:
        """The state after these bids."""
        if not self._turns:
            return
        self._bids += bids
        if not self._flushing:
            self._schedule()

    def _schedule(self) -> None:
        self._flushing = True
        clock = self._thread.node.clock
        clock.after(max(0.0, self._flushed_s + self._flush_every_s - clock.now_s), self._flush)

    def _flush(self) -> None:
        hot = len(self._bids) - self._sent_up_to >= HOT_EVENTS
        self._flush_every_s = FLUSH_HOT_EVERY_S if hot else FLUSH_EVERY_S
        self._flushed_s = self._thread.node.clock.now_s
        self._turn(0)

    def _turn(self, number: int) -> None:
        watchers = self._turns[number]

        def done() -> None:
            self.frames += watchers
            # A state that has changed since the broadcast began is sent as it is now.
            for bid in self._bids[self._known[number] :]:
                self._delivered(watchers, bid)
            self._known[number] = len(self._bids)
            if number + 1 < len(self._turns):
                self._turn(number + 1)
            else:
                self._broadcast_done()

        self._thread.add(watchers * self._frame_us * US, done)

    def _broadcast_done(self) -> None:
        work_s = sum(self._turns) * self._frame_us * US
        self._flush_every_s = max(self._flush_every_s, min(work_s / BROADCAST_SHARE, FLUSH_CROWD_EVERY_S))
        self._forget_delivered()
        self._sent_up_to = self._known[0]
        self._flushing = False
        if self._known[0] < len(self._bids):
            self._schedule()

    def _forget_delivered(self) -> None:
        """Bids that all turns have are not needed any more."""
        oldest = min(self._known)
        del self._bids[:oldest]
        self._known = [known - oldest for known in self._known]
