"""The channels ``user:<id>``: the notifications of each user, sent to all their connections."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol, cast

import msgspec

from domain.errors import FORBIDDEN
from domain.ids import InvalidId, id_text, parse_id
from gateway.fanout.channels import Channel
from gateway.fanout.stored_channels import StoredChannels
from gateway.identity.tokens import Identity
from gateway.wire.faults import RequestFailed
from gateway.wire.frames import EventFrame, Position
from persistence.notifications.store import Inbox, Notification
from persistence.redis.announcements import USERS_CHANNEL

NOT_YOURS = "this is another user's channel"
# More new notifications than this are sent as a state: the client reads them over REST.
EVENTS_MAX = 100


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
        if len(fresh) > EVENTS_MAX:
            self.broadcast(self.newest)
        else:
            frames = [event_of(row, self.epoch) for row in fresh]
            self.broadcast(lambda codec: b"".join(map(codec.frame, frames)))


class UserChannels(StoredChannels[UserChannel]):
    """The source of these channels. Each is for its own user alone."""

    prefix = "user:"
    topics = (USERS_CHANNEL,)

    def __init__(self, notifications: ReadsNotifications, now_ms: Callable[[], int]) -> None:
        super().__init__()
        self._now_ms = now_ms
        self._notifications = notifications

    async def read(self, channels: Sequence[UserChannel]) -> None:
        found = await self._notifications.after([(one.user, one.seq) for one in channels], EVENTS_MAX + 1)
        for channel in channels:
            rows = found.get(channel.user, [])
            channel.notify(rows)
            if len(rows) > EVENTS_MAX:
                self.read_soon([channel.user])

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
        with self.reading("your notifications"):
            missed = await self._missed(channel, since)
            inbox = await self._notifications.inbox(channel.user)
        if not channel.loaded:
            channel.load(inbox, self._now_ms())
        elif channel.seq < inbox.seq:
            self.read_soon([channel.user])
        return [event_of(row, channel.epoch) for row in missed]

    async def _missed(self, channel: UserChannel, since: Position | None) -> list[Notification]:
        if since is None:
            return []
        if channel.loaded and since.seq > channel.seq:
            # The client comes from a gateway that was ahead: it must not get less than it has.
            await self.read([channel])
        return (await self._notifications.after([(channel.user, since.seq)], EVENTS_MAX)).get(channel.user, [])


def channel_of(user: int) -> str:
    """The name of a user's channel."""
    return UserChannels.prefix + id_text(user)


def event_of(row: Notification, epoch: int) -> EventFrame:
    """The event frame of a notification."""
    data = {"id": id_text(row.id)} | msgspec.json.decode(row.data, type=dict[str, Any])
    return EventFrame(channel_of(row.user), epoch, row.seq, row.kind, row.at, data)
