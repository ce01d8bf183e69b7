"""The app with a mailbox, and the jobs that fill it."""

import re
from dataclasses import dataclass
from pathlib import Path

import httpx

from actors.workers.job import Job
from actors.workers.mail.account_mails import SendMail
from actors.workers.mail.mailbox import Mailbox, StoredMail
from actors.workers.mail.notification_mails import MailNotifications
from actors.workers.mail.sending import MailboxSender, Sends
from persistence.identity.mail_addresses import MailAddresses
from persistence.identity.mail_tokens import MailTokens, TokenMaker
from persistence.identity.store import UserStore
from persistence.jobs.store import JobStore, PutBack
from persistence.keys.emails import EmailCipher
from persistence.notifications.mails import NotificationMails
from persistence.postgres.pool import Pool
from tests.rest.rest_engine import PASSWORD, SECRET, RestEngine

SENDER = "ECE <ece@cards.example>"
SITE = "https://cards.example"


async def run_once(pool: Pool, job: Job) -> None:
    """All jobs of this kind that are due. What has to run later does so. A job that fails is due again at once."""
    jobs = JobStore(pool, lease_ms=0)
    claimed = await jobs.claim({job.kind: 1_000}, "test")
    later = await job.run(claimed)
    waiting = {one.job.key for one in later}
    await jobs.complete([one for one in claimed if one.key not in waiting])
    await jobs.put_back([PutBack(one.job, one.delay_ms, 0) for one in later])


@dataclass
class Post:
    """Sends what is due, and reads it."""

    engine: RestEngine
    mailbox: Mailbox
    sender: Sends
    emails: EmailCipher | None = None

    async def deliver(self) -> None:
        pool, now_ms = self.engine.pool, self.engine.services.now_ms
        jobs, maker, emails = JobStore(pool), TokenMaker(SECRET), self.emails
        addresses, tokens = MailAddresses(pool, emails), MailTokens(pool, emails)
        users = UserStore(pool, emails)
        await run_once(pool, SendMail(users, addresses, tokens, jobs, maker, self.sender, SITE, now_ms))
        digests = NotificationMails(pool, emails)
        await run_once(pool, MailNotifications(digests, jobs, maker, self.sender, SITE, now_ms))

    async def mails(self, to: str) -> list[StoredMail]:
        """The newest first, after what is due was sent."""
        await self.deliver()
        return list(self.mailbox.newest(to))

    async def token(self, to: str) -> str:
        """That of the newest mail."""
        found = re.search(r"^    \S+#([\w-]{43})$", (await self.mails(to))[0].text, re.MULTILINE)
        assert found is not None
        return found[1]


def post_of(engine: RestEngine, directory: Path, emails: EmailCipher | None = None) -> Post:
    mailbox = Mailbox(directory / "mail")
    return Post(engine, mailbox, MailboxSender(mailbox, SENDER, engine.services.now_ms), emails)


async def register(engine: RestEngine, name: str, password: str = PASSWORD) -> httpx.Response:
    body = {"email": f"{name}@example.org", "username": name, "password": password}
    answer = await engine.request("POST", "/auth/register", json=body)
    assert answer.status_code == 201, answer.text
    return answer


async def log_in(engine: RestEngine, login: str, password: str = PASSWORD) -> httpx.Response:
    return await engine.request("POST", "/auth/login", json={"login": login, "password": password})


async def access_token(engine: RestEngine, login: str, password: str = PASSWORD) -> str:
    answer = await log_in(engine, login, password)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])
