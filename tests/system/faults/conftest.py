"""Fixtures of the fault tests."""

import itertools
from collections.abc import AsyncIterator

import asyncpg
import pytest
from engines import SharedEngine

from persistence.postgres.migrations import migrate

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


def with_database(url: str, name: str) -> str:
    before, mark, options = url.partition("?")
    return f"{before.rpartition('/')[0]}/{name}{mark}{options}"
