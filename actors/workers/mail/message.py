"""A mail, before it is in the form of RFC 5322."""

import hashlib
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formataddr, formatdate, parseaddr

import msgspec

LINE_LENGTH_MAX = 200


class Mail(msgspec.Struct, frozen=True):
    """``id`` is the same for a mail that is sent again. ``unsubscribe``: a URL that takes RFC 8058's POST."""

    id: str
    to: str
    subject: str
    text: str
    unsubscribe: str | None = None


def mail_id(*parts: str) -> str:
    """What a Message-ID begins with; it follows from what the mail is about."""
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:40]


def message_of(mail: Mail, sender: str, at_ms: int) -> EmailMessage:
    """The message. Line ends in a header are blanks here: nothing that users write adds a header."""
    name, address = parseaddr(sender)
    message = EmailMessage(SMTP)
    message["From"] = formataddr((name, address)) if address.isascii() else sender
    message["To"] = mail.to
    message["Subject"] = " ".join(mail.subject.split())[:LINE_LENGTH_MAX]
    message["Date"] = formatdate(at_ms / 1000)
    message["Message-ID"] = f"<{mail.id}@{address.rpartition('@')[2] or 'localhost'}>"
    # No answers of programs (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    if mail.unsubscribe is not None:
        message["List-Unsubscribe"] = f"<{mail.unsubscribe}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(mail.text)
    return message
