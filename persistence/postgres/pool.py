"""The connections that a process keeps to PostgreSQL."""

import asyncio
from typing import NamedTuple

import asyncpg

from persistence.postgres.errors import StoreReadOnly
from persistence.postgres.guard import UNAVAILABLE, guarded

COMMAND_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 3.0

Pool = asyncpg.Pool


class PooledConnection(asyncpg.Connection):
    """Comes back to the pool without a query that resets its session: that would cost as much as another query.

    So settings are ``SET LOCAL``, or are reset by who has set them; advisory locks are those of transactions, and
    whoever listens has a connection of their own.
    """

    def get_reset_query(self) -> str:
        return ""


class PoolUse(NamedTuple):
    """Connections that are open, those of them that nobody uses, and how many there may be."""

    size: int
    idle: int
    size_max: int


async def open_pool(
    database_url: str, *, size_max: int, size_min: int = 1, settings: dict[str, str] | None = None
) -> Pool:
    """At most ``size_max`` connections, opened as needed; each command has a deadline. Raises StoreUnavailable.

    ``settings`` are the server's, for these connections.
    """
    pool: Pool = await guarded(
        asyncpg.create_pool(
            database_url, min_size=size_min, max_size=size_max, command_timeout=COMMAND_TIMEOUT_S,
            timeout=CONNECT_TIMEOUT_S, server_settings=settings, connection_class=PooledConnection,
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
