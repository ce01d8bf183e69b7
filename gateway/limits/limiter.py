"""The rate limiter of a gateway: buckets in Redis, and buckets of its own while Redis does not answer."""

import hashlib
import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from typing import Literal

import structlog

from domain.rate_limit import Ask, Taken, per_minute, take, take_together
from gateway.identity.attempts import AttemptLimiter, TooManyAttempts
from persistence.redis.rate_limits import LimiterUnavailable, RateLimits

CALLERS_MAX = 10_000
REPORT_EVERY_S = 10.0

# What a gateway does while Redis does not answer: admit all, or count by itself.
OnFailure = Literal["open", "local"]

log = structlog.get_logger(__name__)


class LocalBuckets:
    """The same buckets in memory. In a full table the least recently used one is removed."""

    def __init__(self, callers_max: int = CALLERS_MAX) -> None:
        self._callers_max = callers_max
        self._full_at_us: OrderedDict[str, int] = OrderedDict()

    def take(self, asks: Sequence[Ask], now_us: int, *, together: bool) -> list[Taken]:
        """As ``RateLimits.take``."""
        before = [self._full_at_us.get(ask.key, 0) for ask in asks]
        if together:
            after, taken = take_together(asks, before, now_us)
        else:
            results = [take(ask, full_at, now_us) for ask, full_at in zip(asks, before, strict=True)]
            after, taken = [full_at for full_at, _ in results], [one for _, one in results]
        for ask, full_at in zip(asks, after, strict=True):
            self._full_at_us[ask.key] = full_at
            self._full_at_us.move_to_end(ask.key)
        while len(self._full_at_us) > self._callers_max:
            self._full_at_us.popitem(last=False)
        return taken


class Limiter:
    """Takes tokens of shared buckets. ``refused`` counts refusals by policy, ``failures`` the calls without Redis."""

    def __init__(
        self,
        shared: RateLimits | None = None,
        on_failure: OnFailure = "local",
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Without ``shared`` this gateway counts for itself alone."""
        self._shared = shared
        self._on_failure = on_failure
        self._clock_s = clock_s
        self._local = LocalBuckets()
        self._reported_s = -math.inf
        self.failures = 0
        self.refused: Counter[str] = Counter()

    async def take(self, asks: Sequence[Ask], *, together: bool = True) -> list[Taken]:
        """Tokens of all buckets or of none; with ``together=False`` of each on its own. Never raises."""
        taken = await self.take_shared(asks, together=together)
        if taken is None and self._shared is not None and self._on_failure == "open":
            taken = [Taken(ask.most, ask.rate.burst, 0, 0) for ask in asks]
        elif taken is None:
            taken = self._local.take(asks, int(self._clock_s() * 1_000_000), together=together)
        for ask, one in zip(asks, taken, strict=True):
            if one.retry_us:
                self.refused[policy_of(ask)] += 1
        return taken

    async def take_shared(self, asks: Sequence[Ask], *, together: bool = True) -> list[Taken] | None:
        """Tokens of the buckets in Redis; None if it does not answer, or there is none."""
        if self._shared is None:
            return None
        try:
            return await self._shared.take(asks, together=together)
        except LimiterUnavailable as error:
            self._failed(error)
            return None

    async def stop(self) -> None:
        """Close the connections to Redis."""
        if self._shared is not None:
            await self._shared.close()

    def _failed(self, error: LimiterUnavailable) -> None:
        self.failures += 1
        now_s = self._clock_s()
        if now_s - self._reported_s >= REPORT_EVERY_S:
            self._reported_s = now_s
            log.warning("rate_limiter_unavailable", on_failure=self._on_failure, error=str(error))


class Attempts:
    """Attempts to log in: counted in this gateway and in Redis, so that Redis is not asked about most of a flood.

    Without Redis the count of this gateway remains, whatever the setting for failures says.
    """

    def __init__(self, limiter: Limiter, policy: str, *, per_minute_max: int, burst: int, callers_max: int) -> None:
        self._limiter = limiter
        self._policy = policy
        self._rate = per_minute(per_minute_max, burst)
        self._local = AttemptLimiter(per_minute=per_minute_max, burst=burst, callers_max=callers_max)

    async def attempt(self, caller: str, now_ms: int) -> None:
        """Count an attempt. Raises TooManyAttempts."""
        self._local.attempt(caller, now_ms)
        # Logins are what clients typed: Redis gets hashes of them.
        digest = hashlib.sha256(caller.encode()).hexdigest()[:32]
        taken = await self._limiter.take_shared([Ask.exactly(f"{self._policy}:{digest}", self._rate)])
        if taken is not None and taken[0].retry_us:
            self._limiter.refused[self._policy] += 1
            raise TooManyAttempts(-(-taken[0].retry_us // 1000), self._rate.burst, self._rate.window_s)


def policy_of(ask: Ask) -> str:
    """The part of a key before the caller."""
    return ask.key.partition(":")[0]


def headers_of(asks: Sequence[Ask], taken: Sequence[Taken]) -> dict[str, str]:
    """The fields of the IETF draft: each policy with its quota and window (s), and what remains until when (s)."""
    pairs = list(zip(asks, taken, strict=True))
    return {
        "RateLimit-Policy": ", ".join(
            f'"{policy_of(ask)}";q={ask.rate.burst};w={ask.rate.window_s}' for ask, _ in pairs
        ),
        "RateLimit": ", ".join(
            f'"{policy_of(ask)}";r={one.remaining};t={-(-(one.retry_us or one.full_us) // 1_000_000)}'
            for ask, one in pairs
        ),
    }
