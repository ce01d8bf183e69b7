"""The keys that sign access tokens, with their encrypted private halves."""

from collections.abc import Sequence

import asyncpg
import msgspec

from persistence.audit.trail import Act, record_within
from persistence.postgres.guard import guard, guarded

# Far more than there ever are: one is added a month, and none stays for long once it has retired.
KEYS_MAX = 64
# Access tokens live for a day at most.
PUBLIC_AFTER_MS = 25 * 3600 * 1000


class StoredKey(msgspec.Struct, frozen=True):
    """A key: it signs from ``signs_from`` until ``retired_at`` (None: not retired). Times in milliseconds."""

    kid: str
    public_key: bytes
    key_id: str
    sealed: bytes
    created_at: int
    signs_from: int
    retired_at: int | None = None

    def __repr__(self) -> str:
        return f"StoredKey(kid={self.kid})"


_COLUMNS = "kid, public_key, key_id, sealed, created_at, signs_from, retired_at"
_ALL = f"SELECT {_COLUMNS} FROM signing_keys ORDER BY signs_from DESC, kid LIMIT {KEYS_MAX}"
_ADD = f"INSERT INTO signing_keys ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7)"
_UNSEEN = "SELECT true FROM signing_keys WHERE kid <> ALL($1) AND key_id = $2 LIMIT 1"
_RETIRE = "UPDATE signing_keys SET retired_at = $2 WHERE kid = ANY($1) AND retired_at IS NULL"


class SigningKeyStore:
    """The table ``signing_keys``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def all(self) -> list[StoredKey]:
        """All keys, the one that signs last first."""
        return [StoredKey(*row) for row in await guarded(self._pool.fetch(_ALL))]

    async def rotate(self, new: StoredKey, own: Sequence[str], seen: Sequence[str]) -> bool:
        """Add a key; those of ``own`` retire when it begins to sign.

        False, and nothing is done, if another process has added one with the same encryption: it is not in ``seen``.
        """
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await connection.execute("LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE")
            if await connection.fetchval(_UNSEEN, list(seen), new.key_id):
                return False
            await connection.execute(_RETIRE, list(own), new.signs_from)
            await connection.execute(_ADD, *msgspec.structs.astuple(new))
            await record_within(connection, Act("signing_key.added", subject=new.kid))
        return True

    async def replace_all(self, new: StoredKey) -> None:
        """Only this key remains: all access tokens of the others are refused."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await connection.execute("LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE")
            await connection.execute("DELETE FROM signing_keys")
            await connection.execute(_ADD, *msgspec.structs.astuple(new))
            await record_within(connection, Act("signing_key.replaced", subject=new.kid))

    async def forget_retired(self, now_ms: int) -> None:
        """Delete keys whose last token has expired."""
        await guarded(self._pool.execute("DELETE FROM signing_keys WHERE retired_at < $1", now_ms - PUBLIC_AFTER_MS))
