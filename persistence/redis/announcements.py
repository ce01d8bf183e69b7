"""Announcements over Redis, from hosts and workers to all gateways. They may be lost; the log is the truth.

Each group of slots has a channel. An announcer that lost messages announces that on a channel for gaps, as soon as it
can.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import redis.asyncio as redis
from redis.exceptions import RedisError

from persistence.redis.cancellation import check_cancelled

CHANNEL_GROUPS = 16
DIRECTORY_CHANNEL = "ece:directory"
GAP_CHANNEL = "ece:gap"
# Which users have new notifications.
USERS_CHANNEL = "ece:users"
# Which requests to mint have changed.
MINTS_CHANNEL = "ece:mints"
# Which parties of trades are subscribed, and who types: from gateways to gateways.
PRESENCE_CHANNEL = "ece:presence"
# Which sessions of users have ended.
SESSIONS_CHANNEL = "ece:sessions"
ANNOUNCEMENT_QUEUE_MAX = 1_000
_RETRY_S = 0.25
_CONNECT_TIMEOUT_S = 2.0
_SOCKET_TIMEOUT_S = 5.0
# A listener that has received nothing for this time sends a ping, and reconnects after the same time without a pong:
# otherwise a broken network looks like a quiet channel.
_QUIET_S = 2.5


def updates_channel(slot: int) -> str:
    """The channel for updates of the entities in this slot."""
    return f"ece:updates:{slot % CHANNEL_GROUPS}"


class Announcer:
    """Publishes without blocking, through a bounded queue that drops the oldest when Redis is unavailable.

    ``lost``: messages were, or may have been, lost, and that was not announced yet.
    """

    def __init__(self, redis_url: str, waiting_max: int = ANNOUNCEMENT_QUEUE_MAX) -> None:
        self.dropped = 0
        self.lost = False
        self._client = redis.from_url(
            redis_url, socket_timeout=_SOCKET_TIMEOUT_S, socket_connect_timeout=_CONNECT_TIMEOUT_S
        )
        self._queue: deque[tuple[str, bytes]] = deque(maxlen=waiting_max)
        self._wake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start to publish; ``stop`` ends it."""
        self._task = asyncio.create_task(self._publish_forever(), name="announcer")

    def publish(self, channel: str, message: bytes) -> None:
        """Queue one message."""
        if len(self._queue) == self._queue.maxlen:
            self.dropped += 1
            self.lost = True
        self._queue.append((channel, message))
        self._wake.set()

    @property
    def waiting(self) -> int:
        """The number of messages that wait to be published."""
        return len(self._queue)

    async def stop(self) -> None:
        """Stop and close the connection."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._client.aclose()

    async def _publish_forever(self) -> None:
        # A cancellation that comes together with a time-out of the client is forgotten by Python 3.11.
        while not self._stopping:
            await self._wake.wait()
            self._wake.clear()
            while (self._queue or self.lost) and not self._stopping:
                batch = [self._queue.popleft() for _ in range(len(self._queue))]
                if self.lost:
                    batch.append((GAP_CHANNEL, b""))
                self.lost = False
                try:
                    await self._send(batch)
                except (RedisError, OSError, TimeoutError):
                    # Listeners whose connections were open can't know it otherwise: the repeated updates, which make
                    # up for lost ones, may have been in this batch as well.
                    self.lost = True
                    await asyncio.sleep(_RETRY_S)

    async def _send(self, batch: list[tuple[str, bytes]]) -> None:
        if len(batch) == 1:
            await self._client.publish(*batch[0])
            return
        async with self._client.pipeline(transaction=False) as pipeline:
            for channel, message in batch:
                pipeline.publish(channel, message)
            await pipeline.execute()


class Listener:
    """Receives announcements. Reconnects for ever; ``messages`` yields None whenever some may have been missed."""

    def __init__(self, redis_url: str, channels: Sequence[str]) -> None:
        self._client = redis.from_url(
            redis_url, socket_timeout=_SOCKET_TIMEOUT_S, socket_connect_timeout=_CONNECT_TIMEOUT_S
        )
        self._channels = [*channels, GAP_CHANNEL]
        self.connected = False

    async def messages(self) -> AsyncIterator[tuple[str, bytes] | None]:
        """(channel, message) as they come; None after each (re)connection, and when an announcer lost something."""
        while True:
            try:
                async with self._client.pubsub() as pubsub:
                    await pubsub.subscribe(*self._channels)
                    pinged = False
                    while True:
                        check_cancelled()
                        message = await pubsub.get_message(timeout=_QUIET_S)
                        if message is not None:
                            pinged = False
                            for item in self._messages_in(message):
                                yield item
                        elif pinged:
                            raise TimeoutError("Redis is silent")
                        else:
                            pinged = True
                            await pubsub.ping()
            except (RedisError, OSError, TimeoutError):
                self.connected = False
                await asyncio.sleep(_RETRY_S)

    def _messages_in(self, message: dict[str, Any]) -> Iterator[tuple[str, bytes] | None]:
        kind = message["type"]
        if kind == "subscribe" and message["data"] == len(self._channels):
            # Only now: messages published before the last channel is subscribed are not received.
            self.connected = True
            yield None
        elif kind == "message":
            channel = message["channel"].decode()
            yield None if channel == GAP_CHANNEL else (channel, message["data"])

    async def ping(self) -> bool:
        """Whether Redis answers."""
        try:
            return bool(await self._client.ping())
        except (RedisError, OSError, TimeoutError):
            return False

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()
