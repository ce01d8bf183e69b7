"""Notifies users of auctions that have opened, will end or have ended, and of trades.

Announcements tell the gateways who has new notifications; they read them from the database.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from actors.workers.job import Job, Later
from domain.ids import parse_id
from persistence.jobs.store import Claimed
from persistence.notifications.alerts import NOTIFY
from persistence.notifications.followers import NOTIFY_FOLLOWERS
from persistence.notifications.outbid import NOTIFY_OUTBID
from persistence.redis.announcements import USERS_CHANNEL
from persistence.trades.alerts import NOTIFY_TRADE

USERS_PER_MESSAGE = 1_000


class Notifies(Protocol):
    """``persistence.notifications.alerts``, ``persistence.trades.alerts``. May raise StoreUnavailable, LeaseLost."""

    async def notify(self, jobs: Sequence[Claimed], now_ms: int) -> Sequence[int]:
        """Notify users, and complete the jobs; returns the users with new notifications."""


class NotifyUsers(Job):
    """``key``: ``opened:``, ``ending:`` or ``ended:`` and the auction's id."""

    kind = NOTIFY
    batch_max = 100
    gather_s = 0.1

    def __init__(self, alerts: Notifies, now_ms: Callable[[], int], publish: Callable[[str, bytes], None]) -> None:
        """``publish(channel, message)`` announces who has new notifications; gateways read them from the database."""
        self._alerts = alerts
        self._now_ms = now_ms
        self._publish = publish

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        users = await self._alerts.notify(jobs, self._now_ms())
        for first in range(0, len(users), USERS_PER_MESSAGE):
            self._publish(USERS_CHANNEL, msgspec.msgpack.encode(users[first : first + USERS_PER_MESSAGE]))
        return []


class NotifyTraders(NotifyUsers):
    """``key``: a trade's id, and a place in its log; ``payload``: the place up to which its parties were notified."""

    kind = NOTIFY_TRADE
    batch_max = 500


class NotifyFollowers(NotifyUsers):
    """``key``: an auction that opened, and the last of its seller's followers who were notified."""

    kind = NOTIFY_FOLLOWERS
    batch_max = 10


class NotifyOutbid(NotifyUsers):
    """``key``: an auction, and a user who led it."""

    kind = NOTIFY_OUTBID
    batch_max = 200


class AnnounceUsers(Job):
    """``key``: a user. Written by ``notify_user`` in the database, with the notification."""

    kind = "announce_users"
    batch_max = 500

    def __init__(self, publish: Callable[[str, bytes], None]) -> None:
        self._publish = publish

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        self._publish(USERS_CHANNEL, msgspec.msgpack.encode(sorted(parse_id(job.key) for job in jobs)))
        return []
