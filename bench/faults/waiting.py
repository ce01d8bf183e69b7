"""Waiting for conditions."""

import asyncio
import time
from collections.abc import Callable
from inspect import isawaitable

POLL_S = 0.02


class NotInTime(AssertionError):
    """A condition was not met before the deadline."""


async def until(condition: Callable[[], object], what: str, within_s: float, poll_s: float = POLL_S) -> None:
    """Wait for a condition, which may have to be awaited. Raises NotInTime, which names it, when the time is up."""
    deadline = time.monotonic() + within_s
    while True:
        met = condition()
        if await met if isawaitable(met) else met:
            return
        if time.monotonic() > deadline:
            raise NotInTime(f"not within {within_s:g} s: {what}")
        await asyncio.sleep(poll_s)
