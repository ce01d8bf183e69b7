"""Users and their log-ins."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.permissions import DEFAULT_ROLES
from domain.users import RESERVED_DOMAIN, email_key, login_key, skeleton
from persistence.audit.trail import Act, record_within
from persistence.identity.emails import address_in, email_keys, stored_email
from persistence.identity.mail_jobs import NEW_DEVICE, VERIFY, mail_to_user
from persistence.jobs.store import add_within
from persistence.keys.emails import EmailCipher
from persistence.postgres.errors import StoreError
from persistence.postgres.guard import guard, guarded
from persistence.postgres.purging import delete_some

PROVISION_PAGE = 5_000
PURGE_PAGE = 10_000
# Two tabs that refresh at the same moment get the same successor.
REFRESH_GRACE_MS = 10_000

# What is done with a new user, by id, in the transaction that makes them.
Also = Callable[[PoolConnectionProxy, int], Awaitable[None]]


class UsernameTaken(StoreError):
    """Another user has this name already, or one that looks the same (domain/users.py)."""

    code = "username_taken"


class EmailTaken(StoreError):
    """Another user has this e-mail address already."""

    code = "email_taken"


class RefreshRejected(StoreError):
    """The refresh token is unknown or expired, or its log-in was ended: log in again."""

    code = "unauthenticated"


class RefreshReused(RefreshRejected):
    """A refresh token was used again after the grace, so one of the users stole it: the whole log-in was ended."""

    def __init__(self, family: str) -> None:
        super().__init__(family)
        self.family = family

    def __str__(self) -> str:
        return "this refresh token was used before; log in again"


class PasswordChanged(StoreError):
    """The password was changed or reset while its user logged in: log in with the new one."""

    code = "unauthenticated"


class User(msgspec.Struct, frozen=True):
    """Someone who may bid and sell. ``password_hash`` is None for users that were never given a password."""

    user_id: int
    username: str
    email: str
    roles: tuple[str, ...]
    password_hash: str | None = None
    # When the address was verified (ms).
    verified_at: int | None = None
    # Raised when what they may do changes: a token with a lower one is refused.
    access_version: int = 0


class Rotated(msgspec.Struct, frozen=True):
    """Whose refresh token it was, and the log-in that goes on with the new one."""

    user: User
    family: str


# The roles are those that count now: a suspended user has no others (domain/permissions.py).
USER_COLUMNS = """
    user_id, username, email, effective_roles(user_id, roles) AS roles, password_hash, verified_at, email_key,
    email_key_id, email_sealed, access_version
"""

# An address may be stored in the other form, encrypted or not, so the unique index alone is not enough.
_CREATE = f"""
    INSERT INTO users (username, email, password_hash, email_key, skeleton, email_key_id, email_sealed, roles)
    SELECT $1, $2, $3, $4, $5, $6, $7, $9 WHERE NOT EXISTS (SELECT FROM users WHERE email_key = ANY($8::text[]))
    RETURNING {USER_COLUMNS}
"""

# A name holds no "@", so a login means one user at most.
_BY_LOGIN = f"""
    SELECT {USER_COLUMNS} FROM users WHERE lower(username) = $1
    UNION ALL SELECT {USER_COLUMNS} FROM users WHERE email_key = ANY($2::text[])
    LIMIT 1
"""

_PROVISION = """
    INSERT INTO users (username, email, email_key, roles)
    SELECT name, email, email, $2::text[] FROM unnest($1::text[]) AS name,
        lateral (SELECT lower(name) || '@provisioned.invalid' AS email) AS its
    ORDER BY lower(name)
    ON CONFLICT DO NOTHING
"""

# People are left alone: nobody gets a token for them by knowing their name. Registration refuses these addresses.
_GRANT = """
    UPDATE users SET roles = roles || $2::text
    WHERE lower(username) = ANY($1::text[]) AND email_key LIKE '%@provisioned.invalid' AND $2 <> ALL(roles)
"""

_PROVISIONED = f"""
    SELECT {USER_COLUMNS} FROM users WHERE lower(username) = ANY($1::text[])
        AND email_key LIKE '%@provisioned.invalid'
