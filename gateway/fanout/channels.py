"""One auction as this gateway knows it, and who watches it.

A frame of type ``state`` replaces everything up to its ``seq``: it is sent in place of events where there are more of
them than a person could follow, where some were missed, and to a watcher that could not take them as they came.
"""

import asyncio
import time
from collections import Counter, deque
from itertools import islice
from typing import Any, Protocol

import msgspec

from actors.stream.messages import PublicEvent, StateAnswer, Update
from gateway.wire.frames import Codec, EventFrame

# News goes out at once, then at most so often; where much happens less often still, which nobody can see.
FLUSH_EVERY_S = 0.02
FLUSH_HOT_EVERY_S = 0.05
# A crowd that is much work to tell is told less often, but not less often than this.
FLUSH_CROWD_EVERY_S = 0.2
HOT_EVENTS = 3
EVENTS_PER_FLUSH_MAX = 8
TAIL_EVENTS_MAX = 512
EARLY_NEWS_MAX = 64


class FanOutLimits(msgspec.Struct, frozen=True):
    """Bounds of telling watchers, and of catching up with what they missed; see docs/operations.md."""

    # Of the processor's time, for the news of one channel: the rest is left to acks and all else.
    telling_share_max: float = 0.67
    # More watchers of one auction are a crowd: they get states where much happens, not each event.
    crowd_watchers: int = 256
    # So many watchers are told before acks and whatever else is ready have their turn.
    watchers_per_turn: int = 64
    resume_events_max: int = 2_000
    # Resumes that read the log at the same time. They share the database's connections with REST.
    log_reads_max: int = 8


class FanOutCounts:
    """What all channels of a gateway have done."""

    def __init__(self) -> None:
        # News that did not follow on what was known: watchers get a state in place of events.
        self.gaps = 0
        # Subscribes by what the reply has: `state`, or `events` from `memory` or the `log`.
        self.subscribed: Counter[str] = Counter()
        self.log_reads_under_way = 0


decode_data = msgspec.msgpack.Decoder(dict[str, Any]).decode


class Watcher(Protocol):
    """Who is told."""

    codec: Codec

    def tell(self, frame: bytes) -> bool:
        """Take news; False where too much waits for the client already, and nothing was taken."""

    def push(self, frame: bytes) -> None:
        """Take what must not wait."""

    def fell_behind(self, subscription: "Subscription") -> None:
        """Call ``catch_up`` of the subscription as soon as the client can take news again."""


class Followed(Protocol):
    """What is watched. ``newest``: a ``state`` frame of where it stands at (epoch, seq)."""

    epoch: int
    seq: int
    subscriptions: "set[Subscription]"

    def newest(self, codec: Codec) -> bytes: ...


class Subscription:
    """One watcher of one channel. Frames that come before the reply was sent wait for it."""

    __slots__ = ("_early", "active", "behind", "channel", "position", "watcher")

    def __init__(self, watcher: Watcher) -> None:
        self.watcher = watcher
        self.channel: Followed | None = None
        self.active = False
        # It was not told something. Then it is told nothing more until it gets the newest state.
        self.behind = False
        # (epoch, seq) of the reply or of the state that it caught up with: what lies before is not for this watcher.
        self.position = (0, -1)
        self._early: list[bytes] | None = []

    def deliver(self, frame: bytes) -> None:
        """Pass on news, or note that the watcher could not take it."""
        if self._early is not None:
            self._early.append(frame)
        elif not self.behind and not self.watcher.tell(frame):
            self.behind = True
            self.watcher.fell_behind(self)

    def catch_up(self) -> None:
        """If anything was not told, the newest state stands in its place."""
        if self.behind and self.active and self._early is None and self.channel is not None:
            self.behind = False
            self.position = (self.channel.epoch, self.channel.seq)
            self.watcher.push(self.channel.newest(self.watcher.codec))

    def hold(self) -> None:
        """Subscribed anew: again the reply goes first."""
        self._early = []

    def joined(self, channel: Followed) -> None:
        """From here on the channel's news is for this watcher; what lies before is in the reply."""
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


class Wave:
    """News on its way to everyone who watched when it set out: these events, or the state as it is when told."""

    def __init__(self, channel: "Channel", events: list[EventFrame], to: list[Subscription], *, closing: bool) -> None:
        self._channel = channel
        self._events = events
        self._per_turn = channel.limits.watchers_per_turn
        self._encoded: dict[tuple[Codec, int], bytes] = {}
        self._closing = closing
        # Of this thread's own time: what other processes take of the machine is no reason to tell less.
        self._from_s = time.thread_time()
        self._left = len(to)
        self._to = iter(to)

    def tell_some(self) -> bool:
        """Tell the next few; whether others are left."""
        for subscription in islice(self._to, self._per_turn):
            self._left -= 1
            if subscription.active:
                self._tell(subscription)
        return self._left > 0

    def work_s(self) -> float:
        """What it cost so far, with whatever had its turn in between."""
        return time.thread_time() - self._from_s

    def _tell(self, subscription: Subscription) -> None:
        if self._events:
            self._tell_events(subscription)
        elif subscription.position < (self._channel.epoch, self._channel.seq):
            # Who comes late in a long wave is told what has happened since it set out.
            subscription.position = (self._channel.epoch, self._channel.seq)
            subscription.deliver(self._channel.newest(subscription.watcher.codec))
        if self._closing:
            # The last word waits for nobody.
            subscription.catch_up()

    def _tell_events(self, subscription: Subscription) -> None:
        """Those after where the subscription stands, encoded once for all who stand there."""
        codec, events = subscription.watcher.codec, self._events
        known = 0
        while known < len(events) and (events[known].epoch, events[known].seq) <= subscription.position:
            known += 1
        if known < len(events):
            data = self._encoded.get((codec, known))
            if data is None:
                data = self._encoded[codec, known] = b"".join(map(codec.frame, events[known:]))
            subscription.deliver(data)


