"""Periodic jobs; each runs on one worker at a time."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from actors.workers.job import Job, Later
from persistence.analytics.following import Step
from persistence.jobs.store import Claimed

# The pause between two steps of analytics is as long as the last step took, and at least this long.
REST_MS = 20

Task = Callable[[int], Awaitable[object]]


class Maintenance(Job):
    """Deletes expired rows, and releases expired holds: each task is called with the time (ms)."""

    kind = "maintenance"
    every_ms = 3_600_000

    def __init__(self, tasks: Sequence[Task], now_ms: Callable[[], int]) -> None:
        self._tasks = tasks
        self._now_ms = now_ms

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        for task in self._tasks:
            await task(self._now_ms())
        return []


class ExpireOffers(Job):
    """Ends second-chance offers that have expired."""

    kind = "expire_offers"
    every_ms = 5_000

    def __init__(self, expire_due: Task, now_ms: Callable[[], int]) -> None:
        self._expire_due = expire_due
        self._now_ms = now_ms

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        await self._expire_due(self._now_ms())
        return []


class Analytics(Protocol):
    """``persistence.analytics.following.Analytics``."""

    async def step(self, now_ms: int) -> Step: ...


class UpdateAnalytics(Job):
    """Brings the read models of portfolios and the market up to date, a step a run."""

    kind = "update_analytics"
    every_ms = 2_000
    timeout_s = 300.0

    def __init__(self, analytics: Analytics, now_ms: Callable[[], int]) -> None:
        self._analytics = analytics
        self._now_ms = now_ms

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        began = self._now_ms()
        step = await self._analytics.step(began)
        if step.idle or step.busy:
            return []
        return [Later(job, max(REST_MS, self._now_ms() - began)) for job in jobs]
