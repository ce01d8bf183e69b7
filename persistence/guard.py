"""Turns what asyncpg raises when PostgreSQL is away into our one StoreUnavailable."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

import asyncpg

from persistence.errors import StoreUnavailable

T = TypeVar("T")

UNAVAILABLE = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.QueryCanceledError,
    # Rolled back, or given up waiting for a lock: as if it had come later.
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    OSError,
    TimeoutError,
)


@asynccontextmanager
async def guard() -> AsyncIterator[None]:
    """Around work with the database. Raises StoreUnavailable where it did not answer, or not in time."""
    try:
        yield
    except UNAVAILABLE as error:
        raise StoreUnavailable(str(error) or type(error).__name__) from error


async def guarded(query: Awaitable[T]) -> T:
    """The query's result. Raises StoreUnavailable where the database did not answer, or not in time."""
    try:
        return await query
    except UNAVAILABLE as error:
        raise StoreUnavailable(str(error) or type(error).__name__) from error
