"""Rate limits in Redis, shared by all gateways: one script, which takes of several buckets in one round trip."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import redis.asyncio as redis
from redis.exceptions import RedisError

from domain.rate_limit import Ask, Taken

ANSWER_WITHIN_S = 0.25
# After a failure Redis is not asked for this time.
REST_S = 1.0
CONNECTIONS_MAX = 16
PREFIX = "ece:limit:"
_SCRIPT = Path(__file__).with_suffix(".lua").read_text()
_LOST = (RedisError, OSError, TimeoutError)


class LimiterUnavailable(Exception):
    """Redis did not answer in time, or has not a moment ago."""


class RateLimits:
    """The buckets. Waits at most ``answer_within_s`` for Redis."""

    def __init__(
        self, redis_url: str, clock_s: Callable[[], float] = time.monotonic, answer_within_s: float = ANSWER_WITHIN_S
    ) -> None:
        connections = redis.BlockingConnectionPool.from_url(
            redis_url, max_connections=CONNECTIONS_MAX, timeout=answer_within_s, socket_timeout=answer_within_s,
            socket_connect_timeout=answer_within_s,
        )  # fmt: skip
        self._client = redis.Redis.from_pool(connections)
        self._script = self._client.register_script(_SCRIPT)
        self._clock_s = clock_s
        self._answer_within_s = answer_within_s
        self._rests_until = 0.0

    async def take(self, asks: Sequence[Ask], *, together: bool) -> list[Taken]:
        """Take tokens; ``together``: of all buckets or of none. Raises LimiterUnavailable."""
        if self._clock_s() < self._rests_until:
            raise LimiterUnavailable("Redis has not answered a moment ago")
        arguments: list[int] = [int(together)]
        for ask in asks:
            arguments += (ask.rate.interval_us, ask.rate.burst, ask.least, ask.most, ask.debt)
        try:
            async with asyncio.timeout(self._answer_within_s):
                rows = await self._script(keys=[PREFIX + ask.key for ask in asks], args=arguments)
        except _LOST as error:
            self._rests_until = self._clock_s() + REST_S
            raise LimiterUnavailable(str(error) or type(error).__name__) from error
        return [Taken(*row) for row in rows]

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
