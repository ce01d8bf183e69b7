"""The tokens in mails: an HMAC of a secret over what they are for, so that no job and no table holds one.

The same mail, sent again, has the same token. The table has their SHA-256, when they end, and when they were used.
"""

import base64
import hashlib
import hmac

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.ids import InvalidId, id_text, parse_id
from domain.users import email_key
from persistence.audit.trail import Act, record_within
from persistence.identity.api_keys import revoke_all_within
from persistence.identity.emails import ADDRESS_COLUMNS, address_in, email_keys, stored_email
from persistence.identity.mail_addresses import mail_about_user_within, put_within
from persistence.identity.mail_jobs import (
    ADDRESS_CHANGED,
    CHANGE_ADDRESS,
    PASSWORD_CHANGED,
    RESET,
    VERIFY,
    mail_to_user,
)
from persistence.identity.store import USER_COLUMNS, EmailTaken, User, end_log_ins_within, user_of
from persistence.jobs.store import add_within
from persistence.keys.emails import EmailCipher
from persistence.postgres.errors import StoreError
from persistence.postgres.guard import guard, guarded
from persistence.postgres.purging import delete_some

RESET_TTL_MS = 10 * 60 * 1000
VERIFY_TTL_MS = 24 * 3600 * 1000
TTL_MS = {RESET: RESET_TTL_MS, VERIFY: VERIFY_TTL_MS, CHANGE_ADDRESS: VERIFY_TTL_MS}
UNSUBSCRIBE = "unsubscribe"
PURGE_PAGE = 10_000


class MailTokenInvalid(StoreError):
    """The token is unknown, used or expired, or the address has changed since: ask for another mail."""

    code = "mail_token_invalid"


