"""Fan-out: what hosts announce reaches the watchers of this gateway, each event once, gaps closed.

Here channels come and go, are loaded from their hosts, and clients join them; what each one sends stands in
``channels.py``.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
import structlog

from actors.stream.messages import Answer, GetState, Refused, Request, StateAnswer, Update
from domain.errors import OVERLOADED, UNAVAILABLE
from domain.ids import InvalidId, parse_id
from domain.log.codec import Unreadable
from gateway.fanout.channels import Channel, FanOutCounts, FanOutLimits, Subscription, decode_data
from gateway.fanout.user_channels import USER_PREFIX, UserChannels
from gateway.wire.frames import EventFrame, Position
from persistence.log.history import LoggedEvent
from persistence.postgres.errors import StoreError
from persistence.redis.announcements import DIRECTORY_CHANNEL, USERS_CHANNEL, Listener

log = structlog.get_logger()

# A channel without watchers stays this long: a reload of the page finds it warm.
LINGER_S = 5.0
CATCH_UP_TRIES_MAX = 100
CATCH_UP_PAUSE_S = 0.25
CATCH_UP_PAUSE_MAX_S = 5.0

USUAL_LIMITS = FanOutLimits()

_decode_news = msgspec.msgpack.Decoder(list[Update]).decode


class SubscribeFailed(Exception):
    """Why a channel can't be watched."""

    def __init__(self, code: str, message: str = "", retry_after_ms: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after_ms = retry_after_ms


class Asks(Protocol):
    """The way to the hosts."""

    async def ask(self, request: Request, timeout_s: float = 5.0) -> Answer: ...
    def look_up_soon(self) -> None: ...


class ReadsHistory(Protocol):
    """The log, for what is older than memory. May raise StoreError."""

    async def events_after(self, auction: int, after_seq: int, limit: int) -> list[LoggedEvent]: ...


class Hub:
    """All channels of one gateway."""

    def __init__(
        self, router: Asks, history: ReadsHistory, listener: Listener, now_ms: Callable[[], int],
        limits: FanOutLimits = USUAL_LIMITS, users: UserChannels | None = None,
    ) -> None:  # fmt: skip
        self._now_ms = now_ms
        self._router = router
        self._history = history
        self._limits = limits
        self._users = users
        self.counts = FanOutCounts()
        self._listener = listener
        self._channels: dict[int, Channel] = {}
        self._task: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to listen."""
        self._task = asyncio.create_task(self._listen(), name="hub")
        if self._users is not None:
            self._users.start()

    async def stop(self) -> None:
        """Stop listening."""
        tasks = [task for task in (self._task, *self._tasks) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._users is not None:
            await self._users.stop()
        await self._listener.close()

    @property
    def channels(self) -> int:
        """How many auctions are followed."""
        return len(self._channels)

    @property
    def listening(self) -> bool:
        """Whether announcements are heard at present."""
        return self._listener.connected

    # -- watchers

    async def subscribe(self, name: str, subscription: Subscription, since: Position | None) -> dict[str, Any]:
        """Add a watcher; returns what it must know to go on from there. Raises SubscribeFailed."""
        if self._users is not None and name.startswith(USER_PREFIX):
            try:
                return await self._users.subscribe(name, subscription, since)
            except StoreError as error:
                log.warning("notifications_not_read", error=str(error))
                raise SubscribeFailed(UNAVAILABLE, "your notifications can't be read now") from None
        channel = self._channel(name)
        subscription.hold()
        channel.joining += 1
        try:
            older = await self._make_ready(channel, since)
        except BaseException:
            if subscription.active:
                subscription.start()
            raise
        finally:
            channel.joining -= 1
            self._forget_later(channel)
        # From here on nothing waits: position and subscription belong together, and the reply covers what was held.
        subscription.joined(channel)
        return self._reply(channel, since, older)

    async def _make_ready(self, channel: Channel, since: Position | None) -> list[LoggedEvent]:
        """Load the channel, up to where the watcher is at least; returns what it missed that only the log has."""
        while channel.state is None:
            if channel.loading is None:
                channel.loading = self._spawn(self._load(channel))
            await asyncio.shield(channel.loading)
        if since is None:
            return []
        if (since.epoch, since.seq) > (channel.epoch, channel.seq):
            # Another gateway was ahead of this one: showing its client an older state would take back what it saw.
            await self._ask_where(channel)
        return await self._read_log(channel, since) if self._in_log_only(channel, since) else []

    def unsubscribe(self, name: str, subscription: Subscription) -> None:
        """Remove a watcher; a channel without any is forgotten after a while."""
        if self._users is not None and name.startswith(USER_PREFIX):
            self._users.unsubscribe(name, subscription)
            return
        try:
            channel = self._channels.get(_auction_of(name))
        except SubscribeFailed:
            return
        if channel is None:
            return
        channel.subscriptions.discard(subscription)
        subscription.active = False
        self._forget_later(channel)

    def _channel(self, name: str) -> Channel:
        auction = _auction_of(name)
        channel = self._channels.get(auction)
        if channel is None:
            channel = self._channels[auction] = Channel(name, auction, self._limits, self.counts)
        return channel

    def _forget_later(self, channel: Channel) -> None:
        if not channel.subscriptions and not channel.joining:
            linger_s = 0.0 if channel.state is None else LINGER_S
            asyncio.get_running_loop().call_later(linger_s, self._forget, channel)

    def _forget(self, channel: Channel) -> None:
        unused = not channel.subscriptions and not channel.joining
        if unused and self._channels.get(channel.auction) is channel:
            del self._channels[channel.auction]
            if channel.catching_up is not None:
                channel.catching_up.cancel()

    async def _load(self, channel: Channel) -> None:
        try:
            answer = await self._router.ask(GetState(channel.auction, "auction"))
            if isinstance(answer, StateAnswer):
                channel.loaded(answer)
            elif isinstance(answer, Refused):
                message = "there is no such auction" if answer.code == "not_found" else "the auction can't be read now"
                raise SubscribeFailed(answer.code, message, answer.retry_after_ms)
        finally:
            channel.loading = None

    # -- resume

    def _in_log_only(self, channel: Channel, since: Position) -> bool:
        missed, missed_max = channel.seq - since.seq, self._limits.resume_events_max
        first = channel.tail[0].seq if channel.tail else channel.seq + 1
        return since.epoch == channel.epoch and 0 < missed <= missed_max and first > since.seq + 1

    async def _read_log(self, channel: Channel, since: Position) -> list[LoggedEvent]:
        if self.counts.log_reads_under_way >= self._limits.log_reads_max:
            return []  # then the snapshot will do: the database has enough to do
        self.counts.log_reads_under_way += 1
        try:
            return await self._history.events_after(channel.auction, since.seq, self._limits.resume_events_max)
        except (StoreError, Unreadable) as error:
            log.warning("resume_from_log_failed", channel=channel.name, error=str(error))
            return []  # as well
        finally:
            self.counts.log_reads_under_way -= 1

    def _reply(self, channel: Channel, since: Position | None, older: list[LoggedEvent]) -> dict[str, Any]:
        reply: dict[str, Any] = {
            "epoch": channel.epoch, "seq": channel.seq, "recovered": False, "watchers": channel.watchers,
        }  # fmt: skip
        if since is not None and since.epoch == channel.epoch and since.seq <= channel.seq:
            events = self._missed(channel, since, older)
            if events is not None:
                self.counts.subscribed["log" if older else "memory"] += 1
                return reply | {"recovered": True, "events": events}
        assert channel.state is not None
        self.counts.subscribed["state"] += 1
        return reply | {"state": decode_data(channel.state) | {"server_time": self._now_ms()}}

    @staticmethod
    def _missed(channel: Channel, since: Position, older: list[LoggedEvent]) -> list[EventFrame] | None:
        """The events from ``since`` to the channel's position, or None where they are not all at hand."""
        events = {
            e.seq: EventFrame(channel.name, e.epoch, e.seq, e.type, e.at, e.data) for e in older if e.seq <= channel.seq
        }
        for e in channel.tail:
            if e.seq > since.seq and e.seq not in events:
                events[e.seq] = EventFrame(channel.name, channel.epoch, e.seq, e.type, e.at, decode_data(e.data))
        if len(events) != channel.seq - since.seq:
            return None
        return [events[seq] for seq in sorted(events)]

    # -- news

    async def _listen(self) -> None:
        async for heard in self._listener.heard():
            if heard is None:
                self._router.look_up_soon()
                if self._users is not None:
                    self._users.missed()
                for channel in self._channels.values():
                    if channel.catching_up is not None:
                        channel.catching_up.cancel()
                    channel.catching_up = self._spawn(self._catch_up(channel))
                continue
            name, message = heard
            if name == DIRECTORY_CHANNEL:
                self._router.look_up_soon()
                continue
            if name == USERS_CHANNEL:
                if self._users is not None:
                    self._users.heard(message)
                continue
            try:
                page = _decode_news(message)
            except msgspec.MsgspecError as error:
                log.error("unreadable_news", error=str(error))
                continue
            channels = self._channels
            for news in page:
                found = channels.get(news.entity)
                if found is not None:
                    found.take(news)

    async def _catch_up(self, channel: Channel) -> None:
        """Announcements may have been lost: ask the host where the auction stands, until it says so."""
        for attempt in range(CATCH_UP_TRIES_MAX):
            if await self._ask_where(channel):
                return
            await asyncio.sleep(min(CATCH_UP_PAUSE_S * 2**attempt, CATCH_UP_PAUSE_MAX_S))

    async def _ask_where(self, channel: Channel) -> bool:
        """Bring the channel to where its host says that the auction is; False where asking again may help."""
        answer = await self._router.ask(GetState(channel.auction, "auction"))
        if isinstance(answer, StateAnswer):
            channel.loaded(answer)
        return not isinstance(answer, Refused) or answer.code not in (UNAVAILABLE, OVERLOADED)

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, SubscribeFailed):
            log.error("hub_task_failed", error=repr(error))


def _auction_of(name: str) -> int:
    kind, _, text = name.partition(":")
    if kind != "auction":
        raise SubscribeFailed("not_found", "channels are named auction:<id> or user:<id>")
    try:
        return parse_id(text)
    except InvalidId:
        raise SubscribeFailed("not_found", "there is no such auction") from None
