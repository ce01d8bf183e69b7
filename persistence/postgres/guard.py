"""Converts the exceptions of asyncpg for an unavailable PostgreSQL to StoreUnavailable."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

import asyncpg

from persistence.postgres.errors import StoreError, StoreUnavailable, TextNotStorable

T = TypeVar("T")

UNAVAILABLE = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    # Among them a full disk (53100); below, an error of the disk itself.
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.QueryCanceledError,
    # Rolled back, or a lock timeout: a retry may succeed.
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    # The server takes no writes at present: its disk is nearly full, or it is a standby.
    asyncpg.ReadOnlySQLTransactionError,
    OSError,
    TimeoutError,
)


# U+0000 in text and in strings of JSON, and half a surrogate pair in JSON. The database itself refuses such text, so
# nothing has to check for it before.
NOT_STORABLE = (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError)
_KNOWN = (*UNAVAILABLE, *NOT_STORABLE)


@asynccontextmanager
async def guard() -> AsyncIterator[None]:
    """Around work with the database. Raises StoreUnavailable (no answer, or not in time), TextNotStorable."""
    try:
        yield
    except _KNOWN as error:
        raise _store_error(error) from error


async def guarded(query: Awaitable[T]) -> T:
    """The query's result; raises as ``guard`` does."""
    try:
        return await query
    except _KNOWN as error:
        raise _store_error(error) from error


def _store_error(error: Exception) -> StoreError:
    if isinstance(error, NOT_STORABLE):
        return TextNotStorable("text has a character that can't be stored, such as U+0000")
    return StoreUnavailable(str(error) or type(error).__name__)
