"""What sockets can follow: a channel, who follows it, and where channels of one kind come from.

A frame of type ``state`` replaces everything up to its ``seq``: it is sent in place of events where some were missed,
where there are more of them than a person could follow, and to a watcher that could not take them as they came.
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
    """Bounds of notifying watchers, and of catching up with what they missed; see docs/architecture.md, Bounds."""

    # Of the processor's time, for the updates of one channel: the rest is left to acks and all else.
    broadcast_share_max: float = 0.67
    # More watchers of one entity are a crowd: they get states where much happens, not each event.
    crowd_watchers: int = 256
    # So many watchers are notified before acks and whatever else is ready have their turn.
    watchers_per_turn: int = 64
    resume_events_max: int = 2_000
    # Resumes that read the log at the same time. They share the database's connections with REST.
    log_reads_max: int = 8


class FanOutCounts:
    """What all channels of a gateway have done."""

    def __init__(self) -> None:
        # Updates that did not follow on what was known: watchers get a state in place of events.
        self.gaps = 0
        # Subscribes by what the reply has: `state`, or `events` from `memory` or the `log`.
        self.subscribed: Counter[str] = Counter()
        self.log_reads_in_flight = 0


class Watcher(Protocol):
    """Who is notified."""

    codec: Codec

    def notify(self, frame: bytes) -> bool:
        """Take an update; False where too much waits for the client already, and nothing was taken."""

    def push(self, frame: bytes) -> None:
        """Take what must not wait."""

    def fell_behind(self, subscription: "Subscription") -> None:
        """Call ``catch_up`` of the subscription as soon as the client can take updates again."""


class Subscription:
    """One watcher of one channel. Frames that come before the reply was sent wait for it."""

    __slots__ = ("_early", "active", "behind", "channel", "position", "watcher")

    def __init__(self, watcher: Watcher) -> None:
        self.watcher = watcher
        self.channel: Channel | None = None
        self.active = False
        # It missed an update. Then it gets no more until it gets the newest state.
        self.behind = False
        # (epoch, seq) of the reply or of the state that it caught up with: what lies before is not for this watcher.
        self.position = (0, -1)
        self._early: list[bytes] | None = []

    def deliver(self, frame: bytes) -> None:
        """Pass on an update, or note that the watcher could not take it."""
        if self._early is not None:
            self._early.append(frame)
        elif not self.behind and not self.watcher.notify(frame):
            self.behind = True
            self.watcher.fell_behind(self)

    def catch_up(self) -> None:
        """If it missed anything, the newest state stands in its place."""
        if self.behind and self.active and self._early is None and self.channel is not None:
            self.behind = False
            self.position = (self.channel.epoch, self.channel.seq)
            self.watcher.push(self.channel.newest(self.watcher.codec))

    def hold(self) -> None:
        """Subscribed anew: again the reply goes first."""
        self._early = []

    def joined(self, channel: "Channel") -> None:
        """From here on the channel's updates are for this watcher; what lies before is in the reply."""
        self.hold()
        self.channel = channel
        self.position = (channel.epoch, channel.seq)
        self.active = True
        self.behind = False
        channel.subscriptions.add(self)

    def start(self) -> None:
        """The reply was sent."""
        early, self._early = self._early or [], None
        for frame in early:
            self.deliver(frame)


class PrivateSubscription(Subscription):
    """Of a private channel: while the token is not valid nothing is delivered; after it the newest state is."""

    __slots__ = ("_may_receive",)

    def __init__(self, watcher: Watcher, may_receive: Callable[[], bool]) -> None:
        super().__init__(watcher)
        self._may_receive = may_receive

    def deliver(self, frame: bytes) -> None:
        """Pass on an update, unless the token has expired."""
        if self._may_receive():
            super().deliver(frame)
        else:
            self.behind = True


class Channel(ABC):
    """What is followed, as this gateway knows it: it stands at (epoch, seq), since ``at`` (ms). Not loaded: seq -1."""

    def __init__(self, name: str, key: Hashable) -> None:
        self.name = name
        self.key = key
        self.epoch = 0
        self.seq = -1
        self.at = 0
        self.subscriptions: set[Subscription] = set()
        # Watchers on their way in: the channel must not be forgotten under them.
        self.joining = 0

    @property
    def loaded(self) -> bool:
        """Whether it is known where it stands."""
        return self.seq >= 0

    @property
    def watchers(self) -> int:
        """How many watch through this gateway."""
        return len(self.subscriptions)

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """The state where it stands, as it goes over the wire."""

    def state_frame(self) -> EventFrame:
        """An event that replaces all up to where the channel stands."""
        return EventFrame(self.name, self.epoch, self.seq, "state", self.at, self.state(), self.watchers)

    def newest(self, codec: Codec) -> bytes:
        """The state's frame, encoded."""
        return codec.frame(self.state_frame())

    def recent(self, after_seq: int) -> list[EventFrame]:
        """The newest events after this one that are in memory."""
        return []

    def events_since(self, since: Position, older: Sequence[EventFrame]) -> list[EventFrame] | None:
        """All events after ``since``, from ``older`` and from memory; None where they are not all there."""
        if since.epoch != self.epoch or since.seq > self.seq:
            return None
        events = {event.seq: event for event in older if event.seq <= self.seq}
        for event in self.recent(since.seq):
            events.setdefault(event.seq, event)
        return [events[seq] for seq in sorted(events)] if len(events) == self.seq - since.seq else None

    def close(self) -> None:
        """Nobody follows it any more."""
        return


C = TypeVar("C", bound=Channel)


class ChannelSource(ABC, Generic[C]):
    """Where the channels of one prefix come from. The hub opens, joins and forgets them."""

    # Of the names: "auction:", followed by an id; or the whole name of a single channel: "market".
    prefix: str
    # The channels need a valid token, also for each update.
    private = False
    # A channel without watchers stays this long: a reload of the page finds it warm.
    linger_s = 0.0
    # The channels of Redis whose messages it receives.
    topics: Sequence[str] = ()

    def __init__(self) -> None:
        # By key, those that somebody follows here.
        self.channels: dict[Hashable, C] = {}

    def key_of(self, name: str) -> Hashable:
        """What the name stands for. Raises RequestFailed."""
        try:
            return parse_id(name.removeprefix(self.prefix))
        except InvalidId:
            raise RequestFailed(NOT_FOUND, f"there is no such {self.prefix.rstrip(':')}") from None

    def authorise(self, channel: C, identity: Identity | None) -> None:
        """Raise RequestFailed if this user may not follow it. Asked before the channel is loaded, and after."""
        return

    @abstractmethod
    def open(self, name: str, key: Hashable) -> C:
        """A channel that is not loaded."""

    @abstractmethod
    async def prepare(self, channel: C, since: Position | None) -> list[EventFrame]:
        """Load the channel, up to where the watcher is at least; the events that it missed and that are not in memory.

        Raises RequestFailed.
        """

    def received(self, message: bytes) -> None:
        """A message of one of the topics."""
        return

    def missed(self) -> None:
        """Messages may have been lost."""
        return

    def start(self) -> None:
        """Begin to work."""
        return

    async def stop(self) -> None:
        """Stop all work."""
        return
