"""The channels ``user:<id>``: the notifications of each user, sent to all their connections.

Notifications are read from the database (persistence/notifications/store.py). Messages over Redis only name the users
who have new ones: if one is lost, notifications are late by some seconds, but not lost.
"""

import asyncio
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from typing import Any, Protocol, cast

import msgspec
import structlog

from domain.errors import FORBIDDEN, UNAVAILABLE
from domain.ids import InvalidId, id_text, parse_id
from gateway.fanout.channels import Channel, ChannelSource
from gateway.identity.tokens import Identity
from gateway.wire.codec import Codec
from gateway.wire.faults import RequestFailed
from gateway.wire.frames import EventFrame, Position
from persistence.notifications.store import Inbox, Notification
from persistence.postgres.errors import StoreError
from persistence.redis.announcements import USERS_CHANNEL

NOT_YOURS = "this is another user's channel"
# More new notifications than this are sent as a state: the client reads them over REST.
EVENTS_MAX = 100
USERS_PER_READ = 1_000
# The database is also read at this interval, without a message.
POLL_EVERY_S = 10.0
RETRY_S = 1.0

log = structlog.get_logger()

_decode_users = msgspec.msgpack.Decoder(list[int]).decode


class ReadsNotifications(Protocol):
    """The notifications of users. May raise StoreError."""

    async def inbox(self, user: int) -> Inbox: ...
    async def after(self, positions: Sequence[tuple[int, int]], limit_each: int) -> dict[int, list[Notification]]: ...


class UserChannel(Channel):
    """The channel of one user; its position is the last notification that was sent."""

    def __init__(self, name: str, user: int) -> None:
        super().__init__(name, user)
        self.user = user

    def load(self, inbox: Inbox, now_ms: int) -> None:
        """Set the position to that of the database."""
        self.epoch, self.seq, self.at = inbox.epoch, inbox.seq, now_ms

    def state(self) -> dict[str, Any]:
        """The position and the number of unread notifications."""
        return {"seq": self.seq}

    def notify(self, rows: list[Notification]) -> None:
        """Send new notifications; if there are many, a state instead."""
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


class UserChannels(ChannelSource[UserChannel]):
    """The source of these channels. Each is for its own user alone."""

    prefix = "user:"
    private = True
    topics = (USERS_CHANNEL,)

    def __init__(self, notifications: ReadsNotifications, now_ms: Callable[[], int]) -> None:
        super().__init__()
        self._now_ms = now_ms
        self._notifications = notifications
        self._new: set[int] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start to read new notifications."""
        self._task = asyncio.create_task(self._follow(), name="user-channels")

    async def stop(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    # -- new notifications

    def received(self, message: bytes) -> None:
        """A message of a worker: these users have new notifications."""
        try:
            self._read_soon(_decode_users(message))
        except msgspec.MsgspecError as error:
            log.error("unreadable_update", error=str(error))

    def missed(self) -> None:
        """A message may have been lost."""
        self._read_soon([channel.user for channel in self.channels.values()])

    def _read_soon(self, users: Sequence[int]) -> None:
        fresh = [user for user in users if user in self.channels]
        if fresh:
            self._new.update(fresh)
            self._wake.set()

    async def _follow(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), POLL_EVERY_S)
            self._wake.clear()
            users, self._new = self._new or {channel.user for channel in self.channels.values()}, set()
            try:
                await self._read(list(users))
            except StoreError as error:
                log.warning("notifications_not_read", error=str(error))
                self._new |= users
                self._wake.set()
                await asyncio.sleep(RETRY_S)

    async def _read(self, users: list[int]) -> None:
        for first in range(0, len(users), USERS_PER_READ):
            known = [self.channels.get(user) for user in users[first : first + USERS_PER_READ]]
            channels = [channel for channel in known if channel is not None and channel.loaded]
            if not channels:
                continue
            found = await self._notifications.after([(one.user, one.seq) for one in channels], EVENTS_MAX + 1)
            for channel in channels:
                rows = found.get(channel.user, [])
                channel.notify(rows)
                if len(rows) > EVENTS_MAX:
                    self._read_soon([channel.user])

    # -- watchers

    def key_of(self, name: str) -> int:
        """The user's id. Raises RequestFailed."""
        try:
            return parse_id(name.removeprefix(self.prefix))
        except InvalidId:
            raise RequestFailed(FORBIDDEN, NOT_YOURS) from None

    def open(self, name: str, key: Hashable) -> UserChannel:
        """A channel that is not loaded."""
        return UserChannel(name, cast(int, key))

    def authorise(self, channel: UserChannel, identity: Identity | None) -> None:
        """Users may subscribe to their own channel only. Raises RequestFailed."""
        if identity is None or identity.user_id != channel.user:
            raise RequestFailed(FORBIDDEN, NOT_YOURS)

    async def prepare(self, channel: UserChannel, since: Position | None) -> list[EventFrame]:
        """Load the channel; returns the missed events. Raises RequestFailed."""
        try:
            missed = await self._missed(channel, since)
            inbox = await self._notifications.inbox(channel.user)
        except StoreError as error:
            log.warning("notifications_not_read", error=str(error))
            raise RequestFailed(UNAVAILABLE, "your notifications can't be read now") from None
        if not channel.loaded:
            channel.load(inbox, self._now_ms())
        elif channel.seq < inbox.seq:
            self._read_soon([channel.user])
        return [event_of(row, channel.epoch) for row in missed]

    async def _missed(self, channel: UserChannel, since: Position | None) -> list[Notification]:
        if since is None:
            return []
        if channel.loaded and since.seq > channel.seq:
            # The client comes from a gateway that was ahead: it must not get less than it has.
            await self._read([channel.user])
        return (await self._notifications.after([(channel.user, since.seq)], EVENTS_MAX)).get(channel.user, [])


def channel_of(user: int) -> str:
    """The name of a user's channel."""
    return UserChannels.prefix + id_text(user)


def event_of(row: Notification, epoch: int) -> EventFrame:
    """The event frame of a notification."""
    data = {"id": id_text(row.id)} | msgspec.json.decode(row.data, type=dict[str, Any])
    return EventFrame(channel_of(row.user), epoch, row.seq, row.kind, row.at, data)
