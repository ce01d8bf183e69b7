"""Fixtures of the fault tests."""

import itertools
from collections.abc import AsyncIterator

import asyncpg
import pytest
from engines import SharedEngine

from persistence.postgres.migrations import migrate
from persistence.postgres.pool import Pool, close_pool, open_pool

_numbers = itertools.count(1)


@pytest.fixture
async def database_url(engine: SharedEngine) -> AsyncIterator[str]:
    """A database of the test's own, on the engine's PostgreSQL."""
    engine.wait_until_ready()
    name = f"faults_{next(_numbers)}"
    connection = await asyncpg.connect(engine.database_url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
        url = with_database(engine.database_url, name)
        await migrate(url)
        yield url
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    """Connections to the test's own database."""
    pool = await open_pool(database_url, size_max=4)
    yield pool
    await close_pool(pool)


def with_database(url: str, name: str) -> str:
    before, mark, options = url.partition("?")
    return f"{before.rpartition('/')[0]}/{name}{mark}{options}"