class TokenMaker:
    """Makes the tokens of mails from a secret that gateways and workers share."""

    def __init__(self, secret: str) -> None:
        self._key = hmac.digest(secret.encode(), b"ece mail tokens v1", hashlib.sha256)

    def token(self, purpose: str, nonce: str, user_id: int) -> str:
        """A token of 256 bits that only the secret leads to."""
        return self._mac(f"{purpose}|{nonce}|{id_text(user_id)}")

    def unsubscribe_token(self, user_id: int, kind: str) -> str:
        """Whose mails of which kind end: it is good for ever, and for nothing else."""
        return f"{id_text(user_id)}.{kind}.{self._mac(f'{UNSUBSCRIBE}|{kind}|{id_text(user_id)}')}"

    def unsubscribing(self, token: str) -> tuple[int, str] | None:
        """The user and the kind of an unsubscribe token; None where it is not one."""
        user, _, rest = token.partition(".")
        kind, _, _ = rest.partition(".")
        try:
            user_id = parse_id(user)
        except InvalidId:
            return None
        good = hmac.compare_digest(self.unsubscribe_token(user_id, kind).encode(), token.encode())
        return (user_id, kind) if good else None

    def _mac(self, text: str) -> str:
        digest = hmac.digest(self._key, text.encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


class _Found(msgspec.Struct, frozen=True):
    purpose: str
    user_id: int
    address: str


# A mail that is sent again, perhaps hours after the server refused it first, has the whole time before it.
_ISSUE = """
    INSERT INTO mail_tokens (token_hash, purpose, user_id, job_key, expires_at) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (token_hash) DO UPDATE SET expires_at = excluded.expires_at WHERE mail_tokens.used_at IS NULL
"""
# With it, all other tokens of the user for the same purpose are used up.
_USE = f"""
    WITH used AS (
        UPDATE mail_tokens SET used_at = $2
        WHERE token_hash = $1 AND purpose = ANY($3::text[]) AND used_at IS NULL AND expires_at > $2
        RETURNING purpose, user_id, job_key
    ), others AS (
        UPDATE mail_tokens t SET used_at = $2 FROM used
        WHERE t.user_id = used.user_id AND t.purpose = used.purpose AND t.token_hash <> $1 AND t.used_at IS NULL
    )
    SELECT purpose, used.user_id, {ADDRESS_COLUMNS} FROM used JOIN mail_addresses USING (job_key)
"""
_GOOD = f"""
    SELECT {USER_COLUMNS} FROM users WHERE user_id = (SELECT user_id FROM mail_tokens
        WHERE token_hash = $1 AND purpose = $2 AND used_at IS NULL AND expires_at > $3)
"""
_VERIFY = """
    UPDATE users SET verified_at = coalesce(verified_at, $3) WHERE user_id = $1 AND email_key = ANY($2::text[])
    RETURNING true
"""
_CHANGE = """
    UPDATE users u SET email = $2, email_key = $3, email_key_id = $4, email_sealed = $5, verified_at = $6 FROM users old
    WHERE u.user_id = $1 AND old.user_id = u.user_id
        AND NOT EXISTS (SELECT FROM users WHERE email_key = ANY($7::text[]) AND user_id <> $1)
    RETURNING old.email, old.email_key, old.email_key_id, old.email_sealed
"""
# Who reads the mail of an address that the user has given up resets nothing.
_RESET = """
    UPDATE users SET password_hash = $2, verified_at = coalesce(verified_at, $4)
    WHERE user_id = $1 AND email_key = ANY($3::text[]) RETURNING true
"""
# The tokens of a change of address go with its row, and an order that was not sent yet finds no address.
_END_RESETS = f"UPDATE mail_tokens SET used_at = $2 WHERE user_id = $1 AND purpose = '{RESET}' AND used_at IS NULL"
_END_CHANGES = f"DELETE FROM mail_addresses WHERE user_id = $1 AND starts_with(job_key, '{CHANGE_ADDRESS}:')"
_END_CHALLENGES = "DELETE FROM log_in_challenges WHERE user_id = $1"
_FORGET = """
    DELETE FROM mail_tokens WHERE token_hash IN (SELECT token_hash FROM mail_tokens WHERE expires_at <= $1 LIMIT $2)
"""


class MailTokens:
    """The table ``mail_tokens``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool, emails: EmailCipher | None = None) -> None:
        """``emails``: as of UserStore."""
        self._pool = pool
        self._emails = emails

    async def issue(self, token: str, purpose: str, user: User, job_key: str, address: str, now_ms: int) -> None:
        """The token of this order is good from now on, unless it was used before. It proves ``address``."""
        expires_at = now_ms + TTL_MS[purpose]
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await put_within(connection, job_key, address, self._emails, user.user_id)
            await connection.execute(_ISSUE, _hash(token), purpose, user.user_id, job_key, expires_at)

    async def confirm_address(self, token: str, now_ms: int) -> None:
        """Use a token that proves an address: it is verified, and takes the place of the old one where it is new.

        Raises MailTokenInvalid, EmailTaken.
        """
        try:
            async with guard(), self._pool.acquire() as connection, connection.transaction():
                found = await self._use(connection, token, now_ms, VERIFY, CHANGE_ADDRESS)
                if found.purpose == CHANGE_ADDRESS:
                    await self._change_address(connection, found, now_ms)
                elif not await connection.fetchval(_VERIFY, found.user_id, self._keys_of(found.address), now_ms):
                    raise _address_changed()
                else:
                    await record_within(connection, Act("email.verified", found.user_id))
        except asyncpg.UniqueViolationError:
            raise EmailTaken("this e-mail address has an account already") from None

    async def resetting(self, token: str, now_ms: int) -> User:
        """Whose password the token resets; it is not used by this. Raises MailTokenInvalid."""
        row = await guarded(self._pool.fetchrow(_GOOD, _hash(token), RESET, now_ms))
        if row is None:
            raise _invalid()
        return user_of(row, self._emails)

    async def reset_password(self, token: str, password_hash: str, now_ms: int) -> int:
        """Use the token: a new password, and the end of all log-ins and API keys; returns the user.

        Raises MailTokenInvalid.
        """
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            found = await self._use(connection, token, now_ms, RESET)
            values = (found.user_id, password_hash, self._keys_of(found.address), now_ms)
            if not await connection.fetchval(_RESET, *values):
                raise _address_changed()
            await end_begun_within(connection, found.user_id, now_ms)
            await end_log_ins_within(connection, found.user_id)
            await revoke_all_within(connection, found.user_id, now_ms)
            await record_within(connection, Act("password.reset", found.user_id))
            await add_within(connection, [mail_to_user(PASSWORD_CHANGED, found.user_id)])
        return found.user_id

    async def _change_address(self, connection: PoolConnectionProxy, found: _Found, now_ms: int) -> None:
        new = stored_email(found.address, self._emails)
        values = (new.email, new.key, new.key_id, new.sealed, now_ms, self._keys_of(found.address))
        old = await connection.fetchrow(_CHANGE, found.user_id, *values)
        if old is None:
            raise EmailTaken("this e-mail address has an account already")
        await record_within(connection, Act("email.changed", found.user_id))
        old_address = address_in(old, self._emails)
        await mail_about_user_within(connection, ADDRESS_CHANGED, found.user_id, old_address, self._emails)

    async def _use(self, connection: PoolConnectionProxy, token: str, now_ms: int, *purposes: str) -> _Found:
        row = await connection.fetchrow(_USE, _hash(token), now_ms, list(purposes))
        if row is None:
            raise _invalid()
        return _Found(row["purpose"], row["user_id"], address_in(row, self._emails))

    def _keys_of(self, address: str) -> list[str]:
        return email_keys(email_key(address), self._emails)

    async def forget_expired(self, now_ms: int) -> int:
        """Delete some of those that nobody can use any more; how many."""
        return await delete_some(self._pool, _FORGET, now_ms, PURGE_PAGE)


async def end_begun_within(connection: PoolConnectionProxy, user_id: int, now_ms: int) -> None:
    """A new password, in the caller's transaction: who knew the old one can't go on with what they began.

    That is another reset, an address that was not confirmed, and log-ins and links that wait for their second step.
    """
    await connection.execute(_END_RESETS, user_id, now_ms)
    await connection.execute(_END_CHANGES, user_id)
    await connection.execute(_END_CHALLENGES, user_id)


def _invalid() -> MailTokenInvalid:
    return MailTokenInvalid("this token is unknown, used or expired: ask for another mail")


def _address_changed() -> MailTokenInvalid:
    return MailTokenInvalid("the address has changed since: ask for another mail")


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
