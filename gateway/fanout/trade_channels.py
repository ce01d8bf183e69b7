"""The channels ``trade:<id>``: private to the parties, with their presence and who is typing.

Presence and typing are signals between gateways over Redis. They are in no log and have no place in the sequence: one
that is lost is made up for by the next one, and one that is not renewed expires.
"""

import asyncio
import secrets
from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress
from typing import Any, Protocol, cast

import msgspec
import structlog

from domain.errors import NOT_FOUND
from domain.ids import id_text, parse_id
from domain.permissions import Permission
from gateway.fanout.channels import FanOutCounts
from gateway.fanout.entity_channel import EntityChannel
from gateway.fanout.entity_channels import EntityChannels, History, Hosts, UpdatePages
from gateway.identity.tokens import Identity
from gateway.wire.faults import RequestFailed
from gateway.wire.frames import SignalFrame
from persistence.redis.announcements import PRESENCE_CHANNEL

KIND = "trade"
PRESENT, GONE, TYPING = "present", "gone", "typing"
RENEWED_EVERY_S = 10.0
PRESENT_FOR_MS = 25_000
TYPING_FOR_MS = 5_000
TYPING_EVERY_MS = 1_000
SIGNALS_PER_MESSAGE = 500
# In the queue to Redis: what is beyond it is dropped, and sent again at the next renewal.
WAITING_MAX = 500

log = structlog.get_logger()


class Signal(msgspec.Struct, frozen=True, array_like=True):
    """A user of a trade is there, has gone, or types; as this gateway knows, until then (ms)."""

    trade: int
    user: int
    kind: str
    gateway: int
    until: int


class _Party(msgspec.Struct, frozen=True):
    id: str


class _Visible(msgspec.Struct, frozen=True):
    """What of a trade's state decides who may see it."""

    parties: list[_Party]
    dispute: dict[str, Any] | None = None


_decode_visible = msgspec.msgpack.Decoder(_Visible).decode
_decode_signals = msgspec.msgpack.Decoder(list[Signal]).decode


class Publisher(Protocol):
    """The announcer to Redis."""

    @property
    def waiting(self) -> int: ...
    def publish(self, channel: str, message: bytes) -> None: ...


class TradeChannel(EntityChannel):
    """The channel of one trade. ``present``: until when (ms), by user and gateway."""

    present: dict[tuple[int, int], int]
    shown: list[str]
    typed_at: dict[int, int]

    def visible(self) -> _Visible:
        """The parties, and whether there is a dispute."""
        assert self._state is not None, "it is loaded"
        return _decode_visible(self._state)

    def parties(self) -> set[int]:
        """The ids of the parties."""
        return {parse_id(party.id) for party in self.visible().parties}

    def watching(self) -> set[int]:
        """The parties that are subscribed in this gateway."""
        return {one.user for one in self.subscriptions if one.user is not None} & self.parties()

    def present_at(self, now_ms: int) -> list[str]:
        """The ids of the parties that are subscribed anywhere. Forgets those that were not renewed."""
        self.present = {key: until for key, until in self.present.items() if until > now_ms}
        return sorted({id_text(user) for user, _ in self.present})

    def signal(self, kind: str, at_ms: int, data: dict[str, object]) -> None:
        """Send a signal to all watchers."""
        frame = SignalFrame(self.name, kind, at_ms, data)
        self.broadcast(lambda codec: codec.frame(frame))


