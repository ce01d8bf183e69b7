"""Roles and suspensions of users. Each change is in the audit trail, and gateways hear of it."""

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.ids import id_text
from domain.permissions import ADMIN
from persistence.audit.trail import Act, record_within
from persistence.identity.access_changes import add_change
from persistence.postgres.errors import StoreError
from persistence.postgres.guard import guard, guarded


class LastAdmin(StoreError):
    """Nobody would be left to grant roles."""

    code = "last_admin"


class Standing(msgspec.Struct, frozen=True):
    """What a user was granted, and their suspension: ``reason`` is None without one, ``until`` without an end."""

    user_id: int
    username: str
    granted: tuple[str, ...]
    reason: str | None = None
    until: int | None = None


class Suspension(msgspec.Struct, frozen=True):
    """Who may not act, why and until when (milliseconds; None: until reinstated)."""

    user_id: int
    reason: str
    until: int | None
    by_user: int


_GRANT = "UPDATE users SET roles = roles || $2::text WHERE user_id = $1 AND $2 <> ALL(roles) RETURNING true"
_REVOKE = "UPDATE users SET roles = array_remove(roles, $2) WHERE user_id = $1 AND $2 = ANY(roles) RETURNING true"
# Two that revoke at the same time wait for each other here. Two rows are enough to know that one stays.
_ADMINS = f"""
    SELECT user_id FROM users WHERE '{ADMIN}' = ANY(roles) ORDER BY user_id LIMIT 2 FOR UPDATE
"""
_OF = """
    SELECT u.user_id, u.username, u.roles, s.reason, s.until FROM users u
    LEFT JOIN suspensions s ON s.user_id = u.user_id AND (s.until IS NULL OR s.until > clock_ms())
    WHERE lower(u.username) = $1
"""
_SUSPENDED = """
    SELECT u.user_id, u.username, u.roles, s.reason, s.until FROM suspensions s JOIN users u USING (user_id)
    WHERE s.user_id > $1 AND (s.until IS NULL OR s.until > clock_ms()) ORDER BY s.user_id LIMIT $2
"""
_WITH_ROLE = "SELECT username FROM users WHERE $1 = ANY(roles) ORDER BY lower(username) LIMIT $2"
_SUSPEND = """
    INSERT INTO suspensions (user_id, until, reason, by_user, at) VALUES ($1, $2, $3, $4, clock_ms())
    ON CONFLICT (user_id) DO UPDATE SET until = excluded.until, reason = excluded.reason, by_user = excluded.by_user,
        at = excluded.at
    RETURNING at
"""
_REINSTATE = """
    DELETE FROM suspensions WHERE user_id = $1 RETURNING coalesce(until > clock_ms(), true) AS was, clock_ms() AS at
"""
_NOTIFY = """
    SELECT notify_user($1, $2, $2 || ' ' || $3::bigint, jsonb_strip_nulls(
        jsonb_build_object('reason', $4::text, 'until', $5::bigint)), $3)
"""


class RoleStore:
    """The column ``users.roles``, and the table ``suspensions``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def of(self, username: str) -> Standing | None:
        """The roles of the user with this name, in any case."""
        row = await guarded(self._pool.fetchrow(_OF, username.lower()))
        return None if row is None else _standing(row)

    async def suspended(self, after: int, limit: int) -> list[Standing]:
        """Those who are suspended now, by their ids."""
        return [_standing(row) for row in await guarded(self._pool.fetch(_SUSPENDED, after, limit))]

    async def with_role(self, role: str, limit: int) -> list[str]:
        """The names of the users who were granted a role."""
        return [row[0] for row in await guarded(self._pool.fetch(_WITH_ROLE, role, limit))]

    async def grant(self, user: int, role: str, by: int | None = None) -> None:
        """Give a user a role; having it already is fine."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            if await connection.fetchval(_GRANT, user, role):
                await _changed(connection, "role.granted", user, role, by)

    async def revoke(self, user: int, role: str, by: int | None = None) -> None:
        """Take a role from a user; not having it is fine. Raises LastAdmin."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            if role == ADMIN:
                admins = [row[0] for row in await connection.fetch(_ADMINS)]
                if admins == [user]:
                    raise LastAdmin("this is the last admin: make another one first")
            if await connection.fetchval(_REVOKE, user, role):
                await _changed(connection, "role.revoked", user, role, by)

    async def suspend(self, wanted: Suspension) -> None:
        """Suspend a user, or change why and until when."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            at = await connection.fetchval(_SUSPEND, wanted.user_id, wanted.until, wanted.reason, wanted.by_user)
            await connection.execute(_NOTIFY, wanted.user_id, "account_suspended", at, wanted.reason, wanted.until)
            details = {"reason": wanted.reason, "until": wanted.until}
            act = Act("user.suspended", wanted.by_user, subject=id_text(wanted.user_id), details=details)
            await record_within(connection, act)
            await add_change(connection, wanted.user_id)

    async def reinstate(self, user: int, by: int) -> bool:
        """End a suspension; False if there was none."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(_REINSTATE, user)
            if row is None or not row["was"]:
                return False
            await connection.execute(_NOTIFY, user, "account_reinstated", row["at"], None, None)
            await record_within(connection, Act("user.reinstated", by, subject=id_text(user)))
            await add_change(connection, user)
        return True


def _standing(row: asyncpg.Record) -> Standing:
    return Standing(row[0], row[1], tuple(row[2]), row[3], row[4])


async def _changed(connection: PoolConnectionProxy, action: str, user: int, role: str, by: int | None) -> None:
    await record_within(connection, Act(action, by, subject=id_text(user), details={"role": role}))
    await add_change(connection, user)
