"""Pushes notifications to browsers. Triggers in the database add the jobs, with the notifications."""

import asyncio
import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import aiohttp
import msgspec

from actors.workers.job import Job, Later, Retry
from actors.workers.mail.account_mails import Finishes
from actors.workers.mail.templates import notification_line, notification_subject
from actors.workers.push.quiet_hours import quiet_for_ms
from actors.workers.push.sending import PushFailed
from domain.ids import parse_id
from persistence.jobs.store import Claimed
from persistence.push.digests import PUSH_NOTIFICATIONS, PushDigest
from persistence.push.subscriptions import Subscription

# What a message may be about: the browser opens its page.
_ABOUT = ("auction", "trade", "card", "mint")


class Sends(Protocol):
    """``actors.workers.push.sending.PushSender``."""

    async def send(self, http: aiohttp.ClientSession, to: Subscription, message: bytes, topic: str) -> bool: ...


class Digests(Protocol):
    """``persistence.push.digests.NotificationPushes``. May raise StoreUnavailable."""

    async def due(self, user: int, kind: str, now_ms: int) -> PushDigest | None: ...
    async def sent(self, user: int, kind: str, seq: int, now_ms: int) -> None: ...


class Subscriptions(Protocol):
    """``persistence.push.subscriptions.PushSubscriptions``. May raise StoreUnavailable."""

    async def gone(self, endpoints: list[str]) -> None: ...


class PushNotifications(Job):
    """``key``: a user and a kind of notifications. What came meanwhile is pushed together, outside of quiet hours.

    A browser may get a message twice, with the same tag, and shows it once.
    """

    kind = PUSH_NOTIFICATIONS
    batch_max = 20
    timeout_s = 240.0
    # What comes much later is of no use.
    retry = Retry(attempts_max=6, first_ms=2_000, longest_ms=300_000)

    def __init__(
        self,
        digests: Digests,
        subscriptions: Subscriptions,
        jobs: Finishes,
        sender: Sends,
        now_ms: Callable[[], int],
    ) -> None:
        self._digests, self._subscriptions, self._jobs = digests, subscriptions, jobs
        self._sender, self._now_ms = sender, now_ms

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        later = []
        async with aiohttp.ClientSession(trust_env=False, cookie_jar=aiohttp.DummyCookieJar()) as http:
            for job in jobs:
                wait_ms = await self._push(http, job)
                if wait_ms:
                    later.append(Later(job, wait_ms))
                else:
                    await self._jobs.complete([job])
        return later

    async def _push(self, http: aiohttp.ClientSession, job: Claimed) -> int:
        """Push what is due; returns how long the job has to wait (ms)."""
        user_text, _, kind = job.key.partition(":")
        user, now_ms = parse_id(user_text), self._now_ms()
        digest = await self._digests.due(user, kind, now_ms)
        if digest is None:
            return 0
        wanted = digest.preferences
        wait_ms = digest.wait_ms or quiet_for_ms(now_ms, wanted.time_zone, wanted.quiet_from, wanted.quiet_until)
        if wait_ms:
            return wait_ms
        message = push_message(kind, digest)
        sends = (self._sender.send(http, one, message, _topic(job.key)) for one in digest.subscriptions)
        results = await asyncio.gather(*sends, return_exceptions=True)
        gone = [one.endpoint for one, kept in zip(digest.subscriptions, results, strict=True) if kept is False]
        if gone:
            await self._subscriptions.gone(gone)
        for failed in results:
            if isinstance(failed, BaseException):
                raise PushFailed(str(failed) or type(failed).__name__) from failed
        await self._digests.sent(user, kind, digest.seq, now_ms)
        return 0


def push_message(kind: str, digest: PushDigest) -> bytes:
    """JSON: ``kind``, a line of English ``text``, ``subject`` (a title or null), ``total``, ``tag``, ``about``: ids."""
    parts: dict[str, Mapping[str, Any]] = {
        name: part for name in _ABOUT if isinstance(part := digest.data.get(name), Mapping)
    }
    about = {name: str(part["id"]) for name, part in parts.items() if "id" in part}
    text = notification_line(kind, digest.data)
    return msgspec.json.encode({
        "kind": kind, "text": text, "subject": notification_subject(digest.data), "total": digest.total,
        "tag": f"{kind} {digest.seq}", "about": about,
    })  # fmt: skip


def _topic(key: str) -> str:
    """At most 32 characters of base64url."""
    return base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest()[:24]).decode()
