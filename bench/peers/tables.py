"""The tables of a peer: filled with open auctions before a load, and read afterwards."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from persistence.postgres.pool import Pool, close_pool, open_pool

TABLES = (Path(__file__).parent / "tables.sql").read_text()
OPEN_AUCTIONS = """
    INSERT INTO auction (title, current, ends_at)
    SELECT 'Card', $2, now() + interval '1 day' FROM generate_series(1, $1::integer) RETURNING id
"""
AMOUNTS = "SELECT amount FROM bid WHERE auction_id = $1 ORDER BY id"
# What decides whether a commit survives a crash.
DURABILITY = ["fsync", "full_page_writes", "server_version", "synchronous_commit", "wal_sync_method"]
SETTINGS = "SELECT name, setting FROM pg_settings WHERE name = ANY($1) ORDER BY name"


class PeerTables:
    """The database of one peer. Raises StoreUnavailable."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def open_auctions(self, count: int, price: int) -> list[int]:
        """New auctions that take bids above this price for a day."""
        return [row["id"] for row in await self._pool.fetch(OPEN_AUCTIONS, count, price)]

    async def amounts(self, auction: int) -> list[int]:
        """Of all its bids, in the order in which they were placed."""
        return [row["amount"] for row in await self._pool.fetch(AMOUNTS, auction)]


@asynccontextmanager
async def new_tables(database_url: str) -> AsyncIterator[PeerTables]:
    """The tables, made in an empty database. The peer's own connections are others."""
    pool = await open_pool(database_url, size_max=1)
    try:
        await pool.execute(TABLES)
        yield PeerTables(pool)
    finally:
        await close_pool(pool)


async def durability(database_url: str) -> dict[str, str]:
    """The settings of this PostgreSQL that decide whether a commit survives a crash."""
    pool = await open_pool(database_url, size_max=1)
    try:
        return {row["name"]: row["setting"] for row in await pool.fetch(SETTINGS, DURABILITY)}
    finally:
        await close_pool(pool)
