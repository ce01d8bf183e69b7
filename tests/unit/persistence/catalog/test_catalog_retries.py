"""Pages of cards are written again where another writer was in the way."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from persistence.catalog.pages import page_of
from persistence.catalog.writing import TRIES_MAX, CatalogWriting, Written
from persistence.postgres.errors import StoreUnavailable


class Pool:
    """Connections that nothing is asked of."""

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator["Pool"]:
        yield self

    transaction = acquire


class Writing(CatalogWriting):
    """The first tries meet another writer, who was first."""

    def __init__(self, error: type[Exception], failing: int) -> None:
        super().__init__(Pool())  # type: ignore[arg-type]
        self.error, self.failing, self.tries = error, failing, 0

    async def _put(self, *_of: Any) -> tuple[Written, set[str]]:
        self.tries += 1
        if self.tries <= self.failing:
            raise self.error("another writer")
        return Written(1, 0, 0), set()


@pytest.mark.parametrize("error", [asyncpg.DeadlockDetectedError, asyncpg.UniqueViolationError])
async def test_a_page_is_written_again_after_another_writer(error: type[Exception]):
    writing = Writing(error, failing=TRIES_MAX - 1)
    assert await writing.put_page(page_of([]), 0, 0) == Written(1, 0, 0)
    assert writing.tries == TRIES_MAX


async def test_deadlocks_without_end_are_an_outage():
    with pytest.raises(StoreUnavailable):
        await Writing(asyncpg.DeadlockDetectedError, failing=TRIES_MAX).put_page(page_of([]), 0, 0)
