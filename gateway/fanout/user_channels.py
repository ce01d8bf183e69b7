"""The channels ``user:<id>``: what each user is told, as it happens, to wherever they are connected.

The database has the notifications (persistence/notifications/store.py), and is where they are read from. What goes over
Redis is only who has new ones: a word that is lost there costs some seconds, and no notification.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

import msgspec
import structlog

from domain.ids import id_text
from gateway.fanout.channels import Subscription, Watcher
from gateway.wire.frames import Codec, EventFrame, Position
from persistence.notifications.store import Inbox, Notification
from persistence.postgres.errors import StoreError

USER_PREFIX = "user:"
# More than so many new ones at once come as a state: the client reads them over REST.
EVENTS_MAX = 100
USERS_PER_READ = 1_000
# Should even the word be lost that there is something new.
LOOK_EVERY_S = 10.0
RETRY_S = 1.0

log = structlog.get_logger()

_decode_users = msgspec.msgpack.Decoder(list[int]).decode


class ReadsNotifications(Protocol):
    """What users were told. May raise StoreError."""

    async def inbox(self, user: int) -> Inbox: ...
    async def after(self, positions: Sequence[tuple[int, int]], limit_each: int) -> dict[int, list[Notification]]: ...


class OwnSubscription(Subscription):
    """One's own channel: while the token is no good, nothing is told; the newest state makes up for it afterwards."""

    __slots__ = ("_may_hear",)

    def __init__(self, watcher: Watcher, may_hear: Callable[[], bool]) -> None:
        super().__init__(watcher)
        self._may_hear = may_hear

    def deliver(self, frame: bytes) -> None:
        """Pass on news to its user alone."""
        if self._may_hear():
            super().deliver(frame)
        else:
            self.behind = True


class UserChannel:
    """One user's notifications, up to where those who are connected here were told of them."""

    def __init__(self, user: int, inbox: Inbox, now_ms: int) -> None:
        self.name = channel_of(user)
        self.user = user
        self.epoch = inbox.epoch
        self.seq = inbox.seq
        self.at = now_ms
        self.subscriptions: set[Subscription] = set()

    def newest(self, codec: Codec) -> bytes:
        """A ``state`` frame: how far the notifications go."""
        return codec.frame(EventFrame(self.name, self.epoch, self.seq, "state", self.at, {"seq": self.seq}))

    def tell(self, rows: list[Notification]) -> None:
        """Pass on those that are new here; where there are very many of them, that there are."""
        fresh = [row for row in rows if row.seq > self.seq]
        if not fresh:
            return
        self.seq, self.at = fresh[-1].seq, fresh[-1].at
        whole = len(fresh) > EVENTS_MAX
        encoded: dict[Codec, bytes] = {}
        for subscription in list(self.subscriptions):
            codec = subscription.watcher.codec
            if codec not in encoded:
                frames = [event_of(row, self.epoch) for row in fresh]
                encoded[codec] = self.newest(codec) if whole else b"".join(map(codec.frame, frames))
            subscription.deliver(encoded[codec])


class UserChannels:
    """Those of one gateway's clients."""

    def __init__(self, notifications: ReadsNotifications, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._notifications = notifications
        self._channels: dict[int, UserChannel] = {}
        self._new: set[int] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to follow."""
        self._task = asyncio.create_task(self._follow(), name="user-channels")

    async def stop(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    @property
    def channels(self) -> int:
        """How many users follow their channel here."""
        return len(self._channels)

    # -- who has something new

    def heard(self, message: bytes) -> None:
        """A worker says that these users have new notifications."""
        try:
            self._look_at(_decode_users(message))
        except msgspec.MsgspecError as error:
            log.error("unreadable_news", error=str(error))

    def missed(self) -> None:
        """Something was perhaps said that was not heard."""
        self._look_at(list(self._channels))

    def _look_at(self, users: Sequence[int]) -> None:
        fresh = [user for user in users if user in self._channels]
        if fresh:
            self._new.update(fresh)
            self._wake.set()

    async def _follow(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), LOOK_EVERY_S)
            self._wake.clear()
            users, self._new = self._new or set(self._channels), set()
            try:
                await self._read(list(users))
            except StoreError as error:
                log.warning("notifications_not_read", error=str(error))
                self._new |= users
                self._wake.set()
                await asyncio.sleep(RETRY_S)

    async def _read(self, users: list[int]) -> None:
        for first in range(0, len(users), USERS_PER_READ):
            channels = [
                self._channels[user] for user in users[first : first + USERS_PER_READ] if user in self._channels
            ]
            if not channels:
                continue
            found = await self._notifications.after([(one.user, one.seq) for one in channels], EVENTS_MAX + 1)
            for channel in channels:
                rows = found.get(channel.user, [])
                channel.tell(rows)
                if len(rows) > EVENTS_MAX:
                    self._look_at([channel.user])

    # -- watchers

    async def subscribe(self, name: str, subscription: Subscription, since: Position | None) -> dict[str, Any]:
        """Add a watcher; returns what it must know to go on from there. Raises StoreError."""
        user = user_of(name)
        subscription.hold()
        try:
            missed = await self._missed(user, since)
            inbox = await self._notifications.inbox(user)
        except BaseException:
            if subscription.active:
                subscription.start()
            raise
        # From here on nothing waits: position and subscription belong together.
        channel = self._channels.setdefault(user, UserChannel(user, inbox, self._now_ms()))
        subscription.joined(channel)
        if channel.seq < inbox.seq:
            self._look_at([user])
        reply: dict[str, Any] = {
            "epoch": channel.epoch, "seq": channel.seq, "recovered": False, "watchers": len(channel.subscriptions)
        }  # fmt: skip
        if since is not None and since.epoch == channel.epoch and since.seq <= channel.seq:
            events = [event_of(row, channel.epoch) for row in missed if row.seq <= channel.seq]
            if len(events) == channel.seq - since.seq:
                return reply | {"recovered": True, "events": events}
        return reply | {"state": {"seq": channel.seq}}

    async def _missed(self, user: int, since: Position | None) -> list[Notification]:
        if since is None:
            return []
        channel = self._channels.get(user)
        if channel is not None and since.seq > channel.seq:
            # Another gateway was ahead of this one: showing its client less would take back what it saw.
            await self._read([user])
        return (await self._notifications.after([(user, since.seq)], EVENTS_MAX)).get(user, [])

    def unsubscribe(self, name: str, subscription: Subscription) -> None:
        """Remove a watcher; a channel without any is forgotten."""
        subscription.active = False
        channel = self._channels.get(user_of(name))
        if channel is not None:
            channel.subscriptions.discard(subscription)
            if not channel.subscriptions:
                del self._channels[channel.user]


def channel_of(user: int) -> str:
    """The name of a user's channel."""
    return USER_PREFIX + id_text(user)


def user_of(name: str) -> int:
    """Whose channel this is."""
    return int(name.removeprefix(USER_PREFIX), 32)


def event_of(row: Notification, epoch: int) -> EventFrame:
    """A notification as it goes out."""
    data = {"id": id_text(row.id)} | msgspec.json.decode(row.data, type=dict[str, Any])
    return EventFrame(channel_of(row.user), epoch, row.seq, row.kind, row.at, data)
