"""Deletes rows that have expired, a page at a time."""

import asyncpg

from persistence.postgres.guard import guarded


async def delete_some(pool: asyncpg.Pool, statement: str, *values: object) -> int:
    """Execute a DELETE of one page; how many rows it had. Raises StoreUnavailable."""
    status: str = await guarded(pool.execute(statement, *values))
    return int(status.removeprefix("DELETE "))
