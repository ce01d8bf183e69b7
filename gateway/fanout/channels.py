"""Channels, subscriptions and channel sources: what sockets can subscribe to.

A frame of type ``state`` replaces everything up to its ``seq``. It is sent instead of events if some were missed, if
there are more of them than a person can follow, and to a watcher that was too slow for them.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from domain.errors import NOT_FOUND
from domain.ids import InvalidId, parse_id
from gateway.identity.tokens import Identity
from gateway.wire.codec import Codec
from gateway.wire.faults import RequestFailed
from gateway.wire.frames import EventFrame, Position


class FanOutLimits(msgspec.Struct, frozen=True):
    """Bounds of notifying watchers, and of resumes; see docs/architecture.md, Bounds."""

    # Share of processor time for the updates of one channel; the rest is for acks and everything else.
    broadcast_share_max: float = 0.67
    # With more watchers than this, a hot entity is sent as states, not as single events.
    crowd_watchers: int = 256
    # Watchers that are notified before other tasks of the event loop run.
    watchers_per_turn: int = 64
    resume_events_max: int = 2_000
    # Resumes that read the log at the same time. They share the database's connections with REST.
    log_reads_max: int = 8


class FanOutCounts:
    """Counters of all channels of a gateway."""

    def __init__(self) -> None:
        # Updates after a gap: watchers get a state instead of events.
        self.gaps = 0
        # Subscribes by what the reply has: `state`, or `events` from `memory` or the `log`.
        self.subscribed: Counter[str] = Counter()
        self.log_reads_in_flight = 0


class Watcher(Protocol):
    """A client that is notified of updates."""

    codec: Codec

    def notify(self, frame: bytes) -> bool:
        """Send an update; False: it was not sent, since too much waits for the client already."""

    def push(self, frame: bytes) -> None:
        """Send a frame that must not be left out."""

    def fell_behind(self, subscription: "Subscription") -> None:
        """Call ``catch_up`` of the subscription as soon as the client can take updates again."""


class Subscription:
    """One watcher of one channel. Frames wait until the reply to the subscribe was sent."""

    __slots__ = ("_early", "active", "behind", "channel", "position", "user", "watcher")

    def __init__(self, watcher: Watcher) -> None:
        self.watcher = watcher
        self.channel: Channel | None = None
        # The user that it was authorised for, if any.
        self.user: int | None = None
        self.active = False
        # It missed an update, and gets no more until it gets the newest state.
        self.behind = False
        # (epoch, seq) of the reply or of the last state sent: this watcher gets only later events.
        self.position = (0, -1)
        self._early: list[bytes] | None = []

    def deliver(self, frame: bytes) -> None:
        """Send an update, or mark the subscription as behind."""
        if self._early is not None:
            self._early.append(frame)
        elif not self.behind and not self.watcher.notify(frame):
            self.behind = True
            self.watcher.fell_behind(self)

    def catch_up(self) -> None:
        """Send the newest state if it missed anything."""
        if self.behind and self.active and self._early is None and self.channel is not None:
            self.behind = False
            self.position = (self.channel.epoch, self.channel.seq)
            self.watcher.push(self.channel.newest(self.watcher.codec))

    def hold(self) -> None:
        """Subscribed again: hold frames until the reply was sent."""
        self._early = []

    def joined(self, channel: "Channel") -> None:
        """Add it to the channel: it gets later updates; the reply has everything before."""
        self.hold()
        self.channel = channel
        self.position = (channel.epoch, channel.seq)
        self.active = True
        self.behind = False
        channel.subscriptions[self] = None

    def start(self) -> None:
        """The reply was sent: send the frames that waited, and all later ones."""
        early, self._early = self._early or [], None
        for frame in early:
            self.deliver(frame)


class PrivateSubscription(Subscription):
    """For a private channel: sends nothing while the token is not valid, and the newest state once it is again."""

    __slots__ = ("_may_receive",)

    def __init__(self, watcher: Watcher, may_receive: Callable[[], bool]) -> None:
        super().__init__(watcher)
        self._may_receive = may_receive

    def deliver(self, frame: bytes) -> None:
        """Send an update, unless the token has expired."""
        if self._may_receive():
            super().deliver(frame)
        else:
            self.behind = True

    def catch_up(self) -> None:
        """Send the newest state if it missed anything, unless the token has expired."""
        if self._may_receive():
            super().catch_up()


class Channel(ABC):
    """A channel of this gateway, at position (epoch, seq) since ``at`` (ms). Not loaded: seq -1."""

    def __init__(self, name: str, key: Hashable) -> None:
        self.name = name
        self.key = key
        self.epoch = 0
        self.seq = -1
        self.at = 0
        # In the order in which they joined, which is that of their updates.
        self.subscriptions: dict[Subscription, None] = {}
        # Subscribes in flight, during which the channel must not be removed.
        self.joining = 0

    @property
    def loaded(self) -> bool:
        """Whether its position is known."""
        return self.seq >= 0

    @property
    def watchers(self) -> int:
        """How many watchers it has in this gateway."""
        return len(self.subscriptions)

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """The state at its position, as on the wire."""

    def state_frame(self) -> EventFrame:
        """A ``state`` frame, which replaces all events up to the channel's position."""
        return EventFrame(self.name, self.epoch, self.seq, "state", self.at, self.state(), self.watchers)

    def newest(self, codec: Codec) -> bytes:
        """The state's frame, encoded."""
        return codec.frame(self.state_frame())

    def broadcast(self, frame: Callable[[Codec], bytes]) -> None:
        """Send a frame to all watchers, encoded once for each codec."""
        encoded: dict[Codec, bytes] = {}
        for subscription in list(self.subscriptions):
            codec = subscription.watcher.codec
            if codec not in encoded:
                encoded[codec] = frame(codec)
            subscription.deliver(encoded[codec])

    def recent(self, after_seq: int) -> list[EventFrame]:
        """The newest events after this one that are in memory."""
        return []

    def events_since(self, since: Position, older: Sequence[EventFrame]) -> list[EventFrame] | None:
        """All events after ``since``, from ``older`` and from memory; None if some are missing."""
        if since.epoch != self.epoch or since.seq > self.seq:
            return None
        events = {event.seq: event for event in older if event.seq <= self.seq}
        for event in self.recent(since.seq):
            events.setdefault(event.seq, event)
        return [events[seq] for seq in sorted(events)] if len(events) == self.seq - since.seq else None

    def close(self) -> None:
        """It has no watchers any more."""
        return