"""


class UserStore:
    """The table ``users``. Every method may raise StoreUnavailable. ``roles`` are those of each new user."""

    def __init__(
        self, pool: asyncpg.Pool, emails: EmailCipher | None = None, roles: Sequence[str] = DEFAULT_ROLES
    ) -> None:
        """``emails`` encrypts addresses, and reads encrypted ones; without it they are not shown."""
        self._pool = pool
        self._emails = emails
        self._roles = list(roles)

    async def create(self, username: str, email: str, password_hash: str | None, also: Also | None = None) -> User:
        """A new user, with the roles that everybody has, who gets a mail to verify the address.

        ``also`` is done in the same transaction. Raises UsernameTaken, EmailTaken.
        """
        stored = stored_email(email, self._emails)
        values = (username, stored.email, password_hash, stored.key, skeleton(username), stored.key_id, stored.sealed)
        keys = email_keys(email_key(email), self._emails)
        try:
            async with guard(), self._pool.acquire() as connection, connection.transaction():
                row = await connection.fetchrow(_CREATE, *values, keys, self._roles)
                if row is None:
                    raise EmailTaken("this e-mail address has an account already")
                await record_within(connection, Act("user.registered", row["user_id"], username))
                if also is not None:
                    await also(connection, row["user_id"])
                if not email.endswith(RESERVED_DOMAIN):
                    await add_within(connection, [mail_to_user(VERIFY, row["user_id"])])
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name == "users_email":
                raise EmailTaken("this e-mail address has an account already") from None
            raise UsernameTaken("this username, or one that looks the same, is taken") from None
        return self._user(row)

    async def by_login(self, login: str) -> User | None:
        """The user with this username or e-mail address, in any case and any form of Unicode."""
        try:
            key = login_key(login)
        except ValueError:
            return None
        keys = email_keys(key, self._emails) if "@" in key else [key]
        row = await guarded(self._pool.fetchrow(_BY_LOGIN, key, keys))
        return None if row is None else self._user(row)

    async def by_id(self, user_id: int) -> User | None:
        """The user with this id."""
        row = await guarded(self._pool.fetchrow(f"SELECT {USER_COLUMNS} FROM users WHERE user_id = $1", user_id))
        return None if row is None else self._user(row)

    async def provision(self, names: Sequence[str], role: str | None = None) -> dict[str, User]:
        """Users without passwords by name, made where missing, with this role: for replays and benches.

        Each page of names is one transaction of three statements. Raises UsernameTaken where a person has a name.
        """
        found: dict[str, User] = {}
        wanted = {name.lower(): name for name in names}
        ordered = sorted(wanted)
        for start in range(0, len(ordered), PROVISION_PAGE):
            page = ordered[start : start + PROVISION_PAGE]
            async with guard(), self._pool.acquire() as connection, connection.transaction():
                await connection.execute(_PROVISION, [wanted[name] for name in page], list(DEFAULT_ROLES))
                if role is not None:
                    await connection.execute(_GRANT, page, role)
                rows = await connection.fetch(_PROVISIONED, page)
            found |= {row["username"].lower(): self._user(row) for row in rows}
        missing = [name for name in names if name.lower() not in found]
        if missing:
            raise UsernameTaken(f"{missing[0]} belongs to somebody ({len(missing)} such names)")
        return {name: found[name.lower()] for name in names}

    def _user(self, row: asyncpg.Record) -> User:
        return user_of(row, self._emails)


# A change that is under way is waited for; one that comes later ends the session.
_HAS_PASSWORD = "SELECT password_hash IS NOT DISTINCT FROM $2 FROM users WHERE user_id = $1 FOR SHARE"
_IS_NEW_DEVICE = "SELECT bool_and(device <> $2) FROM log_ins WHERE user_id = $1"

_BEGIN = """
    WITH log_in AS (
        INSERT INTO log_ins (family, user_id, expires_at, device, address) VALUES ($2, $3, $4, $5, $6)
    )
    INSERT INTO refresh_tokens (token_hash, family, expires_at) VALUES ($1, $2, $4)
"""

_LOCK = """
    SELECT t.family, t.expires_at, t.spent, t.spent_at, l.user_id, l.started_at
    FROM refresh_tokens t JOIN log_ins l USING (family) WHERE t.token_hash = $1 FOR UPDATE
"""

_SUCCEED = """
    WITH spending AS (UPDATE refresh_tokens SET spent = true, spent_at = $5 WHERE token_hash = $1),
    going_on AS (UPDATE log_ins SET expires_at = $4, refreshed_at = $5 WHERE family = $3)
    INSERT INTO refresh_tokens (token_hash, family, expires_at) VALUES ($2, $3, $4)
"""

_IS_SUCCESSOR = "SELECT true FROM refresh_tokens WHERE token_hash = $1 AND family = $2"

# Who has no password has proved who they are when they logged in.
_PROVED_SINCE = """
    SELECT greatest(l.proved_at, CASE WHEN u.password_hash IS NULL THEN l.started_at END) >= $3
    FROM log_ins l JOIN users u USING (user_id) WHERE l.family = $1 AND l.user_id = $2
"""
_PROVE = "UPDATE log_ins SET proved_at = $3 WHERE family = $1 AND user_id = $2"

_END_ALL = "DELETE FROM log_ins WHERE user_id = $1 AND family IS DISTINCT FROM $2"

_END = """
    DELETE FROM log_ins WHERE family = (SELECT family FROM refresh_tokens WHERE token_hash = $1)
    RETURNING user_id, family
