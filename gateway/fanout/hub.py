"""The hub: all channels that sockets of this gateway are subscribed to.

The hub opens and removes channels, and adds watchers. Loading and updating a channel is up to the source of its prefix
(``channels.py``).
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import structlog

from domain.errors import NOT_FOUND
from gateway.fanout.channels import Channel, ChannelSource, FanOutCounts, Subscription
from gateway.identity.tokens import Identity
from gateway.wire.faults import RequestFailed
from gateway.wire.frames import EventFrame, Position
from persistence.redis.announcements import DIRECTORY_CHANNEL, Listener

log = structlog.get_logger()

Source = ChannelSource[Any]


class Directory(Protocol):
    """The router's copy of the directory."""

    def look_up_soon(self) -> None: ...


class Hub:
    """All channels of one gateway."""

    def __init__(
        self, directory: Directory, listener: Listener, sources: Sequence[Source], counts: FanOutCounts,
        now_ms: Callable[[], int],
    ) -> None:  # fmt: skip
        self.counts = counts
        self._directory = directory
        self._listener = listener
        self._sources = {source.prefix: source for source in sources}
        self._by_topic: dict[str, list[Callable[[bytes], None]]] = {}
        for source in sources:
            for topic in source.topics:
                self._by_topic.setdefault(topic, []).append(source.received)
            for topic in source.signal_topics:
                self._by_topic.setdefault(topic, []).append(source.signalled)
        self._now_ms = now_ms
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start to receive messages."""
        self._task = asyncio.create_task(self._listen(), name="hub")
        for source in self._sources.values():
            source.start()

    async def stop(self) -> None:
        """Stop to receive messages."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for source in self._sources.values():
            await source.stop()
        await self._listener.close()

    @property
    def channels(self) -> int:
        """The number of open channels."""
        return sum(len(source.channels) for source in self._sources.values())

    @property
    def listening(self) -> bool:
        """Whether the listener is connected."""
        return self._listener.connected

    # -- watchers

    async def subscribe(
        self, name: str, subscription: Subscription, since: Position | None, identity: Identity | None = None
    ) -> dict[str, Any]:
        """Add a watcher; returns the fields of the reply: position, and events or state. Raises RequestFailed."""
        source = self._source_of(name)
        key = source.key_of(name)
        channel: Channel = source.channels.get(key) or source.open(name, key)
        source.authorise(channel, identity)
        source.channels[key] = channel
        subscription.hold()
        channel.joining += 1
        try:
            older = await source.prepare(channel, since)
            source.authorise(channel, identity)
        except BaseException:
            if subscription.active:
                subscription.start()
            raise
        finally:
            channel.joining -= 1
            self._forget_later(source, channel)
        # No await from here on: the position of the subscription is that of the reply.
        subscription.joined(channel)
        subscription.user = None if identity is None else identity.user_id
        reply = self._reply(channel, since, older)
        source.watchers_changed(channel)
        return reply

    def unsubscribe(self, name: str, subscription: Subscription) -> None:
        """Remove a watcher; a channel without any is removed after ``linger_s``."""
        subscription.active = False
        try:
            source = self._source_of(name)
            channel = source.channels.get(source.key_of(name))
        except RequestFailed:
            return
        if channel is not None:
            channel.subscriptions.pop(subscription, None)
            source.watchers_changed(channel)
            self._forget_later(source, channel)

    def signal(self, name: str, identity: Identity) -> None:
        """A watcher of the channel signals that they are typing. Raises RequestFailed."""
        source = self._source_of(name)
        channel = source.channels.get(source.key_of(name))
        if channel is not None:
            source.authorise(channel, identity)
            source.signal(channel, identity)

    def is_private(self, name: str) -> bool:
        """Whether the channel of this name needs a valid token. Raises RequestFailed."""
        return self._source_of(name).private

    def may_follow(self, name: str, identity: Identity) -> bool:
        """Whether this user may stay subscribed to the channel."""
        try:
            source = self._source_of(name)
            channel = source.channels.get(source.key_of(name))
            if channel is not None:
                source.authorise(channel, identity)
        except RequestFailed:
            return False
        return channel is not None

    def _source_of(self, name: str) -> Source:
        prefix, colon, _ = name.partition(":")
        source = self._sources.get(prefix + colon)
        if source is None:
            names = " or ".join(prefix + "<id>" * prefix.endswith(":") for prefix in self._sources)
            raise RequestFailed(NOT_FOUND, f"channels are named {names}")
        return source

    def _reply(self, channel: Channel, since: Position | None, older: Sequence[EventFrame]) -> dict[str, Any]:
        reply: dict[str, Any] = {
            "epoch": channel.epoch, "seq": channel.seq, "recovered": False, "watchers": channel.watchers,
        }  # fmt: skip
        events = None if since is None else channel.events_since(since, older)
        if events is not None:
            self.counts.subscribed["log" if older else "memory"] += 1
            return reply | {"recovered": True, "events": events}
        self.counts.subscribed["state"] += 1
        state = channel.state()
        return reply | {"state": state | {"server_time": self._now_ms()} if "server_time" in state else state}

    def _forget_later(self, source: Source, channel: Channel) -> None:
        if not channel.subscriptions and not channel.joining:
            linger_s = source.linger_s if channel.loaded else 0.0
            asyncio.get_running_loop().call_later(linger_s, self._forget, source, channel)

    def _forget(self, source: Source, channel: Channel) -> None:
        unused = not channel.subscriptions and not channel.joining
        if unused and source.channels.get(channel.key) is channel:
            del source.channels[channel.key]
            channel.close()

    # -- updates

    def moved(self, is_moved: Callable[[int], bool]) -> None:
        """Entities have another owner: their channels ask it for what the former one may have left out."""
        for source in self._sources.values():
            source.moved(is_moved)

    async def _listen(self) -> None:
        async for received in self._listener.messages():
            if received is None:
                self._directory.look_up_soon()
                for source in self._sources.values():
                    source.missed()
                continue
            topic, message = received
            if topic == DIRECTORY_CHANNEL:
                self._directory.look_up_soon()
            for receive in self._by_topic.get(topic, ()):
                try:
                    receive(message)
                except Exception:
                    # Messages of all other sources are still processed.
                    log.exception("update_fault", topic=topic)


def topics_of(sources: Sequence[Source]) -> list[str]:
    """The Redis channels that a hub with these sources listens to."""
    topics = [topic for source in sources for topic in (*source.topics, *source.signal_topics)]
    return list(dict.fromkeys([DIRECTORY_CHANNEL, *topics]))
