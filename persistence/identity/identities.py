"""Identities: the accounts at providers, and the wallets, by which users log in."""

from collections.abc import Sequence

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.errors import IDENTITIES_FULL, IDENTITY_TAKEN, LAST_WAY_IN
from domain.ids import id_text
from domain.users import RESERVED_DOMAIN
from persistence.audit.trail import Act, record_within
from persistence.identity.challenges import take_within
from persistence.identity.emails import ADDRESS_COLUMNS, address_or_none_in, stored_email
from persistence.identity.mail_jobs import mail_access_changed_within
from persistence.identity.store import User, UserStore
from persistence.keys.emails import EmailCipher
from persistence.postgres.errors import StoreError
from persistence.postgres.guard import guard, guarded

OF_USER_MAX = 20


class IdentityTaken(StoreError):
    """Another account has this identity."""

    code = IDENTITY_TAKEN


class IdentitiesFull(StoreError):
    """Nobody can link so many identities."""

    code = IDENTITIES_FULL


class LastWayIn(StoreError):
    """Without it its user could not log in any more."""

    code = LAST_WAY_IN


class Claim(msgspec.Struct, frozen=True):
    """Who somebody has proved to be. ``way`` is ``oidc`` or ``solana``; ``provider`` is its name here."""

    way: str
    issuer: str
    subject: str
    provider: str
    email: str | None = None
    email_verified: bool = False


class Identity(msgspec.Struct, frozen=True):
    """An identity that is linked to a user. Times in milliseconds."""

    identity_id: int
    linked_at: int
    used_at: int
    claim: Claim


class Spent(msgspec.Struct, frozen=True):
    """A challenge that is used up in the same transaction."""

    token: str
    purpose: str


_CLAIM = f"way, issuer, subject, provider, email_verified, {ADDRESS_COLUMNS}"
# The row stays locked until the log-in is written down.
_USED = f"""
    UPDATE identities SET used_at = $10, (provider, email_verified, {ADDRESS_COLUMNS}) = ($4, $5, $6, $7, $8, $9)
    WHERE way = $1 AND issuer = $2 AND subject = $3 RETURNING user_id
"""
_LINK = f"""
    INSERT INTO identities ({_CLAIM}, linked_at, used_at, user_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11)
    ON CONFLICT (way, issuer, subject) DO UPDATE SET used_at = excluded.used_at
    WHERE identities.user_id = excluded.user_id RETURNING (xmax = 0) AS is_new
"""
_OF = f"SELECT identity_id, linked_at, used_at, {_CLAIM} FROM identities WHERE user_id = $1 ORDER BY identity_id"
_COUNT = "SELECT count(*) FROM identities WHERE user_id = $1 AND (way, issuer, subject) <> ($2, $3, $4)"
# The provider says that the user reads mail there.
_VERIFIED = "UPDATE users SET verified_at = $2 WHERE user_id = $1"
_UNLINK = "DELETE FROM identities WHERE identity_id = $1 AND user_id = $2 RETURNING provider, way, subject"
# One change of a user's ways to log in at a time, so that one always remains.
_LOCK_USER = "SELECT FROM users WHERE user_id = $1 FOR NO KEY UPDATE"
_WAYS_LEFT = """
    SELECT (SELECT count(*) FROM users WHERE user_id = $1 AND password_hash IS NOT NULL)
        + (SELECT count(*) FROM identities WHERE user_id = $1) + (SELECT count(*) FROM passkeys WHERE user_id = $1)
"""


