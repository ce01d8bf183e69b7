"""API keys of users: their hashes, and what they permit."""

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.ids import id_text
from domain.users import RESERVED_DOMAIN
from persistence.audit.trail import Act, record_within
from persistence.identity.access_changes import add_change
from persistence.identity.mail_jobs import API_KEY_EXPIRES, mail_access_changed_within, mail_to_user
from persistence.jobs.store import add_within
from persistence.postgres.errors import StoreError
from persistence.postgres.guard import guard, guarded

KEYS_MAX = 25
USED_EVERY_MS = 300_000
# Owners are told so long before a key expires that lives for twice as long at least.
REMINDED_BEFORE_MS = 7 * 24 * 3600 * 1000
REMINDED_AT_ONCE_MAX = 1_000


class ApiKeysFull(StoreError):
    """A user can't have more keys."""

    code = "api_keys_full"


class NewKey(msgspec.Struct, frozen=True):
    """A key that its user makes. Times in milliseconds."""

    user: int
    name: str
    prefix: str
    key_hash: bytes
    scopes: tuple[str, ...]
    networks: tuple[str, ...]
    expires_at: int


class ApiKey(msgspec.Struct, frozen=True):
    """A key as its owner sees it."""

    id: int
    name: str
    prefix: str
    scopes: tuple[str, ...]
    networks: tuple[str, ...]
    created_at: int
    expires_at: int
    last_used_at: int | None


class KnownKey(msgspec.Struct, frozen=True):
    """A good key that was sent: whose it is, with the roles that this user has now."""

    id: int
    user: int
    username: str
    roles: tuple[str, ...]
    scopes: tuple[str, ...]
    networks: tuple[str, ...]
    expires_at: int
    access_version: int = 0
    # Whether the owner has verified the address, or has none.
    verified: bool = True


_COLUMNS = "key_id, name, prefix, scopes, networks, created_at, expires_at, last_used_at"
# Makers of keys of one user wait for each other at the user's row.
_LOCK_OWNER = "SELECT true FROM users WHERE user_id = $1 FOR NO KEY UPDATE"
_COUNT = "SELECT count(*) FROM api_keys WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2"
_ADD = f"""
    INSERT INTO api_keys (user_id, name, prefix, key_hash, scopes, networks, created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING {_COLUMNS}
"""
_OF = f"""
    SELECT {_COLUMNS} FROM api_keys WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2
    ORDER BY key_id DESC LIMIT {KEYS_MAX}
"""
_REVOKE = """
    UPDATE api_keys SET revoked_at = $3 WHERE user_id = $1 AND key_id = $2 AND revoked_at IS NULL RETURNING true
"""
_REVOKE_ALL = """
    WITH revoked AS (
        UPDATE api_keys SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2
        RETURNING key_id
    ), noted AS (INSERT INTO access_changes (user_id, key_id, version) SELECT $1, key_id, 0 FROM revoked)
    SELECT count(*) FROM revoked
"""
_FIND = f"""
    WITH found AS (SELECT * FROM api_keys WHERE key_hash = $1 AND revoked_at IS NULL AND expires_at > $2),
    used AS (
        UPDATE api_keys k SET last_used_at = $2 FROM found
        WHERE k.key_id = found.key_id AND coalesce(found.last_used_at, 0) <= $2 - {USED_EVERY_MS}
    )
    SELECT key_id, user_id, username, effective_roles(user_id, roles), scopes, networks, expires_at,
        access_version, verified_at IS NOT NULL OR email LIKE '%{RESERVED_DOMAIN}'
    FROM found JOIN users USING (user_id)
"""
_REMIND = f"""
    WITH due AS (
        UPDATE api_keys SET reminded_at = $1 WHERE key_id IN (
            SELECT key_id FROM api_keys WHERE revoked_at IS NULL AND reminded_at IS NULL AND expires_at > $1
                AND expires_at <= $1 + {REMINDED_BEFORE_MS} AND expires_at - created_at >= 2 * {REMINDED_BEFORE_MS}
            LIMIT $2
        ) RETURNING user_id
    )
    SELECT DISTINCT user_id FROM due
"""


class ApiKeys:
    """The table ``api_keys``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def add(self, new: NewKey, now_ms: int) -> ApiKey:
        """Make a key. Raises ApiKeysFull."""
        values = (new.user, new.name, new.prefix, new.key_hash, list(new.scopes), list(new.networks))
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await connection.fetchval(_LOCK_OWNER, new.user)
            if await connection.fetchval(_COUNT, new.user, now_ms) >= KEYS_MAX:
                raise ApiKeysFull(f"nobody can have more than {KEYS_MAX} API keys: revoke one")
            row = await connection.fetchrow(_ADD, *values, now_ms, new.expires_at)
            assert row is not None, "INSERT … RETURNING gives a row"
            details = {"scopes": ", ".join(new.scopes), "key": id_text(row["key_id"])}
            await record_within(connection, Act("api_key.created", new.user, subject=new.prefix, details=details))
            await mail_access_changed_within(connection, new.user)
        return _api_key(row)

    async def of(self, user: int, now_ms: int) -> list[ApiKey]:
        """The keys of a user that are good, the newest first."""
        return [_api_key(row) for row in await guarded(self._pool.fetch(_OF, user, now_ms))]

    async def revoke(self, user: int, key: int, now_ms: int) -> bool:
        """End a key of this user; False if there is no such one."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            if not await connection.fetchval(_REVOKE, user, key, now_ms):
                return False
            await record_within(connection, Act("api_key.revoked", user, subject=id_text(key)))
            await mail_access_changed_within(connection, user)
            await add_change(connection, user, key)
        return True

    async def find(self, key_hash: bytes, now_ms: int) -> KnownKey | None:
        """The key with this hash, if it is good. Notes its use, every five minutes."""
        row = await guarded(self._pool.fetchrow(_FIND, key_hash, now_ms))
        if row is None:
            return None
        return KnownKey(row[0], row[1], row[2], tuple(row[3]), tuple(row[4]), tuple(row[5]), *row[6:])

    async def remind(self, now_ms: int) -> None:
        """Mail the owners of some keys that expire soon, once for each key."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(_REMIND, now_ms, REMINDED_AT_ONCE_MAX)
            await add_within(connection, [mail_to_user(API_KEY_EXPIRES, row["user_id"]) for row in rows])


async def revoke_all_within(connection: PoolConnectionProxy, user: int, now_ms: int) -> None:
    """End all keys of a user in the caller's transaction."""
    count = await connection.fetchval(_REVOKE_ALL, user, now_ms)
    if count:
        await record_within(connection, Act("api_keys.revoked", user, details={"count": count}))


def _api_key(row: asyncpg.Record) -> ApiKey:
    return ApiKey(row[0], row[1], row[2], tuple(row[3]), tuple(row[4]), row[5], row[6], row[7])
