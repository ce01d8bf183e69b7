"""The cache of the catalog in Redis. Keys include the catalog's change counts, so entries are never stale.

If Redis is unavailable, slow or empty, the catalog is read from PostgreSQL.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import redis.asyncio as redis
from redis.exceptions import RedisError

KEPT_S = 300
ENTRY_BYTES_MAX = 64 * 1024
# Bytes that one gateway may put within the lifetime of an entry: it never has more than twice that in Redis.
WRITTEN_BYTES_MAX = 32 * 1024 * 1024
ANSWER_WITHIN_S = 0.02
# After a failure Redis is not asked for this time.
REST_S = 1.0
CONNECTIONS_MAX = 16
_PREFIX = b"ece:catalog:2:"
_LOST = (RedisError, OSError, TimeoutError)


class CatalogCache:
    """Bytes by key. Never raises errors of Redis, and waits for it at most ``answer_within_s``."""

    def __init__(
        self, redis_url: str, clock_s: Callable[[], float] = time.monotonic, answer_within_s: float = ANSWER_WITHIN_S
    ) -> None:
        connections = redis.BlockingConnectionPool.from_url(
            redis_url, max_connections=CONNECTIONS_MAX, timeout=answer_within_s, socket_timeout=answer_within_s,
            socket_connect_timeout=answer_within_s,
        )  # fmt: skip
        self._client = redis.Redis.from_pool(connections)
        self._clock_s = clock_s
        self._answer_within_s = answer_within_s
        self._rests_until = 0.0
        self._written = 0
        self._written_since = clock_s()
        self.hits = 0
        self.misses = 0

    async def get(self, key: bytes) -> bytes | None:
        """The content of this key; None if there is none, or Redis does not answer in time."""
        found: Any = None
        if self._clock_s() >= self._rests_until:
            try:
                async with asyncio.timeout(self._answer_within_s):
                    found = await self._client.get(_PREFIX + key)
            except _LOST:
                self._rest()
        self.hits += found is not None
        self.misses += found is None
        return found if isinstance(found, bytes) else None

    async def put(self, key: bytes, content: bytes) -> None:
        """Store it for KEPT_S, unless it is too large, or the limit of bytes is reached."""
        now = self._clock_s()
        if now - self._written_since >= KEPT_S:
            self._written, self._written_since = 0, now
        room = WRITTEN_BYTES_MAX - self._written
        if now < self._rests_until or len(content) > min(room, ENTRY_BYTES_MAX):
            return
        self._written += len(content)
        try:
            async with asyncio.timeout(self._answer_within_s):
                await self._client.set(_PREFIX + key, content, ex=KEPT_S)
        except _LOST:
            self._rest()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _rest(self) -> None:
        self._rests_until = self._clock_s() + REST_S