class Identities:
    """The table ``identities``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool, users: UserStore, emails: EmailCipher | None = None) -> None:
        """``emails``: as of UserStore."""
        self._pool = pool
        self._users = users
        self._emails = emails

    async def log_in(self, claim: Claim, now_ms: int, spent: Spent | None = None) -> User | None:
        """The user with this identity; None: nobody has it, and nothing is used up. Raises ChallengeExpired."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            user_id = await connection.fetchval(_USED, *_columns(claim, self._emails), now_ms)
            if user_id is not None and spent is not None:
                await take_within(connection, spent.token, spent.purpose, now_ms)
        return None if user_id is None else await self._users.by_id(user_id)

    async def register(self, claim: Claim, username: str, email: str, now_ms: int, spent: Spent | None = None) -> User:
        """A new user with this identity and no password.

        Raises UsernameTaken, EmailTaken, IdentityTaken (somebody was faster) and ChallengeExpired; then nothing
        happened, and the challenge stays good.
        """

        async def also(connection: PoolConnectionProxy, user_id: int) -> None:
            if spent is not None:
                await take_within(connection, spent.token, spent.purpose, now_ms)
            await self._link(connection, user_id, claim, now_ms)
            if claim.email_verified and not email.endswith(RESERVED_DOMAIN):
                await connection.execute(_VERIFIED, user_id, now_ms)

        return await self._users.create(username, email, None, also)

    async def link(self, user: int, claim: Claim, now_ms: int, spent: Spent | None = None) -> None:
        """Add an identity; linked already, it stays. Raises IdentityTaken, IdentitiesFull, ChallengeExpired."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_LOCK_USER, user)
            if spent is not None:
                await take_within(connection, spent.token, spent.purpose, now_ms)
            if await connection.fetchval(_COUNT, user, claim.way, claim.issuer, claim.subject) >= OF_USER_MAX:
                raise IdentitiesFull("nobody can link so many identities: unlink one")
            if await self._link(connection, user, claim, now_ms):
                await mail_access_changed_within(connection, user)

    async def of(self, user: int) -> Sequence[Identity]:
        """The user's identities, the oldest first."""
        rows = await guarded(self._pool.fetch(_OF, user))
        return [Identity(row[0], row[1], row[2], self._claim(row)) for row in rows]

    async def unlink(self, user: int, identity_id: int) -> bool:
        """Remove an identity; False if the user has no such one. Raises LastWayIn."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_LOCK_USER, user)
            row = await connection.fetchrow(_UNLINK, identity_id, user)
            if row is None:
                return False
            await refuse_the_last(connection, user)
            details = {"way": row["way"], "subject": row["subject"]}
            await record_within(connection, Act("identity.unlinked", user, subject=row["provider"], details=details))
            await mail_access_changed_within(connection, user)
        return True

    async def _link(self, connection: PoolConnectionProxy, user: int, claim: Claim, now_ms: int) -> bool:
        """False: it was linked before."""
        is_new = await connection.fetchval(_LINK, *_columns(claim, self._emails), now_ms, user)
        if is_new is None:
            raise IdentityTaken("another account has this identity")
        if is_new:
            details = {"way": claim.way, "subject": claim.subject, "user": id_text(user)}
            await record_within(connection, Act("identity.linked", user, subject=claim.provider, details=details))
        return bool(is_new)

    def _claim(self, row: asyncpg.Record) -> Claim:
        address = address_or_none_in(row, self._emails)
        return Claim(row["way"], row["issuer"], row["subject"], row["provider"], address, row["email_verified"])


async def refuse_the_last(connection: PoolConnectionProxy, user: int) -> None:
    """After a way to log in was removed in this transaction. Raises LastWayIn where none remains."""
    if not await connection.fetchval(_WAYS_LEFT, user):
        raise LastWayIn("this is the last way to log in to this account")


async def lock_user(connection: PoolConnectionProxy, user: int) -> None:
    """One change of a user's ways to log in at a time."""
    await connection.execute(_LOCK_USER, user)


def _columns(claim: Claim, emails: EmailCipher | None) -> Sequence[object]:
    """The values of _CLAIM."""
    who = (claim.way, claim.issuer, claim.subject, claim.provider, claim.email_verified)
    if claim.email is None:
        return *who, None, None, None, None
    return *who, *msgspec.structs.astuple(stored_email(claim.email, emails))
