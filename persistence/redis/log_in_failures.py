"""Counts of wrong passwords in Redis, shared by all gateways. They are forgotten a day after the last one."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import redis.asyncio as redis
from redis.exceptions import RedisError

ANSWER_WITHIN_S = 0.25
CONNECTIONS_MAX = 8
KEPT_S = 24 * 3600
# Longer than it takes to check a password: a try of a gateway that died ends after this time.
OPEN_KEPT_S = 60
# An address from which a user has logged in is known to be theirs for this time.
KNOWN_KEPT_S = 30 * 24 * 3600
PREFIX = "ece:failures:"
_LOST = (RedisError, OSError, TimeoutError)


class CountsUnavailable(Exception):
    """Redis did not answer in time."""


class Failures(msgspec.Struct, frozen=True):
    """How many wrong passwords there were, and when the last one was (ms)."""

    count: int = 0
    last_ms: int = 0


class FailureCounts:
    """Keys are hashes that the caller makes. Every method may raise CountsUnavailable."""

    def __init__(self, redis_url: str) -> None:
        connections = redis.BlockingConnectionPool.from_url(
            redis_url, max_connections=CONNECTIONS_MAX, timeout=ANSWER_WITHIN_S, socket_timeout=ANSWER_WITHIN_S,
            socket_connect_timeout=ANSWER_WITHIN_S,
        )  # fmt: skip
        self._client = redis.Redis.from_pool(connections)

    async def read(self, keys: Sequence[str], known: str) -> tuple[list[Failures], bool]:
        """The counts of these keys, and whether this one is known."""
        pipeline = self._client.pipeline(transaction=False)
        for key in keys:
            pipeline.hmget(PREFIX + key, ["count", "last_ms"])
        pipeline.exists(f"{PREFIX}known:{known}")
        *rows, is_known = await self._run(pipeline)
        return [Failures(int(row[0] or 0), int(row[1] or 0)) for row in rows], bool(is_known)

    async def failed(self, keys: Sequence[str], now_ms: int) -> list[int]:
        """One more wrong password for each key; the new counts."""
        pipeline = self._client.pipeline()
        for key in keys:
            pipeline.hincrby(PREFIX + key, "count", 1)
            pipeline.hset(PREFIX + key, "last_ms", str(now_ms))
            pipeline.expire(PREFIX + key, KEPT_S)
        return [int(count) for count in (await self._run(pipeline))[::3]]

    async def begin(self, key: str, one: str, now_ms: int) -> int:
        """A password of this key is being checked, under a name of its own; how many are, with this one."""
        # Each with its time: a count with one time to live would be renewed by every further try, and never end.
        pipeline, name = self._client.pipeline(), f"{PREFIX}tries:{key}"
        pipeline.zremrangebyscore(name, "-inf", now_ms - 1_000 * OPEN_KEPT_S)
        pipeline.zadd(name, {one: now_ms})
        pipeline.zcard(name)
        pipeline.expire(name, OPEN_KEPT_S)
        return int((await self._run(pipeline))[2])

    async def end(self, key: str, one: str) -> None:
        """It was checked."""
        pipeline = self._client.pipeline()
        pipeline.zrem(f"{PREFIX}tries:{key}", one)
        await self._run(pipeline)

    async def succeeded(self, keys: Sequence[str], known: str | None) -> None:
        """Forget the counts; ``known`` is known from now on."""
        pipeline = self._client.pipeline()
        for key in keys:
            pipeline.delete(PREFIX + key)
        if known is not None:
            pipeline.set(f"{PREFIX}known:{known}", "1", ex=KNOWN_KEPT_S)
        await self._run(pipeline)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _run(self, pipeline: redis.client.Pipeline) -> list[Any]:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                found: list[Any] = await pipeline.execute()
        except _LOST as error:
            raise CountsUnavailable(str(error) or type(error).__name__) from error
        return found
