"""A server that takes no writes: what our stores make of it."""

import asyncio

import pytest

from persistence.postgres.errors import StoreReadOnly, StoreUnavailable
from persistence.postgres.guard import guarded
from persistence.postgres.pool import Pool, probe
from persistence.postgres.read_only import set_read_only


async def probe_says(pool: Pool, expected: type[StoreReadOnly] | None) -> None:
    """Wait: sessions learn of a reload by a signal."""
    async with asyncio.timeout(10):
        while True:
            try:
                await probe(pool)
                found = None
            except StoreReadOnly as error:
                found = type(error)
            if found is expected:
                return
            await asyncio.sleep(0.01)


async def test_a_read_only_server_refuses_the_writes_of_open_connections_until_it_is_switched_back(pool, database_url):
    await pool.execute("CREATE TABLE written (n int)")
    await probe_says(pool, None)
    try:
        await set_read_only(database_url, read_only=True)
        await probe_says(pool, StoreReadOnly)
        with pytest.raises(StoreUnavailable, match="read-only transaction"):
            await guarded(pool.execute("INSERT INTO written VALUES (1)"))
        assert await pool.fetchval("SELECT count(*) FROM written") == 0
    finally:
        await set_read_only(database_url, read_only=False)
    await probe_says(pool, None)
    await guarded(pool.execute("INSERT INTO written VALUES (1)"))
