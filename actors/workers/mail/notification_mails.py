"""Sends mails about notifications. Triggers in the database add the jobs, with the notifications."""

from collections.abc import Callable, Sequence
from typing import Protocol

from actors.workers.job import Job, Later
from actors.workers.mail.account_mails import MAIL_RETRY, Finishes
from actors.workers.mail.message import Mail, mail_id
from actors.workers.mail.sending import Sends
from actors.workers.mail.templates import notification_text
from domain.ids import parse_id
from persistence.identity.mail_tokens import TokenMaker
from persistence.jobs.store import Claimed
from persistence.notifications.mails import MAIL_NOTIFICATIONS, Digest

UNSUBSCRIBE_PATH = "/api/v1/notifications/unsubscribe"


class Digests(Protocol):
    """``persistence.notifications.mails.NotificationMails``. May raise StoreUnavailable."""

    async def due(self, user_id: int, kind: str, now_ms: int) -> Digest | None: ...
    async def sent(self, user_id: int, kind: str, seq: int, now_ms: int) -> None: ...


class MailNotifications(Job):
    """``key``: a user and a kind of notifications. What came meanwhile is mailed together, when the pace allows it."""

    kind = MAIL_NOTIFICATIONS
    batch_max = 20
    timeout_s = 240.0
    retry = MAIL_RETRY

    def __init__(
        self, digests: Digests, jobs: Finishes, maker: TokenMaker, sender: Sends, site: str, now_ms: Callable[[], int]
    ) -> None:
        self._digests, self._jobs, self._maker = digests, jobs, maker
        self._sender, self._site, self._now_ms = sender, site, now_ms

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        later = []
        for job in jobs:
            wait_ms = await self._send(job)
            if wait_ms:
                later.append(Later(job, wait_ms))
            else:
                await self._jobs.complete([job])
        return later

    async def _send(self, job: Claimed) -> int:
        """Mail what is due; returns how long the job has to wait (ms)."""
        user_text, _, kind = job.key.partition(":")
        user_id, now_ms = parse_id(user_text), self._now_ms()
        digest = await self._digests.due(user_id, kind, now_ms)
        if digest is None or digest.wait_ms:
            return 0 if digest is None else digest.wait_ms
        subject, text = notification_text(kind, digest.data, digest.total, digest.username, self._site)
        token = self._maker.unsubscribe_token(user_id, kind)
        mail = Mail(
            mail_id(job.key, str(digest.seq)), digest.address, subject, text,
            f"{self._site}{UNSUBSCRIBE_PATH}?token={token}",
        )  # fmt: skip
        await self._sender.send(mail)
        await self._digests.sent(user_id, kind, digest.seq, now_ms)
        return 0
