"""The jobs that send mails about accounts, to add in the transaction of their cause.

A payload has no secret and no address. The token of a mail is made when the mail is (mail_tokens.py); an address that
was typed is in mail_addresses.py.
"""

import hashlib
import secrets

import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.ids import id_text
from persistence.jobs.rows import JobRow
from persistence.jobs.store import add_within

MAIL = "mail"
# What a mail is about: the names of templates (actors/workers/mail/templates.py).
VERIFY = "verify"
CHANGE_ADDRESS = "change_address"
ADDRESS_CHANGED = "address_changed"
RESET = "reset"
PASSWORD_CHANGED = "password_changed"
LOCKED_OUT = "locked_out"
ACCESS_CHANGED = "access_changed"
CODE_USED_AGAIN = "code_used_again"
NEW_DEVICE = "new_device"
API_KEY_EXPIRES = "api_key_expires"

_encode = msgspec.json.Encoder().encode


class MailOrder(msgspec.Struct, frozen=True, omit_defaults=True):
    """A mail to send. Who gets it is looked up when it is sent: by the user's id, or by the address of the order.

    CHANGE_ADDRESS and ADDRESS_CHANGED go to the address of the order. ``nonce`` makes its token another each time.
    """

    about: str
    nonce: str
    user: str | None = None


def mail_to_user(about: str, user_id: int) -> JobRow:
    """A mail to a user, or about them to the address of the order."""
    nonce = secrets.token_hex(16)
    return JobRow(MAIL, f"{about}:{nonce}", _encode(MailOrder(about, nonce, id_text(user_id))))


def mail_to_whoever(about: str, index: str) -> JobRow:
    """A mail to whoever has the address of the order; of each ``index`` of an address (email_keys) there is one."""
    digest = hashlib.sha256(index.encode()).hexdigest()[:32]
    return JobRow(MAIL, f"{about}:{digest}", _encode(MailOrder(about, secrets.token_hex(16))))


async def mail_access_changed_within(connection: PoolConnectionProxy, user_id: int) -> None:
    """Order the mail that a way to log in, a second factor or an API key came or went."""
    await add_within(connection, [mail_to_user(ACCESS_CHANGED, user_id)])