C = TypeVar("C", bound=Channel)


class ChannelSource(ABC, Generic[C]):
    """The source of all channels with one prefix. The hub opens, joins and removes them."""

    # Of the names: "auction:", followed by an id; or the whole name of a single channel: "market".
    prefix: str
    # The channels need a valid token, also for each update.
    private = False
    # A channel without watchers is kept for this long, in case the page is reloaded.
    linger_s = 0.0
    # The Redis channels whose messages it receives.
    topics: Sequence[str] = ()
    # Those whose messages are signals: of the moment, and lost without harm.
    signal_topics: Sequence[str] = ()

    def __init__(self) -> None:
        # The channels with watchers in this gateway, by key.
        self.channels: dict[Hashable, C] = {}

    def key_of(self, name: str) -> Hashable:
        """The key of the channel with this name. Raises RequestFailed."""
        try:
            return parse_id(name.removeprefix(self.prefix))
        except InvalidId:
            raise RequestFailed(NOT_FOUND, f"there is no such {self.prefix.rstrip(':')}") from None

    def authorise(self, channel: C, identity: Identity | None) -> None:
        """Raise RequestFailed if this user may not subscribe. Called before the channel is loaded, and after."""
        return

    def watchers_changed(self, channel: C) -> None:
        """Called when a watcher was added or removed."""
        return

    def signal(self, channel: C, identity: Identity) -> None:
        """A watcher signals that they are typing. Raises RequestFailed where channels take no signals."""
        raise RequestFailed(NOT_FOUND, "this channel takes no signals")

    def signalled(self, message: bytes) -> None:
        """Called with each message of the signal topics."""
        return

    @abstractmethod
    def open(self, name: str, key: Hashable) -> C:
        """A channel that is not loaded."""

    @abstractmethod
    async def prepare(self, channel: C, since: Position | None) -> list[EventFrame]:
        """Load the channel, at least up to ``since``; returns the missed events that are not in memory.

        Raises RequestFailed.
        """

    def received(self, message: bytes) -> None:
        """Called with each message of the topics."""
        return

    def missed(self) -> None:
        """Called when messages may have been lost."""
        return

    def moved(self, is_moved: Callable[[int], bool]) -> None:
        """Called when entities have another owner: the former one may have died before its last updates."""
        return

    def start(self) -> None:
        """Start background tasks."""
        return

    async def stop(self) -> None:
        """Stop background tasks."""
        return
