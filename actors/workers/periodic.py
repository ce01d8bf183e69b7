"""Periodic jobs; each runs on one worker at a time."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from actors.workers.job import Job, Later
from persistence.analytics.following import Step
from persistence.audit.chain import BATCH_MAX
from persistence.audit.trail import AuditCheck
from persistence.jobs.store import Claimed

# The pause between two steps of analytics is as long as the last step took, and at least this long.
REST_MS = 20
# Who has deleted so many rows has probably left some: no page is smaller. The others follow after this pause.
MUCH = 100
AGAIN_MS = 5_000

log = structlog.get_logger(__name__)

Task = Callable[[int], Awaitable[object]]
CountedTask = Callable[[int], Awaitable[int | None]]


class Maintenance(Job):
    """Deletes expired rows, and releases expired holds: each task is called with the time (ms), and does a page.

    What a task returns, if it counts, is how many rows it did. More than a page may expire in an hour, so it runs again
    soon where a task did many.
    """

    kind = "maintenance"
    every_ms = 3_600_000

    def __init__(self, tasks: Sequence[CountedTask], now_ms: Callable[[], int]) -> None:
        self._tasks = tasks
        self._now_ms = now_ms

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        counts = [await task(self._now_ms()) for task in self._tasks]
        much = any(count is not None and count >= MUCH for count in counts)
        return [Later(job, AGAIN_MS) for job in jobs] if much else []


class _Expire(Job):
    """``expire_due`` is called with the time (ms)."""

    every_ms = 5_000

    def __init__(self, expire_due: Task, now_ms: Callable[[], int]) -> None:
        self._expire_due = expire_due
        self._now_ms = now_ms

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        await self._expire_due(self._now_ms())
        return []


class ExpireOffers(_Expire):
    """Ends second-chance offers that have expired."""

    kind = "expire_offers"


class ExpireSwaps(_Expire):
    """Ends swaps that nobody has signed in time."""

    kind = "expire_swaps"


class AuditChain(Protocol):
    """``persistence.audit.chain.AuditChain``."""

    async def extend(self) -> int: ...


class ChainAudit(Job):
    """Chains new entries of the audit trail, a batch at a time."""

    kind = "chain_audit"
    every_ms = 2_000

    def __init__(self, chain: AuditChain) -> None:
        self._chain = chain

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        while await self._chain.extend() == BATCH_MAX:
            pass
        return []


class AuditChecks(Protocol):
    """``persistence.audit.checks.AuditChecks``."""

    async def run(self, now_ms: int) -> AuditCheck: ...


class VerifyAudit(Job):
    """Checks the newest part of the audit trail, and a part of the rest; what is wrong is logged as an error."""

    kind = "verify_audit"
    every_ms = 60_000

    def __init__(self, checks: AuditChecks, now_ms: Callable[[], int]) -> None:
        self._checks = checks
        self._now_ms = now_ms

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        found = await self._checks.run(self._now_ms())
        if found.findings:
            log.error("audit_trail_broken", findings=list(found.findings), next_step="run `ece audit verify`")
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
