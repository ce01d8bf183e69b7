"""Passkeys of users."""

from collections.abc import Sequence

import asyncpg
import msgspec

from domain.errors import IDENTITY_TAKEN, PASSKEYS_FULL
from domain.ids import id_text
from persistence.audit.trail import Act, record_within
from persistence.identity.identities import lock_user, refuse_the_last
from persistence.identity.mail_jobs import mail_access_changed_within
from persistence.postgres.errors import StoreError
from persistence.postgres.guard import guard, guarded

OF_USER_MAX = 20


class PasskeyTaken(StoreError):
    """This passkey is registered already."""

    code = IDENTITY_TAKEN


class PasskeysFull(StoreError):
    """Nobody can have so many passkeys."""

    code = PASSKEYS_FULL


class Passkey(msgspec.Struct, frozen=True):
    """``public_key`` is COSE. ``sign_count``: what the authenticator said last. Times in milliseconds."""

    passkey_id: int
    credential_id: bytes
    user: int
    public_key: bytes
    sign_count: int
    name: str
    backed_up: bool
    created_at: int
    used_at: int | None


class NewPasskey(msgspec.Struct, frozen=True):
    """A passkey that an authenticator has made."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    name: str
    backed_up: bool


_COLUMNS = "passkey_id, credential_id, user_id, public_key, sign_count, name, backed_up, created_at, used_at"
_ADD = f"""
    INSERT INTO passkeys (user_id, credential_id, public_key, sign_count, name, backed_up, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (credential_id) DO NOTHING RETURNING {_COLUMNS}
"""
# A count that goes back, or stays, is a copy of the authenticator; 0 says that it does not count.
_USED = """
    UPDATE passkeys SET sign_count = $2, used_at = $3, backed_up = $4
    WHERE passkey_id = $1 AND (sign_count < $2 OR (sign_count = 0 AND $2 = 0)) RETURNING true
"""
_RENAME = f"UPDATE passkeys SET name = $3 WHERE passkey_id = $1 AND user_id = $2 RETURNING {_COLUMNS}"


class Passkeys:
    """The table ``passkeys``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def add(self, user: int, new: NewPasskey, now_ms: int) -> Passkey:
        """Register a passkey. Raises PasskeyTaken, PasskeysFull."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await lock_user(connection, user)
            if await connection.fetchval("SELECT count(*) FROM passkeys WHERE user_id = $1", user) >= OF_USER_MAX:
                raise PasskeysFull("nobody can have so many passkeys: delete one")
            row = await connection.fetchrow(_ADD, user, *msgspec.structs.astuple(new), now_ms)
            if row is None:
                raise PasskeyTaken("this passkey is registered already")
            await record_within(connection, Act("passkey.added", user, subject=id_text(row["passkey_id"])))
            await mail_access_changed_within(connection, user)
        return Passkey(*row)

    async def by_credential(self, credential_id: bytes) -> Passkey | None:
        """The passkey with this credential id."""
        row = await guarded(
            self._pool.fetchrow(f"SELECT {_COLUMNS} FROM passkeys WHERE credential_id = $1", credential_id)
        )
        return None if row is None else Passkey(*row)

    async def used(self, passkey_id: int, sign_count: int, backed_up: bool, now_ms: int) -> bool:
        """It has signed with this count; False: the count did not rise, or the passkey is gone."""
        return bool(await guarded(self._pool.fetchval(_USED, passkey_id, sign_count, now_ms, backed_up)))

    async def of(self, user: int) -> Sequence[Passkey]:
        """The user's passkeys, the oldest first."""
        statement = f"SELECT {_COLUMNS} FROM passkeys WHERE user_id = $1 ORDER BY passkey_id"
        return [Passkey(*row) for row in await guarded(self._pool.fetch(statement, user))]

    async def rename(self, user: int, passkey_id: int, name: str) -> Passkey | None:
        """Give it another name; None: the user has no such one."""
        row = await guarded(self._pool.fetchrow(_RENAME, passkey_id, user, name))
        return None if row is None else Passkey(*row)

    async def remove(self, user: int, passkey_id: int) -> bool:
        """Remove it; False if the user has no such one. Raises LastWayIn."""
        statement = "DELETE FROM passkeys WHERE passkey_id = $1 AND user_id = $2 RETURNING true"
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await lock_user(connection, user)
            if not await connection.fetchval(statement, passkey_id, user):
                return False
            await refuse_the_last(connection, user)
            await record_within(connection, Act("passkey.removed", user, subject=id_text(passkey_id)))
            await mail_access_changed_within(connection, user)
        return True
