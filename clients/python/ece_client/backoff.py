"""Delays between attempts: exponential, with jitter, bounded. And the retry of a command until its outcome is known."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ece_client.errors import ACCESS_CODES, ConnectionLost, EceError, NotAnswered, OutcomeUnknown, Refused

FIRST_S = 0.05
MAX_S = 1.0
DOUBLINGS_MAX = 16

Answered = TypeVar("Answered")
OnRetry = Callable[[Exception], None]


class Backoff:
    """The delay before each next attempt: half to all of an exponentially rising time, so that clients spread."""

    def __init__(self, first_s: float = FIRST_S, max_s: float = MAX_S) -> None:
        self._first_s = first_s
        self._max_s = max_s
        self._failures = 0

    def next_s(self, at_least_s: float = 0.0) -> float:
        """The next delay; longer than what the server asked for, by up to a quarter."""
        wait_s: float = min(self._max_s, self._first_s * 2.0 ** min(self._failures, DOUBLINGS_MAX))
        self._failures += 1
        return max(wait_s * random.uniform(0.5, 1.0), at_least_s * random.uniform(1.0, 1.25))

    def reset(self) -> None:
        """An attempt has succeeded: the next delay is the first one again."""
        self._failures = 0


async def until_known(
    attempt: Callable[[float], Awaitable[Answered]], key: str, deadline_s: float, on_retry: OnRetry | None = None
) -> Answered:
    """Make attempts until the outcome is known. Each has to send the same key; it gets the seconds that are left.

    Raises Refused where the server decided, OutcomeUnknown at the deadline, or where the user may not send it any more,
    if any attempt may have been carried out, and the last failure if none was. Reads have no key: their outcome does
    not matter.
    """
    ends_s = time.monotonic() + deadline_s
    backoff = Backoff()
    unknown = False
    while True:
        try:
            return await attempt(ends_s - time.monotonic())
        except Refused as refused:
            if not refused.retryable:
                if unknown and key and refused.code in ACCESS_CODES:
                    raise OutcomeUnknown(key, refused) from refused
                raise
            failure: EceError = refused
            unknown = unknown or refused.outcome_unknown
        except (ConnectionLost, NotAnswered) as lost:
            failure = lost
            unknown = unknown or lost.sent
        wait_s = backoff.next_s(failure.retry_after_s)
        final = isinstance(failure, ConnectionLost) and failure.final
        if final or time.monotonic() + wait_s >= ends_s:
            if unknown and key:
                raise OutcomeUnknown(key, failure) from failure
            raise failure
        if on_retry is not None:
            on_retry(failure)
        await asyncio.sleep(wait_s)
