"""The delivery of one update of an entity to all its watchers."""

import time
from itertools import islice

from gateway.fanout.channels import Channel, Subscription
from gateway.wire.codec import Codec
from gateway.wire.frames import EventFrame


class Broadcast:
    """An update for all watchers at its start: these events, or the state as it is at the time of delivery."""

    def __init__(
        self, channel: Channel, events: list[EventFrame], to: list[Subscription], per_turn: int, *, final: bool
    ) -> None:
        self._channel = channel
        self._events = events
        self._per_turn = per_turn
        self._encoded: dict[tuple[Codec, int], bytes] = {}
        self._final = final
        # Processor time of this thread, so that load by other processes does not slow down broadcasts.
        self._from_s = time.thread_time()
        self._left = len(to)
        self._to = iter(to)

    def deliver_some(self) -> bool:
        """Notify the next few watchers; returns whether others are left."""
        for subscription in islice(self._to, self._per_turn):
            self._left -= 1
            if subscription.active:
                self._deliver(subscription)
        return self._left > 0

    def work_s(self) -> float:
        """The processor time since its start (s), with what else ran in between."""
        return time.thread_time() - self._from_s

    def _deliver(self, subscription: Subscription) -> None:
        if self._events:
            self._deliver_events(subscription)
        elif subscription.position < (self._channel.epoch, self._channel.seq):
            # The last watchers of a long broadcast get what has changed since its start.
            subscription.position = (self._channel.epoch, self._channel.seq)
            subscription.deliver(self._channel.newest(subscription.watcher.codec))
        if self._final:
            # The final state waits for nobody.
            subscription.catch_up()

    def _deliver_events(self, subscription: Subscription) -> None:
        """The events after the subscription's position, encoded once for all subscriptions at that position."""
        codec, events = subscription.watcher.codec, self._events
        known = 0
        while known < len(events) and (events[known].epoch, events[known].seq) <= subscription.position:
            known += 1
        if known < len(events):
            data = self._encoded.get((codec, known))
            if data is None:
                data = self._encoded[codec, known] = b"".join(map(codec.frame, events[known:]))
            subscription.deliver(data)
