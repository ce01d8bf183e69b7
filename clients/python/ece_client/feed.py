"""One subscription: every update in order, exactly once, across reconnects; a whole state where events were missed.

The rules are those of docs/protocol.md, "Rules for clients". What arrives while the subscription is being made or
repaired is held, and applied after the reply.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from ece_client.backoff import Backoff
from ece_client.connection import Connection
from ece_client.errors import Closed, ConnectionLost, EceError, NotAnswered, Refused, UnexpectedAnswer
from ece_client.options import Options
from ece_client.values import Event, Position, Signal, Snapshot, SnapshotReason, Update

HELD_MAX = 4_096
# Repairs that follow each other within this time are delayed more and more.
REPAIRS_APART_S = 1.0
REPAIR_DELAY_MAX_S = 2.0


Subscribe = Callable[[Connection, Mapping[str, Any]], Awaitable[dict[str, Any]]]


@dataclass
class FeedCounts:
    """What one feed has met so far."""

    duplicates: int = 0
    # Events that were missed without a word from the server, and then fetched.
    gaps: int = 0
    resumes: int = 0
    dropped: int = 0


class Feed(AsyncIterator[Update]):
    """Iterate over it with `async for`. It ends with an exception where the server refuses the channel."""

    def __init__(self, channel: str, options: Options, subscribe: Subscribe) -> None:
        self.channel = channel
        self._request = subscribe
        self.counts = FeedCounts()
        self._options = options
        self._position: Position | None = None
        self._updates: deque[Update] = deque()
        self._held: list[dict[str, Any]] = []
        self._arrived = asyncio.Event()
        self._connection: Connection | None = None
        self._syncing = True
        self._slow = False
        self._reason: SnapshotReason = "subscribed"
        self._ended: EceError | None = None
        self._task: asyncio.Task[None] | None = None
        self._backoff = Backoff(max_s=REPAIR_DELAY_MAX_S)
        self._synced_s = float("-inf")

    @property
    def refused(self) -> bool:
        """The server refused the channel: there is no subscription."""
        return isinstance(self._ended, Refused)

    @property
    def position(self) -> Position | None:
        """The last update that was received; None before the first."""
        return self._position

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Update:
        """The next update. Raises StopAsyncIteration after `close`."""
        while not self._updates:
            if isinstance(self._ended, Closed):
                raise StopAsyncIteration
            if self._ended is not None:
                raise self._ended
            if self._slow:
                self._slow = False
                self._start_over("slow_reader")
            self._arrived.clear()
            await self._arrived.wait()
        return self._updates.popleft()

    # --- called by the session ---

    def connected(self, connection: Connection) -> None:
        """There is a connection: subscribe, from the last position on."""
        self._connection = connection
        if self._position is not None:
            self.counts.resumes += 1
        self._sync()

    def receive(self, frame: dict[str, Any]) -> None:
        """An update of this channel from the current connection."""
        if self._ended is not None:
            return
        if self._syncing:
            self._hold(frame)
        else:
            self._take(frame)

    def covered(self, reply: Mapping[str, Any]) -> None:
        """A subscribe of the channel, perhaps of another feed, was answered: what it covers does not come by itself."""
        known = self._position
        if self._syncing or self._slow or self._ended is not None or known is None:
            return
        if (int(reply["epoch"]), int(reply["seq"])) > (known.epoch, known.seq):
            self.counts.gaps += 1
            self._repair("missed")

    def end(self, error: EceError) -> None:
        """No more updates: the reader gets what there is, and then the error (Closed: the iteration ends)."""
        self._ended = self._ended or error
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        self._arrived.set()

    # --- the rules ---

    def _take(self, frame: dict[str, Any]) -> None:
        if self._slow:
            self.counts.dropped += 1
            return
        if not isinstance(frame.get("epoch"), int):
            if len(self._updates) < self._options.updates_max:
                self._deliver(Signal(self.channel, str(frame.get("type")), frame.get("data") or {}))
            return
        assert self._position is not None
        epoch, seq = int(frame["epoch"]), int(frame["seq"])
        known = self._position
        if epoch != known.epoch:
            self._repair("missed")
        elif seq <= known.seq:
            self.counts.duplicates += 1
        elif frame.get("type") == "state":
            self._deliver(Snapshot(self.channel, epoch, seq, frame.get("data") or {}, "server"))
        elif seq == known.seq + 1:
            self._deliver(_event(self.channel, frame))
        else:
            self.counts.gaps += 1
            self._repair("missed")
            self._hold(frame)

    def _deliver(self, update: Update) -> None:
        if not isinstance(update, Signal):
            self._position = Position(update.epoch, update.seq)
        if self._slow:
            self.counts.dropped += 1
        elif len(self._updates) >= self._options.updates_max:
            # The reader is slow: what waits is replaced by one state, which is fetched when it reads again.
            self.counts.dropped += len(self._updates) + 1
            self._updates.clear()
            self._slow = True
            self._arrived.set()
        else:
            self._updates.append(update)
            self._arrived.set()

    def _hold(self, frame: dict[str, Any]) -> None:
        if len(self._held) < HELD_MAX:
            self._held.append(frame)
        # Beyond it they are dropped, which is a gap, and is repaired as one.

    # --- subscribing ---

    def _start_over(self, reason: SnapshotReason) -> None:
        self._position = None
        self._repair(reason)

    def _repair(self, reason: SnapshotReason) -> None:
        if self._reason != "slow_reader":
            self._reason = reason
        self._sync()

    def _sync(self) -> None:
        self._syncing = True
        self._held.clear()
        if self._task is not None:
            self._task.cancel()
        now_s = asyncio.get_running_loop().time()
        if now_s - self._synced_s > REPAIRS_APART_S:
            self._backoff.reset()
            wait_s = 0.0
        else:
            wait_s = self._backoff.next_s()
        self._synced_s = now_s
        if self._connection is not None and self._connection.lost is None:
            self._task = asyncio.create_task(self._subscribe(self._connection, wait_s))

    async def _subscribe(self, connection: Connection, wait_s: float) -> None:
        """Subscribe until it is done, refused, or the connection is lost; then the next one continues."""
        while True:
            await asyncio.sleep(wait_s)
            since = self._position
            fields = {} if since is None else {"since": {"epoch": since.epoch, "seq": since.seq}}
            try:
                reply = await self._request(connection, {"channel": self.channel, **fields})
                if self._is_older(reply):
                    wait_s = self._backoff.next_s()
                    continue
                self._subscribed(reply)
                return
            except ConnectionLost as lost:
                if connection.lost is not None:
                    return
                # A new token was needed, and REST could not be reached: this connection goes on.
                wait_s = self._backoff.next_s(lost.retry_after_s)
            except NotAnswered:
                wait_s = self._backoff.next_s()
            except Refused as refused:
                if not refused.retryable:
                    self.end(refused)
                    return
                wait_s = self._backoff.next_s(refused.retry_after_s)
            except (KeyError, TypeError, ValueError) as broken:
                self.end(UnexpectedAnswer(f"the answer to subscribe of {self.channel}: {broken!r}"))
                return

    def _is_older(self, reply: dict[str, Any]) -> bool:
        """A gateway that is behind the one before: it would take the reader back."""
        known = self._position
        return known is not None and (int(reply["epoch"]), int(reply["seq"])) < (known.epoch, known.seq)

    def _subscribed(self, reply: dict[str, Any]) -> None:
        self._syncing = False
        held, self._held = self._held, []
        if "state" in reply:
            reason: SnapshotReason = "missed" if self._position is not None else self._reason
            self._deliver(Snapshot(self.channel, int(reply["epoch"]), int(reply["seq"]), reply["state"], reason))
        else:
            for missed in reply["events"]:
                self._take(missed)
        self._reason = "missed"
        for position, frame in enumerate(held):
            if self._syncing:
                # A gap in what was held: it is being repaired, the rest is held on.
                self._held.extend(held[position:][: HELD_MAX - len(self._held)])
                return
            self._take(frame)


def _event(channel: str, frame: dict[str, Any]) -> Event:
    return Event(
        channel, int(frame["epoch"]), int(frame["seq"]), str(frame["type"]), int(frame["at"]), frame.get("data") or {}
    )
