"""Ways to send a mail: an SMTP server, or the mailbox on disk."""

import asyncio
import re
from collections.abc import Callable
from typing import Literal, Protocol

import aiosmtplib
import msgspec

from actors.workers.mail.mailbox import Mailbox
from actors.workers.mail.message import Mail, message_of

SMTP_TIMEOUT_S = 15.0
_ADDRESS = re.compile(r"[^\s<>()\[\],;'\"]+@[^\s<>()\[\],;'\"]+")

Security = Literal["starttls", "tls", "none"]


class Sends(Protocol):
    """Sends mails. Raises OSError or aiosmtplib.SMTPException if the mail was perhaps not accepted."""

    async def send(self, mail: Mail) -> None: ...


class SmtpServer(msgspec.Struct, frozen=True):
    """Where mail goes. ``tls``: from the first byte; ``starttls``: required, not only tried."""

    host: str
    port: int
    security: Security = "starttls"
    user: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return f"SmtpServer({self.host}:{self.port})"


class SmtpSender:
    """One connection for each mail."""

    def __init__(self, server: SmtpServer, sender: str, now_ms: Callable[[], int]) -> None:
        self._server = server
        self._sender = sender
        self._now_ms = now_ms

    async def send(self, mail: Mail) -> None:
        """Returns once the server has accepted the mail. Raises aiosmtplib.SMTPException, which names no address."""
        try:
            await self._send(mail)
        except aiosmtplib.SMTPException as error:
            # What a server answers is stored with the job, and logged.
            text = _ADDRESS.sub("an address", f"{type(error).__name__}: {error}")
            raise aiosmtplib.SMTPException(text) from None

    async def _send(self, mail: Mail) -> None:
        server = self._server
        await aiosmtplib.send(
            message_of(mail, self._sender, self._now_ms()),
            hostname=server.host,
            port=server.port,
            username=server.user,
            password=server.password,
            use_tls=server.security == "tls",
            start_tls=server.security == "starttls",
            timeout=SMTP_TIMEOUT_S,
        )


class MailboxSender:
    """Into the mailbox."""

    def __init__(self, mailbox: Mailbox, sender: str, now_ms: Callable[[], int]) -> None:
        self._mailbox = mailbox
        self._sender = sender
        self._now_ms = now_ms

    async def send(self, mail: Mail) -> None:
        """Returns once the mail is on the disk. Raises OSError."""
        now_ms = self._now_ms()
        await asyncio.to_thread(self._mailbox.put, message_of(mail, self._sender, now_ms), now_ms)