class TradeChannels(EntityChannels):
    """The source of these channels. To anybody but the parties, and moderators of a dispute, there is no such trade."""

    private = True
    signal_topics = (PRESENCE_CHANNEL,)

    def __init__(
        self, hosts: Hosts, history: History, counts: FanOutCounts, publisher: Publisher, now_ms: Callable[[], int],
        pages: UpdatePages | None = None,
    ) -> None:  # fmt: skip
        super().__init__(KIND, hosts, history, counts, pages=pages)
        self._publisher = publisher
        self._now_ms = now_ms
        self._gateway = secrets.randbits(63)
        self._renewing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start to renew the presence of the users of this gateway."""
        self._renewing = asyncio.create_task(self._renew_forever(), name="presence")

    async def stop(self) -> None:
        """Stop background tasks."""
        if self._renewing is not None:
            self._renewing.cancel()
            with suppress(asyncio.CancelledError):
                await self._renewing
        await super().stop()

    def open(self, name: str, key: Hashable) -> TradeChannel:
        """A channel that is not loaded."""
        channel = TradeChannel(name, KIND, cast(int, key), self._limits, self._counts)
        channel.present, channel.shown, channel.typed_at = {}, [], {}
        return channel

    def authorise(self, channel: EntityChannel, identity: Identity | None) -> None:
        """Raise RequestFailed unless this user is a party, or a moderator of a dispute. Nobody before it is loaded."""
        assert isinstance(channel, TradeChannel)
        if identity is not None and not channel.loaded:
            return
        if identity is not None:
            visible, own_id = channel.visible(), id_text(identity.user_id)
            if any(party.id == own_id for party in visible.parties):
                return
            if visible.dispute is not None and identity.may(Permission.MODERATE):
                return
        raise RequestFailed(NOT_FOUND, "there is no such trade")

    # -- signals

    def watchers_changed(self, channel: EntityChannel) -> None:
        """Somebody has subscribed, or ended a subscription."""
        assert isinstance(channel, TradeChannel)
        if not channel.loaded:
            return
        here = channel.watching()
        before = {user for user, gateway in channel.present if gateway == self._gateway}
        signals = [self._signal(channel, user, PRESENT, PRESENT_FOR_MS) for user in here]
        signals += [self._signal(channel, user, GONE, 0) for user in before - here]
        for signal in signals:
            self._note(channel, signal)
        self._show(channel, always=True)
        self._publish(signals)

    def signal(self, channel: EntityChannel, identity: Identity) -> None:
        """This user types. More than one signal a second is dropped."""
        assert isinstance(channel, TradeChannel)
        now_ms, user = self._now_ms(), identity.user_id
        if user in channel.parties() and now_ms - channel.typed_at.get(user, 0) >= TYPING_EVERY_MS:
            channel.typed_at[user] = now_ms
            self._publish([self._signal(channel, user, TYPING, TYPING_FOR_MS)])

    def signalled(self, message: bytes) -> None:
        """Signals of all gateways."""
        try:
            signals = _decode_signals(message)
        except msgspec.MsgspecError as error:
            log.error("unreadable_signal", error=str(error))
            return
        for signal in signals:
            channel = self.channels.get(signal.trade)
            if isinstance(channel, TradeChannel) and channel.loaded:
                self._take(channel, signal)

    def _take(self, channel: TradeChannel, signal: Signal) -> None:
        now_ms = self._now_ms()
        if signal.kind == TYPING:
            if signal.until > now_ms:
                channel.signal(TYPING, now_ms, {"by": id_text(signal.user), "until": signal.until})
            return
        if signal.gateway == self._gateway:
            return
        is_new = signal.kind == PRESENT and (signal.user, signal.gateway) not in channel.present
        self._note(channel, signal)
        self._show(channel)
        if is_new:
            # A gateway that has just learnt of this trade does not know who is here.
            self._publish(self._renewals([channel]))

    def _note(self, channel: TradeChannel, signal: Signal) -> None:
        if signal.kind == GONE:
            channel.present.pop((signal.user, signal.gateway), None)
        elif signal.user in channel.parties():
            channel.present[signal.user, signal.gateway] = signal.until

    def _show(self, channel: TradeChannel, *, always: bool = False) -> None:
        """Tell the watchers who is present, if that has changed."""
        now_ms = self._now_ms()
        present = channel.present_at(now_ms)
        if always or present != channel.shown:
            channel.shown = present
            channel.signal("presence", now_ms, {"present": present})

    async def _renew_forever(self) -> None:
        while True:
            await asyncio.sleep(RENEWED_EVERY_S)
            channels = [one for one in self.channels.values() if isinstance(one, TradeChannel) and one.loaded]
            renewals = self._renewals(channels)
            for signal in renewals:
                channel = self.channels.get(signal.trade)
                if isinstance(channel, TradeChannel):
                    self._note(channel, signal)
            for channel in channels:
                self._show(channel)
            self._publish(renewals)

    def _renewals(self, channels: Iterable[TradeChannel]) -> list[Signal]:
        return [
            self._signal(channel, user, PRESENT, PRESENT_FOR_MS) for channel in channels for user in channel.watching()
        ]

    def _signal(self, channel: TradeChannel, user: int, kind: str, for_ms: int) -> Signal:
        return Signal(channel.entity, user, kind, self._gateway, self._now_ms() + for_ms)

    def _publish(self, signals: list[Signal]) -> None:
        for first in range(0, len(signals), SIGNALS_PER_MESSAGE):
            if self._publisher.waiting < WAITING_MAX:
                page = signals[first : first + SIGNALS_PER_MESSAGE]
                self._publisher.publish(PRESENCE_CHANNEL, msgspec.msgpack.encode(page))
