"""Notifies users of auctions that have opened, will end or have ended."""

from collections.abc import Callable, Sequence

import msgspec

from actors.workers.job import Job, Later
from persistence.jobs.store import Claimed
from persistence.notifications.alerts import NOTIFY, Alerts
from persistence.redis.announcements import USERS_CHANNEL

USERS_PER_MESSAGE = 1_000


class NotifyUsers(Job):
    """``key``: ``opened:``, ``ending:`` or ``ended:`` and the auction's id."""

    kind = NOTIFY
    batch_max = 100

    def __init__(self, alerts: Alerts, now_ms: Callable[[], int], publish: Callable[[str, bytes], None]) -> None:
        """``publish(channel, message)`` announces who has new notifications; gateways read them from the database."""
        self._alerts = alerts
        self._now_ms = now_ms
        self._publish = publish

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        users = await self._alerts.notify(jobs, self._now_ms())
        for first in range(0, len(users), USERS_PER_MESSAGE):
            self._publish(USERS_CHANNEL, msgspec.msgpack.encode(users[first : first + USERS_PER_MESSAGE]))
        return []
