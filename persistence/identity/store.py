"""Users and their log-ins."""

import hashlib
from collections.abc import Sequence

import asyncpg
import msgspec

from domain.users import email_key, login_key, skeleton
from persistence.postgres.errors import StoreError
from persistence.postgres.guard import guard, guarded

PROVISION_PAGE = 5_000
PURGE_PAGE = 10_000


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
    """A refresh token was used twice, so one of the users stole it: the whole log-in was ended."""


class User(msgspec.Struct, frozen=True):
    """Someone who may bid and sell. ``password_hash`` is None for users that were never given a password."""

    user_id: int
    username: str
    email: str
    roles: tuple[str, ...]
    password_hash: str | None = None


class Rotated(msgspec.Struct, frozen=True):
    """Whose refresh token it was, and the log-in that goes on with the new one."""

    user: User
    family: str


_USER = "user_id, username, email, roles, password_hash"

_CREATE = f"""
    INSERT INTO users (username, email, password_hash, email_key, skeleton) VALUES ($1, $2, $3, $4, $5)
    RETURNING {_USER}
"""

# A name holds no "@", so a login means one user at most.
_BY_LOGIN = f"""
    SELECT {_USER} FROM users WHERE lower(username) = $1
    UNION ALL SELECT {_USER} FROM users WHERE email_key = $1
    LIMIT 1
"""

_PROVISION = """
    INSERT INTO users (username, email, email_key)
    SELECT name, email, email FROM unnest($1::text[]) AS name,
        lateral (SELECT lower(name) || '@provisioned.invalid' AS email) AS its
    ORDER BY lower(name)
    ON CONFLICT DO NOTHING
"""

# People, who have passwords, are left alone: nobody gets a token for them by knowing their name.
_GRANT = """
    UPDATE users SET roles = roles || $2::text
    WHERE lower(username) = ANY($1::text[]) AND password_hash IS NULL AND $2 <> ALL(roles)
"""

_PROVISIONED = f"""
    SELECT {_USER} FROM users WHERE lower(username) = ANY($1::text[]) AND password_hash IS NULL
"""


class UserStore:
    """The table ``users``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def create(self, username: str, email: str, password_hash: str) -> User:
        """A new user without roles. Raises UsernameTaken, EmailTaken."""
        keys = email_key(email), skeleton(username)
        try:
            row = await guarded(self._pool.fetchrow(_CREATE, username, email, password_hash, *keys))
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name == "users_email":
                raise EmailTaken("this e-mail address has an account already") from None
            raise UsernameTaken("this username, or one that looks the same, is taken") from None
        assert row is not None, "INSERT … RETURNING gives a row"
        return _user(row)

    async def by_login(self, login: str) -> User | None:
        """The user with this username or e-mail address, in any case and any form of Unicode."""
        try:
            key = login_key(login)
        except ValueError:
            return None
        row = await guarded(self._pool.fetchrow(_BY_LOGIN, key))
        return None if row is None else _user(row)

    async def by_id(self, user_id: int) -> User | None:
        """The user with this id."""
        row = await guarded(self._pool.fetchrow(f"SELECT {_USER} FROM users WHERE user_id = $1", user_id))
        return None if row is None else _user(row)

    async def grant(self, user_id: int, role: str) -> None:
        """Give a user a role; having it already is fine."""
        await guarded(
            self._pool.execute(
                "UPDATE users SET roles = roles || $2::text WHERE user_id = $1 AND $2 <> ALL(roles)", user_id, role
            )
        )

    async def revoke(self, user_id: int, role: str) -> None:
        """Take a role from a user; not having it is fine."""
        await guarded(
            self._pool.execute("UPDATE users SET roles = array_remove(roles, $2) WHERE user_id = $1", user_id, role)
        )

    async def with_role(self, role: str, limit: int) -> list[User]:
        """Users who have a role, by name."""
        rows = await guarded(
            self._pool.fetch(
                f"SELECT {_USER} FROM users WHERE $1 = ANY(roles) ORDER BY lower(username) LIMIT $2", role, limit
            )
        )
        return [_user(row) for row in rows]

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
                await connection.execute(_PROVISION, [wanted[name] for name in page])
                if role is not None:
                    await connection.execute(_GRANT, page, role)
                rows = await connection.fetch(_PROVISIONED, page)
            found |= {row["username"].lower(): _user(row) for row in rows}
        missing = [name for name in names if name.lower() not in found]
        if missing:
            raise UsernameTaken(f"{missing[0]} belongs to somebody ({len(missing)} such names)")
        return {name: found[name.lower()] for name in names}


_BEGIN = """
    WITH log_in AS (INSERT INTO log_ins (family, user_id, expires_at) VALUES ($2, $3, $4))
    INSERT INTO refresh_tokens (token_hash, family, expires_at) VALUES ($1, $2, $4)
