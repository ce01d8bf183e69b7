"""Periodically anchors the hash chains of ended entities."""

from collections.abc import Callable, Sequence
from typing import Protocol

from actors.workers.job import Job, Later
from persistence.jobs.store import Claimed

# An auction that has ended is settled within about a second, and the log has that, too: one leaf for both.
REST_MS = 3_000


class Anchors(Protocol):
    """``persistence.log.anchors.Anchors``."""

    async def collect(self, now_ms: int, rest_ms: int, longest_ms: int) -> int: ...


class AnchorEnded(Job):
    """Makes an anchor of what has ended, after a time, or sooner if it is much."""

    kind = "anchor_ended"
    every_ms = 1_000

    def __init__(self, anchors: Anchors, longest_ms: int, now_ms: Callable[[], int]) -> None:
        """``longest_ms``: for how long an entity waits for others to share its anchor."""
        self._anchors = anchors
        self._longest_ms = longest_ms
        self._now_ms = now_ms

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        longest_ms = self._longest_ms
        collected = await self._anchors.collect(self._now_ms(), min(REST_MS, longest_ms), longest_ms)
        return [Later(job, 0) for job in jobs] if collected else []
