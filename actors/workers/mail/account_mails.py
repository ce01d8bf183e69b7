"""Sends mails about accounts."""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from actors.workers.job import Job, Later, Retry
from actors.workers.mail.message import Mail, mail_id
from actors.workers.mail.sending import Sends
from actors.workers.mail.templates import account_text
from domain.ids import parse_id
from domain.users import RESERVED_DOMAIN
from persistence.identity.mail_jobs import ADDRESS_CHANGED, CHANGE_ADDRESS, MAIL, RESET, VERIFY, MailOrder
from persistence.identity.mail_tokens import TokenMaker
from persistence.identity.store import User
from persistence.jobs.store import Claimed

# For about four hours: then an operator has to look.
MAIL_RETRY = Retry(attempts_max=20, first_ms=2_000, longest_ms=1_800_000)
_decode = msgspec.json.Decoder(MailOrder).decode


class Users(Protocol):
    """``persistence.identity.store.UserStore``. May raise StoreUnavailable."""

    async def by_id(self, user_id: int) -> User | None: ...
    async def by_login(self, login: str) -> User | None: ...


class Tokens(Protocol):
    """``persistence.identity.mail_tokens.MailTokens``. May raise StoreUnavailable."""

    async def issue(self, token: str, purpose: str, user: User, job_key: str, address: str, now_ms: int) -> None: ...


class Addresses(Protocol):
    """``persistence.identity.mail_addresses.MailAddresses``. May raise StoreUnavailable."""

    async def of(self, job_key: str) -> str | None: ...


class Finishes(Protocol):
    """``persistence.jobs.store.JobStore``. May raise StoreUnavailable."""

    async def complete(self, jobs: Sequence[Claimed]) -> None: ...


class SendMail(Job):
    """``payload``: a MailOrder. A mail may be sent twice if a worker dies; both have the same Message-ID and token."""

    kind = MAIL
    batch_max = 20
    timeout_s = 240.0
    retry = MAIL_RETRY

    def __init__(
        self, users: Users, addresses: Addresses, tokens: Tokens, jobs: Finishes, maker: TokenMaker, sender: Sends,
        site: str, now_ms: Callable[[], int],
    ) -> None:  # fmt: skip
        """``site``: the URL by which users know the engine."""
        self._users, self._addresses, self._tokens, self._jobs = users, addresses, tokens, jobs
        self._maker, self._sender, self._site, self._now_ms = maker, sender, site, now_ms

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        for job in jobs:
            await self._send(job, _decode(job.payload))
            # One by one: a mail that fails must not have those before it sent again.
            await self._jobs.complete([job])
        return []

    async def _send(self, job: Claimed, order: MailOrder) -> None:
        given = await self._addresses.of(job.key) or ""
        user = await self._user(order, given)
        if user is None or (order.about == VERIFY and user.verified_at is not None):
            return
        to = given if order.about in (CHANGE_ADDRESS, ADDRESS_CHANGED) else user.email
        # Empty: it is encrypted, and this process does not read such ones.
        if (
            not to
            or to.lower().endswith(RESERVED_DOMAIN)
            or (order.about == CHANGE_ADDRESS and await self._taken(to, user))
        ):
            return
        token = ""
        if order.about in (VERIFY, CHANGE_ADDRESS, RESET):
            token = self._maker.token(order.about, order.nonce, user.user_id)
            await self._tokens.issue(token, order.about, user, job.key, to, self._now_ms())
        subject, text = account_text(order.about, user.username, self._site, token)
        await self._sender.send(Mail(mail_id(job.key, order.nonce), to, subject, text))

    async def _user(self, order: MailOrder, given: str) -> User | None:
        if order.user is not None:
            return await self._users.by_id(parse_id(order.user))
        return await self._users.by_login(given)

    async def _taken(self, address: str, user: User) -> bool:
        """Who asks for somebody else's address hears nothing, and neither does the other one."""
        owner = await self._users.by_login(address)
        return owner is not None and owner.user_id != user.user_id