"""

_LOCK = """
    SELECT t.family, t.expires_at, t.spent, l.user_id FROM refresh_tokens t JOIN log_ins l USING (family)
    WHERE t.token_hash = $1 FOR UPDATE
"""

_SUCCEED = """
    WITH spending AS (UPDATE refresh_tokens SET spent = true WHERE token_hash = $1),
    going_on AS (UPDATE log_ins SET expires_at = $4 WHERE family = $3)
    INSERT INTO refresh_tokens (token_hash, family, expires_at) VALUES ($2, $3, $4)
"""


class RefreshTokens:
    """The tables ``log_ins`` and ``refresh_tokens``; the latter holds hashes only. May raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def begin(self, user_id: int, family: str, token: str, expires_at: int) -> None:
        """A log-in: the first token of a new family. Times in milliseconds."""
        await guarded(self._pool.execute(_BEGIN, _token_hash(token), family, user_id, expires_at))

    async def rotate(self, token: str, successor: str, now_ms: int, expires_at: int) -> Rotated:
        """Spend a token for its successor. Raises RefreshRejected; RefreshReused ends the family."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            rotated = await _rotate(connection, (_token_hash(token), _token_hash(successor)), now_ms, expires_at)
        # Raised out here, because the end of the family has to be committed.
        if rotated is None:
            raise RefreshReused("this refresh token was used before; log in again")
        return rotated

    async def end(self, token: str) -> None:
        """Log out: end the family that the token belongs to. An unknown token is fine."""
        await guarded(
            self._pool.execute(
                "DELETE FROM log_ins WHERE family = (SELECT family FROM refresh_tokens WHERE token_hash = $1)",
                _token_hash(token),
            )
        )

    async def forget_expired(self, now_ms: int) -> None:
        """Delete some of the tokens and log-ins that nobody can use any more."""
        await guarded(
            self._pool.execute(
                "DELETE FROM refresh_tokens WHERE token_hash IN"
                " (SELECT token_hash FROM refresh_tokens WHERE expires_at <= $1 LIMIT $2)",
                now_ms,
                PURGE_PAGE,
            )
        )
        await guarded(
            self._pool.execute(
                "DELETE FROM log_ins WHERE family IN (SELECT family FROM log_ins WHERE expires_at <= $1 LIMIT $2)",
                now_ms,
                PURGE_PAGE,
            )
        )


async def _rotate(
    connection: asyncpg.pool.PoolConnectionProxy, hashes: tuple[bytes, bytes], now_ms: int, expires_at: int
) -> Rotated | None:
    spent, successor = hashes
    found = await connection.fetchrow(_LOCK, spent)
    if found is None or found["expires_at"] <= now_ms:
        raise RefreshRejected("this refresh token is unknown or has expired; log in again")
    if found["spent"]:
        await connection.execute("DELETE FROM log_ins WHERE family = $1", found["family"])
        return None
    await connection.execute(_SUCCEED, spent, successor, found["family"], expires_at)
    row = await connection.fetchrow(f"SELECT {_USER} FROM users WHERE user_id = $1", found["user_id"])
    assert row is not None, "a log-in's user exists"
    return Rotated(_user(row), found["family"])


def _user(row: asyncpg.Record) -> User:
    return User(row["user_id"], row["username"], row["email"], tuple(row["roles"]), row["password_hash"])


def _token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