class Channel:
    """Follows one auction while it has watchers."""

    def __init__(self, name: str, auction: int, limits: FanOutLimits, counts: FanOutCounts) -> None:
        self.name = name
        self.limits = limits
        self._counts = counts
        self.auction = auction
        self.subscriptions: set[Subscription] = set()
        self.epoch = 0
        self.seq = -1
        self.at = 0
        self.state: msgspec.Raw | None = None
        self.final = False
        self.loading: asyncio.Task[None] | None = None
        self.catching_up: asyncio.Task[None] | None = None
        # Watchers on their way in: the channel must not be forgotten under them.
        self.joining = 0
        self.early: deque[Update] = deque(maxlen=EARLY_NEWS_MAX)
        self.tail: deque[PublicEvent] = deque(maxlen=TAIL_EVENTS_MAX)
        self._pending: list[PublicEvent] = []
        self._must_send_state = False
        self._flushed_at = 0.0
        self._flush_every_s = FLUSH_EVERY_S
        self._flush_handle: asyncio.TimerHandle | asyncio.Handle | None = None
        self._wave: Wave | None = None
        self._newest: dict[Codec, bytes] = {}
        self._newest_at = (0, -1)

    def take(self, news: Update) -> None:
        """Follow the auction to where the news says it stands; old news is dropped."""
        if self.state is None:
            self.early.append(news)
            return
        if (news.epoch, news.seq) <= (self.epoch, self.seq):
            return
        fresh = [event for event in news.events if event.seq > self.seq]
        unbroken = news.epoch == self.epoch and len(fresh) == news.seq - self.seq
        if unbroken:
            self._pending += fresh
            self.tail.extend(fresh)
        else:
            self._must_send_state = True
            self._counts.gaps += 1
            self.tail.clear()
            self.tail.extend(fresh)
        self.epoch, self.seq, self.at = news.epoch, news.seq, news.at
        self.state, self.final = news.state, news.final
        self._schedule()

    def loaded(self, answer: StateAnswer) -> None:
        """Begin, or begin again, from a host's own word."""
        if self.state is None:
            self.epoch, self.seq, self.at = answer.epoch, answer.seq, answer.at
            self.state, self.final = answer.state, answer.final
            for news in self.early:
                self.take(news)
            self.early.clear()
        else:
            self.take(Update(self.auction, "auction", answer.epoch, answer.seq, answer.at, answer.state, answer.final))

    @property
    def watchers(self) -> int:
        """How many watch through this gateway."""
        return len(self.subscriptions)

    def newest(self, codec: Codec) -> bytes:
        """A ``state`` frame of where the auction stands, encoded once for all who need it."""
        position = (self.epoch, self.seq)
        if self._newest_at != position:
            self._newest_at = position
            self._newest.clear()
        frame = self._newest.get(codec)
        if frame is None:
            frame = self._newest[codec] = codec.frame(self._state_frame())
        return frame

    def _state_frame(self) -> EventFrame:
        assert self.state is not None
        return EventFrame(self.name, self.epoch, self.seq, "state", self.at, decode_data(self.state), self.watchers)

    def _is_over(self) -> bool:
        return self.final

    def _schedule(self) -> None:
        if self._wave is not None:
            return  # its end schedules what has come meanwhile
        loop = asyncio.get_running_loop()
        at_once = self._is_over()
        if self._flush_handle is not None:
            if not at_once:
                return
            self._flush_handle.cancel()
        wait = self._flushed_at + self._flush_every_s - loop.time()
        self._flush_handle = loop.call_soon(self.flush) if at_once or wait <= 0 else loop.call_later(wait, self.flush)

    def flush(self) -> None:
        """Send what is pending to all watchers, each frame encoded once for a codec."""
        self._flush_handle = None
        self._flushed_at = asyncio.get_running_loop().time()
        pending, self._pending = self._pending, []
        whole, self._must_send_state = self._must_send_state, False
        hot = whole or len(pending) >= HOT_EVENTS
        self._flush_every_s = FLUSH_HOT_EVERY_S if hot else FLUSH_EVERY_S
        if not self.subscriptions:
            return
        events = []
        # A state is made anew when it has changed on the way: the last of a crowd don't wait for the next wave. Nor can
        # they follow single events where there are many, each of which would be another frame for everyone.
        crowd = hot and len(self.subscriptions) > self.limits.crowd_watchers
        if not whole and not crowd and len(pending) <= EVENTS_PER_FLUSH_MAX:
            events = [EventFrame(self.name, self.epoch, e.seq, e.type, e.at, decode_data(e.data)) for e in pending]
        self._wave = Wave(self, events, list(self.subscriptions), closing=self._is_over())
        self._tell_some()

    def _tell_some(self) -> None:
        wave, self._wave = self._wave, None
        if wave is not None:
            if wave.tell_some():
                self._wave = wave
                asyncio.get_running_loop().call_soon(self._tell_some)
                return
            for_work_s = min(wave.work_s() / self.limits.telling_share_max, FLUSH_CROWD_EVERY_S)
            self._flush_every_s = max(self._flush_every_s, for_work_s)
        if self._pending or self._must_send_state:
            self._schedule()
