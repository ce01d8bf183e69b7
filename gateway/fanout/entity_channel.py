"""The channel of one entity. It does not decode the entity's state, and knows only whether it is final."""

import asyncio
from collections import deque
from typing import Any

import msgspec

from actors.stream.messages import PublicEvent, StateAnswer, Update
from gateway.fanout.broadcast import Broadcast
from gateway.fanout.channels import Channel, FanOutCounts, FanOutLimits
from gateway.wire.codec import Codec
from gateway.wire.frames import EventFrame

# The first update is sent immediately, the next ones at these intervals; a hot entity is sent less often.
FLUSH_EVERY_S = 0.02
FLUSH_HOT_EVERY_S = 0.05
# Many watchers are notified less often, but at least this often.
FLUSH_CROWD_EVERY_S = 0.2
HOT_EVENTS = 3
EVENTS_PER_FLUSH_MAX = 8
TAIL_EVENTS_MAX = 512
EARLY_UPDATES_MAX = 64

_decode_map = msgspec.msgpack.Decoder(dict[str, Any]).decode


def _copied(event: PublicEvent[msgspec.Raw]) -> PublicEvent[msgspec.Raw]:
    """What is decoded is a part of its message, and would keep all of it: a page, with updates of other entities."""
    return PublicEvent(event.seq, event.at, event.type, event.data.copy())


class EntityChannel(Channel):
    """The channel of one entity; exists while it has watchers."""

    def __init__(self, name: str, kind: str, entity: int, limits: FanOutLimits, counts: FanOutCounts) -> None:
        super().__init__(name, entity)
        self.kind = kind
        self.entity = entity
        self.loading: asyncio.Task[None] | None = None
        self.catching_up: asyncio.Task[None] | None = None
        self.tail: deque[PublicEvent[msgspec.Raw]] = deque(maxlen=TAIL_EVENTS_MAX)
        self._limits = limits
        self._counts = counts
        # Encoded; it is decoded when it is sent to a client.
        self._state: msgspec.Raw | None = None
        self._final = False
        self._early: deque[Update[msgspec.Raw]] = deque(maxlen=EARLY_UPDATES_MAX)
        self._pending: list[PublicEvent[msgspec.Raw]] = []
        self._must_send_state = False
        self._flushed_at = 0.0
        self._flush_every_s = FLUSH_EVERY_S
        self._flush_handle: asyncio.TimerHandle | asyncio.Handle | None = None
        self._broadcast: Broadcast | None = None
        self._newest: dict[Codec, bytes] = {}
        self._newest_at = (0, -1)

    # -- position

    def apply(self, update: Update[msgspec.Raw]) -> None:
        """Advance to the position of the update; an old update is dropped."""
        if not self.loaded:
            self._early.append(update)
            return
        if (update.epoch, update.seq) <= (self.epoch, self.seq):
            return
        fresh = [_copied(event) for event in update.events if event.seq > self.seq]
        unbroken = update.epoch == self.epoch and len(fresh) == update.seq - self.seq
        if unbroken:
            self._pending += fresh
        else:
            self._must_send_state = True
            self._counts.gaps += 1
            self.tail.clear()
        self.tail.extend(fresh)
        self._set_position(update)
        self._schedule()

    def load(self, answer: StateAnswer) -> None:
        """Set or advance the position to the state that the host answered."""
        update = Update(self.entity, self.kind, answer.epoch, answer.seq, answer.at, answer.state, answer.final)
        if self.loaded:
            self.apply(update)
            return
        self._set_position(update)
        for early in self._early:
            self.apply(early)
        self._early.clear()

    def _set_position(self, update: Update[msgspec.Raw]) -> None:
        self.epoch, self.seq, self.at = update.epoch, update.seq, update.at
        self._state, self._final = update.state.copy(), update.final

    def state(self) -> dict[str, Any]:
        """The entity's public state."""
        assert self._state is not None
        return _decode_map(self._state)

    def newest(self, codec: Codec) -> bytes:
        """The ``state`` frame of the present position, encoded once for each codec."""
        position = (self.epoch, self.seq)
        if self._newest_at != position:
            self._newest_at = position
            self._newest.clear()
        frame = self._newest.get(codec)
        if frame is None:
            frame = self._newest[codec] = codec.frame(self.state_frame())
        return frame

    def recent(self, after_seq: int) -> list[EventFrame]:
        """The newest events after this one that are in memory."""
        return [self._event_frame(event) for event in self.tail if event.seq > after_seq]

    def _event_frame(self, event: PublicEvent[msgspec.Raw]) -> EventFrame:
        return EventFrame(self.name, self.epoch, event.seq, event.type, event.at, _decode_map(event.data))

    def close(self) -> None:
        """It has no watchers any more."""
        if self.catching_up is not None:
            self.catching_up.cancel()

    # -- updates to its watchers

    def _schedule(self) -> None:
        if self._broadcast is not None:
            return  # its end schedules the updates that came meanwhile
        loop = asyncio.get_running_loop()
        if self._flush_handle is not None:
            if not self._final:
                return
            self._flush_handle.cancel()
        wait = self._flushed_at + self._flush_every_s - loop.time()
        at_once = self._final or wait <= 0
        self._flush_handle = loop.call_soon(self._flush) if at_once else loop.call_later(wait, self._flush)

    def _flush(self) -> None:
        """Send pending updates to all watchers; each frame is encoded once for each codec."""
        self._flush_handle = None
        self._flushed_at = asyncio.get_running_loop().time()
        pending, self._pending = self._pending, []
        whole, self._must_send_state = self._must_send_state, False
        hot = whole or len(pending) >= HOT_EVENTS
        self._flush_every_s = FLUSH_HOT_EVERY_S if hot else FLUSH_EVERY_S
        if not self.subscriptions:
            return
        events = []
        # With many watchers of a hot entity, states are sent: a state that changes during the broadcast is encoded
        # again, so the last watchers need not wait for the next broadcast.
        crowd = hot and len(self.subscriptions) > self._limits.crowd_watchers
        if not whole and not crowd and len(pending) <= EVENTS_PER_FLUSH_MAX:
            events = [self._event_frame(event) for event in pending]
        to, per_turn = list(self.subscriptions), self._limits.watchers_per_turn
        self._broadcast = Broadcast(self, events, to, per_turn, final=self._final)
        self._deliver_some()

    def _deliver_some(self) -> None:
        broadcast, self._broadcast = self._broadcast, None
        if broadcast is not None:
            if broadcast.deliver_some():
                self._broadcast = broadcast
                asyncio.get_running_loop().call_soon(self._deliver_some)
                return
            for_work_s = min(broadcast.work_s() / self._limits.broadcast_share_max, FLUSH_CROWD_EVERY_S)
            self._flush_every_s = max(self._flush_every_s, for_work_s)
        if self._pending or self._must_send_state:
            self._schedule()
