"""Announcements over Redis: what hosts tell all gateways. They may be lost; the log is what counts.

A channel is a group of slots, so that a gateway hears only of groups that it has watchers in.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence

import redis.asyncio as redis
from redis.exceptions import RedisError

CHANNEL_GROUPS = 16
DIRECTORY_CHANNEL = "ece:directory"
ANNOUNCEMENT_QUEUE_MAX = 1_000
_RETRY_S = 0.25
_SOCKET_TIMEOUT_S = 5.0


def news_channel(slot: int) -> str:
    """Where news of the auctions in this slot is published."""
    return f"ece:news:{slot % CHANNEL_GROUPS}"


class Announcer:
    """Publishes without making anyone wait: a bounded queue, of which the oldest go first when Redis is away."""

    def __init__(self, redis_url: str, waiting_max: int = ANNOUNCEMENT_QUEUE_MAX) -> None:
        self.dropped = 0
        self._client = redis.from_url(redis_url, socket_timeout=_SOCKET_TIMEOUT_S, socket_connect_timeout=2.0)
        self._queue: deque[tuple[str, bytes]] = deque(maxlen=waiting_max)
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin publishing; ``stop`` ends it."""
        self._task = asyncio.create_task(self._publish_forever(), name="announcer")

    def publish(self, channel: str, message: bytes) -> None:
        """Queue one message."""
        self.dropped += len(self._queue) == self._queue.maxlen
        self._queue.append((channel, message))
        self._wake.set()

    @property
    def waiting(self) -> int:
        """How many messages wait to be published."""
        return len(self._queue)

    async def stop(self) -> None:
        """Stop and close the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._client.aclose()

    async def _publish_forever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                batch = [self._queue.popleft() for _ in range(len(self._queue))]
                try:
                    await self._send(batch)
                except (RedisError, OSError, TimeoutError):
                    # What was lost is found by sequence gaps and by the heads that follow.
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
    """Hears announcements. Reconnects for ever; ``heard`` yields None after each (re)connection: mind the gap."""

    def __init__(self, redis_url: str, channels: Sequence[str]) -> None:
        self._client = redis.from_url(redis_url, socket_connect_timeout=2.0, health_check_interval=5)
        self._channels = list(channels)
        self.connected = False

    async def heard(self) -> AsyncIterator[tuple[str, bytes] | None]:
        """(channel, message) as they come; None whenever messages may have been missed before."""
        while True:
            try:
                async with self._client.pubsub(ignore_subscribe_messages=True) as pubsub:
                    await pubsub.subscribe(*self._channels)
                    self.connected = True
                    yield None
                    while True:
                        message = await pubsub.get_message(timeout=_SOCKET_TIMEOUT_S)
                        if message is not None:
                            yield message["channel"].decode(), message["data"]
            except (RedisError, OSError, TimeoutError):
                self.connected = False
                await asyncio.sleep(_RETRY_S)

    async def ping(self) -> bool:
        """Whether Redis answers."""
        try:
            return bool(await self._client.ping())
        except (RedisError, OSError, TimeoutError):
            return False

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()
