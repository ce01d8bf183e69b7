"""Limits of attempts to log in, shared with the log-ins by password."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request

from gateway.http.problems import Problem
from gateway.identity.attempts import caller_of
from gateway.limits.limiter import Attempts
from gateway.rest.services import Services
from persistence.audit.trail import Act
from persistence.identity.challenges import ChallengeExpired


class WayAttempts:
    """By address, for those without a token."""

    def __init__(self, services: Services) -> None:
        limits, limiter = services.limits, services.limiter
        self._by_address = Attempts(
            limiter, "attempts",
            per_minute_max=limits.attempts_per_minute, burst=limits.attempts_burst, callers_max=limits.callers_max,
        )  # fmt: skip

    async def of_address(self, request: Request, now_ms: int) -> None:
        """Count an attempt of the client's address. Raises TooManyAttempts."""
        await self._by_address.attempt(caller_of(request.client.host if request.client else None), now_ms)


@asynccontextmanager
async def failures_recorded(services: Services, way: str) -> AsyncIterator[None]:
    """A log-in by this way that is refused within is in the audit trail. Whose it was, nobody knows."""
    try:
        yield
    except (Problem, ChallengeExpired):
        await services.audit.record(Act("login.failed", subject=way))
        raise
