"""The connections that a process keeps to PostgreSQL."""

import asyncio

import asyncpg

from persistence.guard import guarded

COMMAND_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 3.0

Pool = asyncpg.Pool


async def open_pool(database_url: str, *, size_max: int) -> Pool:
    """At most ``size_max`` connections, opened as needed; each command has a deadline. Raises StoreUnavailable."""
    pool: Pool = await guarded(
        asyncpg.create_pool(
            database_url, min_size=1, max_size=size_max, command_timeout=COMMAND_TIMEOUT_S, timeout=CONNECT_TIMEOUT_S
        )
    )
    return pool


async def close_pool(pool: Pool) -> None:
    """Close all connections, at the latest after some seconds."""
    try:
        await asyncio.wait_for(pool.close(), CLOSE_TIMEOUT_S)
    except TimeoutError:
        pool.terminate()


async def probe(pool: Pool) -> None:
    """Does the database answer? Raises StoreUnavailable when it does not."""
    await guarded(pool.fetchval("SELECT 1"))
