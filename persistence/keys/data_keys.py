"""Data keys, wrapped by master keys: the table ``data_keys``."""

from collections.abc import Sequence

import asyncpg

from domain.data_keys import WrappedKey
from persistence.audit.trail import Act, record_within
from persistence.postgres.guard import guard, guarded

KEYS_MAX = 1_000

_COLUMNS = "key_id, purpose, master_id, wrapped, usable_from"
_ALL = f"SELECT {_COLUMNS} FROM data_keys ORDER BY usable_from, key_id LIMIT {KEYS_MAX}"
# Of processes that begin at the same moment, on an empty table, one adds the first key; any number nobody else locks.
_LOCK = "SELECT pg_advisory_xact_lock(718203942)"
_ADD = f"INSERT INTO data_keys ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5)"
_REWRAP = """
    UPDATE data_keys k SET master_id = given.master_id, wrapped = given.wrapped
    FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[]) AS given (key_id, master_id, wrapped, before)
    WHERE k.key_id = given.key_id AND k.wrapped = given.before
"""
_DELETE = "DELETE FROM data_keys WHERE key_id = ANY($1::text[]) RETURNING key_id"


class DataKeyRows:
    """The table ``data_keys``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def all(self) -> list[WrappedKey]:
        """All keys, the oldest first."""
        return [WrappedKey(*row) for row in await guarded(self._pool.fetch(_ALL))]

    async def ensure(self, key: WrappedKey) -> list[WrappedKey]:
        """Store this key unless there is one of its purpose; all keys."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_LOCK)
            if not await connection.fetchval("SELECT true FROM data_keys WHERE purpose = $1 LIMIT 1", key.purpose):
                await self._insert(connection, key)
        return await self.all()

    async def add(self, key: WrappedKey) -> None:
        """Store one more key."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await self._insert(connection, key)

    async def rewrap(self, changes: Sequence[tuple[WrappedKey, WrappedKey]]) -> None:
        """Replace wrapped keys, (before, after), all or none; one that was changed meanwhile stays as it is."""
        columns = [
            [after.key_id for _, after in changes],
            [after.master_id for _, after in changes],
            [after.wrapped for _, after in changes],
            [before.wrapped for before, _ in changes],
        ]
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_REWRAP, *columns)
            details = {"keys": len(changes), "master": changes[0][1].master_id if changes else ""}
            await record_within(connection, Act("keys.rewrapped", details=details))

    async def delete(self, key_ids: Sequence[str]) -> None:
        """Delete keys. The caller has made sure that nothing is encrypted with them."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            for row in await connection.fetch(_DELETE, list(key_ids)):
                await record_within(connection, Act("data_key.deleted", subject=row["key_id"]))

    @staticmethod
    async def _insert(connection: asyncpg.pool.PoolConnectionProxy, key: WrappedKey) -> None:
        await connection.execute(_ADD, key.key_id, key.purpose, key.master_id, key.wrapped, key.usable_from)
        await record_within(connection, Act("data_key.added", subject=key.key_id))