"""


class RefreshTokens:
    """The tables ``log_ins`` and ``refresh_tokens``; the latter holds hashes only. May raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def begin(
        self, user_id: int, family: str, token: str, expires_at: int, device: str = "", address: str = "",
        known: User | None = None,
    ) -> None:  # fmt: skip
        """A log-in: the first token of a new family. Times in milliseconds.

        The user gets a mail where there are other sessions, and none of this device. ``known``: the user as read before
        they proved who they are; raises PasswordChanged where the password is another one by now.
        """
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            if known is not None and not await connection.fetchval(_HAS_PASSWORD, user_id, known.password_hash):
                raise PasswordChanged("the password was changed a moment ago: log in with the new one")
            if await connection.fetchval(_IS_NEW_DEVICE, user_id, device):
                await add_within(connection, [mail_to_user(NEW_DEVICE, user_id)])
            await connection.execute(_BEGIN, _token_hash(token), family, user_id, expires_at, device, address)
            await record_within(connection, Act("login.succeeded", user_id, subject=family))

    async def rotate(
        self, token: str, successor: str, now_ms: int, expires_at: int, longest_ms: int | None = None
    ) -> Rotated:
        """Spend a token for its successor. Raises RefreshRejected; RefreshReused ends the family.

        The same call within REFRESH_GRACE_MS has the same result. So ``successor`` follows from ``token``.
        ``longest_ms``: no token is good for longer after the log-in.
        """
        hashes = _token_hash(token), _token_hash(successor)
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            rotated = await _rotate(connection, hashes, now_ms, expires_at, longest_ms)
        # Raised out here, because the end of the family has to be committed.
        if isinstance(rotated, str):
            raise RefreshReused(rotated)
        return rotated

    async def end(self, token: str) -> str | None:
        """Log out: end the family that the token belongs to, and return it. An unknown token is fine."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            ended = await connection.fetchrow(_END, _token_hash(token))
            if ended is not None:
                await record_within(connection, Act("logout", ended["user_id"], subject=ended["family"]))
        return None if ended is None else str(ended["family"])

    async def end_all(self, user_id: int, except_family: str | None = None) -> None:
        """End all log-ins of a user, or all but one."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await end_log_ins_within(connection, user_id, except_family)

    async def prove(self, family: str, user_id: int, now_ms: int) -> None:
        """The user has given the password in this session now."""
        await guarded(self._pool.execute(_PROVE, family, user_id, now_ms))

    async def proved_since(self, family: str, user_id: int, since_ms: int) -> bool:
        """Whether that was since then, or, of a user without a password, the log-in."""
        return bool(await guarded(self._pool.fetchval(_PROVED_SINCE, family, user_id, since_ms)))

    async def forget_expired(self, now_ms: int) -> int:
        """Delete some of the tokens and log-ins that nobody can use any more; how many."""
        tokens = await delete_some(
            self._pool,
            "DELETE FROM refresh_tokens WHERE token_hash IN"
            " (SELECT token_hash FROM refresh_tokens WHERE expires_at <= $1 LIMIT $2)",
            now_ms,
            PURGE_PAGE,
        )
        return tokens + await delete_some(
            self._pool,
            "DELETE FROM log_ins WHERE family IN (SELECT family FROM log_ins WHERE expires_at <= $1 LIMIT $2)",
            now_ms,
            PURGE_PAGE,
        )


async def end_log_ins_within(connection: PoolConnectionProxy, user_id: int, except_family: str | None = None) -> None:
    """End all log-ins of a user, or all but one, in the caller's transaction."""
    ended = await connection.execute(_END_ALL, user_id, except_family)
    if ended != "DELETE 0":
        await record_within(connection, Act("log_ins.ended", user_id, details={"count": int(ended.split()[1])}))


async def _rotate(
    connection: PoolConnectionProxy, hashes: tuple[bytes, bytes], now_ms: int, expires_at: int, longest_ms: int | None
) -> Rotated | str:
    """What goes on, or the family that was ended."""
    spent, successor = hashes
    found = await connection.fetchrow(_LOCK, spent)
    if found is not None and longest_ms is not None:
        expires_at = min(expires_at, found["started_at"] + longest_ms)
    if found is None or min(found["expires_at"], expires_at) <= now_ms:
        raise RefreshRejected("this refresh token is unknown or has expired; log in again")
    if found["spent"] and not await _within_grace(connection, found, successor, now_ms):
        await connection.execute("DELETE FROM log_ins WHERE family = $1", found["family"])
        await record_within(connection, Act("refresh_token.reused", found["user_id"], subject=found["family"]))
        return str(found["family"])
    if not found["spent"]:
        await connection.execute(_SUCCEED, spent, successor, found["family"], expires_at, now_ms)
    row = await connection.fetchrow(f"SELECT {USER_COLUMNS} FROM users WHERE user_id = $1", found["user_id"])
    assert row is not None, "a log-in's user exists"
    return Rotated(user_of(row), found["family"])


async def _within_grace(connection: PoolConnectionProxy, found: asyncpg.Record, successor: bytes, now_ms: int) -> bool:
    """Whether this token was spent just now, for this successor."""
    if found["spent_at"] is None or now_ms - found["spent_at"] >= REFRESH_GRACE_MS:
        return False
    return bool(await connection.fetchval(_IS_SUCCESSOR, successor, found["family"]))


def user_of(row: asyncpg.Record, emails: EmailCipher | None = None) -> User:
    """The user of a row of USER_COLUMNS. Without ``emails`` an encrypted address is empty."""
    address, roles = address_in(row, emails), tuple(row["roles"])
    return User(
        row["user_id"], row["username"], address, roles, row["password_hash"], row["verified_at"], row["access_version"]
    )


def _token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
