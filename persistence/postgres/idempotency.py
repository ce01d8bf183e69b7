"""Idempotency keys of POSTs, which make retries safe.

A request locks its key for a limited time (``running_until``), does its work, and stores its answer. If it dies, or its
outcome is unknown, there is no answer: the next request with the key does the same work again, with the same
``created_id`` and ``received_at``, so that it is the same command. Work that could not tell that it was done before
stores its answer in the transaction of its effect (``finish_within``).

Commits are asynchronous. A key that a crash of PostgreSQL loses has caused nothing: its work is committed in the same
database, after it. A lost answer is as if the request had died.
"""

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from persistence.postgres.commits import ASYNCHRONOUSLY
from persistence.postgres.errors import StoreError
from persistence.postgres.guard import guarded
from persistence.postgres.purging import delete_some

RUNNING_MAX_MS = 10_000
KEPT_MS = 48 * 3600 * 1000
PURGE_PAGE = 10_000


class KeyReused(StoreError):
    """The key was used with another request before."""

    code = "key_reused"


class StillRunning(StoreError):
    """A request with this key is running."""

    code = "still_running"


class Begun(msgspec.Struct, frozen=True):
    """Do the work. ``created_id`` names what it creates; ``received_at`` (ms) is when the key first came."""

    created_id: int
    received_at: int


class Answered(msgspec.Struct, frozen=True):
    """The work was done before: this was the answer."""

    status: int
    response: bytes


# Locks a new key, or one whose request has died or released it. The second part is for all other cases.
_BEGIN = f"""
    WITH taken AS (
        INSERT INTO idempotency_keys AS k (user_id, key, request_hash, received_at, running_until)
        VALUES ($1, $2, $3, $4::bigint, $4::bigint + $5::int)
        ON CONFLICT (user_id, key) DO UPDATE SET running_until = excluded.running_until
            WHERE k.status IS NULL AND k.running_until <= $4 AND k.request_hash = excluded.request_hash
        RETURNING created_id, received_at, {ASYNCHRONOUSLY}
    )
    SELECT created_id, received_at, NULL::bytea AS request_hash, NULL::int AS status, NULL::bytea AS response FROM taken
    UNION ALL
    SELECT created_id, received_at, request_hash, status, response FROM idempotency_keys
        WHERE user_id = $1 AND key = $2 AND NOT EXISTS (SELECT FROM taken)
"""

_FINISH_ONCE = """
    UPDATE idempotency_keys SET status = $3, response = $4 WHERE user_id = $1 AND key = $2 AND status IS NULL
    RETURNING true
"""


class IdempotencyKeys:
    """The table ``idempotency_keys``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def begin(self, user_id: int, key: str, request_hash: bytes, now_ms: int) -> Begun | Answered:
        """Lock the key for this request, or return its answer. Raises KeyReused, StillRunning."""
        row = await guarded(self._pool.fetchrow(_BEGIN, user_id, key, request_hash, now_ms, RUNNING_MAX_MS))
        if row is None:
            # Two came at the same moment: the other's row was not there yet when this statement looked.
            raise StillRunning("a request with this Idempotency-Key is still running")
        if row["request_hash"] is None:
            return Begun(row["created_id"], row["received_at"])
        if row["request_hash"] != request_hash:
            raise KeyReused("this Idempotency-Key was used for another request")
        if row["status"] is None:
            raise StillRunning("a request with this Idempotency-Key is still running")
        return Answered(row["status"], row["response"])

    async def finish(self, user_id: int, key: str, status: int, response: bytes) -> None:
        """Store the answer, which all later requests with this key get."""
        await guarded(
            self._pool.execute(
                "UPDATE idempotency_keys SET status = $3, response = $4 WHERE user_id = $1 AND key = $2"
                f" RETURNING {ASYNCHRONOUSLY}",
                user_id,
                key,
                status,
                response,
            )
        )

    @staticmethod
    async def finish_within(
        connection: PoolConnectionProxy, user_id: int, key: str, status: int, response: bytes
    ) -> None:
        """Store the answer in the transaction of its effect.

        Raises StillRunning if another request with the key has been quicker: then the effect has to be rolled back.
        """
        stored = await guarded(connection.fetchval(_FINISH_ONCE, user_id, key, status, response))
        if stored is None:
            raise StillRunning("another request with this Idempotency-Key was quicker")

    async def release(self, user_id: int, key: str) -> None:
        """Unlock the key without an answer: the next request with it does the work."""
        await guarded(
            self._pool.execute(
                "UPDATE idempotency_keys SET running_until = 0 WHERE user_id = $1 AND key = $2 AND status IS NULL"
                f" RETURNING {ASYNCHRONOUSLY}",
                user_id,
                key,
            )
        )

    async def forget(self, user_id: int, key: str) -> None:
        """Delete the key if it has no answer: its request did nothing and never will."""
        await guarded(
            self._pool.execute(
                "DELETE FROM idempotency_keys WHERE user_id = $1 AND key = $2 AND status IS NULL", user_id, key
            )
        )

    async def forget_old(self, now_ms: int) -> int:
        """Delete some of the keys that were received longer ago than keys are kept; how many."""
        return await delete_some(
            self._pool,
            "DELETE FROM idempotency_keys WHERE (user_id, key) IN"
            " (SELECT user_id, key FROM idempotency_keys WHERE received_at < $1 LIMIT $2)",
            now_ms - KEPT_MS,
            PURGE_PAGE,
        )
