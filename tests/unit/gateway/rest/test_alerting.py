"""The task that tells users of auctions goes on, whatever happens."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

from virtual_time import VirtualClock, virtual

from gateway.rest.notifications.alerting import tell_for_ever
from gateway.rest.services import Services
from persistence.notifications.alerts import PAGE_TIDINGS, Told
from persistence.postgres.errors import StoreUnavailable


class Alerts:
    """What each look at the database comes to."""

    def __init__(self, *outcomes: Told | Exception) -> None:
        self._outcomes = list(outcomes)
        self.limits: list[int] = []
        self.done = asyncio.Event()

    async def tell(self, now_ms: int, limit: int) -> Told:
        self.limits.append(limit)
        if not self._outcomes:
            self.done.set()
            return Told(0, [])
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@virtual
async def test_full_pages_follow_at_once_and_after_a_failure_comes_a_small_one():
    alerts = Alerts(Told(PAGE_TIDINGS, [1, 2]), StoreUnavailable("too slow"), ValueError("a fault"), Told(1, [3]))
    told: list[Sequence[int]] = []
    watching: Any = SimpleNamespace(alerts=alerts, told=told.append)
    services = cast(Services, SimpleNamespace(watching=watching, now_ms=VirtualClock().now_ms))
    task = asyncio.create_task(tell_for_ever(services))
    await alerts.done.wait()
    task.cancel()
    assert told == [[1, 2], [3]]
    assert alerts.limits == [PAGE_TIDINGS, PAGE_TIDINGS, 1, 1, 2]
