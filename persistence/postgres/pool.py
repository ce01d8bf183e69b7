"""The connections that a process keeps to PostgreSQL."""

import asyncio
from typing import Any, NamedTuple

import asyncpg

from persistence.postgres.errors import StoreReadOnly
from persistence.postgres.guard import UNAVAILABLE, guarded

COMMAND_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 5.0
# How long a command may wait for a connection.
ACQUIRE_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 3.0
# A connection is replaced after so many commands, and closed after so long without one: the defaults of asyncpg.
MAX_QUERIES = 50_000
IDLE_MAX_S = 300.0

Pool = asyncpg.Pool


class PooledConnection(asyncpg.Connection):
    """Comes back to the pool without a query that resets its session: that would cost as much as another query.

    So settings are ``SET LOCAL``, or are reset by who has set them; advisory locks are those of transactions, and
    whoever listens has a connection of their own.
    """

    def get_reset_query(self) -> str:
        return ""


class BoundedPool(asyncpg.Pool):
    """Waits for a connection for a limited time: asyncpg's own waits for all commands before, however slow they are."""

    async def _acquire(self, timeout: float | None) -> Any:
        # Not its own time limit: before Python 3.12 that is a `wait_for`, which can forget a cancellation.
        async with asyncio.timeout(ACQUIRE_TIMEOUT_S if timeout is None else timeout):
            return await super()._acquire(None)  # type: ignore[misc]


class PoolUse(NamedTuple):
    """Connections that are open, those of them that nobody uses, and how many there may be."""

    size: int
    idle: int
    size_max: int


async def open_pool(
    database_url: str, *, size_max: int, size_min: int = 1, settings: dict[str, str] | None = None
) -> Pool:
    """At most ``size_max`` connections, opened as needed; each command and the wait for a connection have deadlines.

    Raises StoreUnavailable.

    ``settings`` are the server's, for these connections.
    """
    pool: Pool = await guarded(
        BoundedPool(
            database_url, min_size=size_min, max_size=size_max, command_timeout=COMMAND_TIMEOUT_S,
            timeout=CONNECT_TIMEOUT_S, server_settings=settings, connection_class=PooledConnection,
            max_queries=MAX_QUERIES, max_inactive_connection_lifetime=IDLE_MAX_S, loop=None,
            record_class=asyncpg.Record,
        )
    )  # fmt: skip
    return pool


async def close_pool(pool: Pool) -> None:
    """Close all connections, at the latest after some seconds."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await pool.close()
    except UNAVAILABLE:
        # Also when the server has ended a connection: to say good-bye over it fails.
        pool.terminate()


def pool_use(pool: Pool) -> PoolUse:
    """How much of the pool is in use now."""
    return PoolUse(pool.get_size(), pool.get_idle_size(), pool.get_max_size())


async def probe(pool: Pool) -> None:
    """Does the database answer and take writes? Raises StoreUnavailable, or StoreReadOnly, when it does not."""
    if await guarded(pool.fetchval("SHOW transaction_read_only")) == "on":
        raise StoreReadOnly("the database takes no writes: is its disk full?")
