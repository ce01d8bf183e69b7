"""When and from where sessions were used last, in Redis. May be lost: PostgreSQL knows the sessions themselves."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import msgspec
import redis.asyncio as redis
from redis.exceptions import RedisError

ANSWER_WITHIN_S = 0.5
PREFIX = "ece:session:"
_LOST = (RedisError, OSError, TimeoutError)
# After a failure Redis is not asked for this time.
REST_S = 1.0


class UsesUnavailable(Exception):
    """Redis did not answer in time."""


class SessionUse(msgspec.Struct, frozen=True):
    """The last use of a session, in milliseconds, and by which address and device."""

    at: int
    address: str
    device: str


class SessionUses:
    """One key for each session, for as long as the session can last. Waits at most ANSWER_WITHIN_S."""

    def __init__(self, redis_url: str, kept_s: int) -> None:
        connections = redis.BlockingConnectionPool.from_url(
            redis_url, max_connections=2, timeout=ANSWER_WITHIN_S, socket_timeout=ANSWER_WITHIN_S,
            socket_connect_timeout=ANSWER_WITHIN_S,
        )  # fmt: skip
        self._client = redis.Redis.from_pool(connections)
        self._kept_s = kept_s
        self._rests_until = 0.0

    async def record(self, uses: Mapping[str, SessionUse]) -> None:
        """Store the uses of these sessions, in one round trip. Raises UsesUnavailable."""
        async with self._answered(), self._client.pipeline(transaction=False) as pipeline:
            for session, use in uses.items():
                pipeline.set(PREFIX + session, msgspec.json.encode(use), ex=self._kept_s)
            await pipeline.execute()

    async def of(self, sessions: Sequence[str]) -> dict[str, SessionUse]:
        """The last uses of those sessions that have one. Raises UsesUnavailable."""
        if not sessions:
            return {}
        async with self._answered():
            values = await self._client.mget([PREFIX + session for session in sessions])
        found = zip(sessions, values, strict=True)
        return {session: msgspec.json.decode(value, type=SessionUse) for session, value in found if value is not None}

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    @asynccontextmanager
    async def _answered(self) -> AsyncIterator[None]:
        """Around calls: their deadline, and one error for all failures."""
        if time.monotonic() < self._rests_until:
            raise UsesUnavailable("Redis has not answered a moment ago")
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                yield
        except _LOST as error:
            self._rests_until = time.monotonic() + REST_S
            raise UsesUnavailable(str(error) or type(error).__name__) from error
