"""Peers in Python against a real PostgreSQL: the row lock is right; one that acknowledges without storing is found."""

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from bench.loads.processes import python_module
from bench.loads.shapes import Shape
from bench.peers.row_lock import RowLock
from bench.peers.stack import FalseAcks, PeerStack, measure_stack, serving
from bench.peers.tables import PeerTables, durability, new_tables
from persistence.postgres.pool import open_pool

SMALL = Shape("small", 2, 3, "2 auctions × 3 bidders")
FALSE_PEER = Path(__file__).parent / "false_peer.py"
_numbers = itertools.count(1)


@pytest.fixture
async def url(postgres) -> str:
    """An empty database."""
    name = f"peer_{next(_numbers)}"
    connection = await asyncpg.connect(postgres.get_uri())
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return postgres.get_uri(name)


@pytest.fixture
async def tables(url: str) -> AsyncIterator[PeerTables]:
    async with new_tables(url) as tables:
        yield tables


async def test_a_bid_is_stored_or_refused_with_the_minimum(url: str, tables: PeerTables):
    (auction,) = await tables.open_auctions(1, 100)
    async with await open_pool(url, size_max=4) as pool:
        row_lock = RowLock(pool)
        assert await row_lock.place(auction, 1, 120) == {"ok": True, "seq": 1, "price": 120, "minimum": 121}
        refused = await row_lock.place(auction, 2, 120)
        assert refused == {"ok": False, "error": {"code": "bid_too_low", "minimum": 121}}
        assert (await row_lock.place(auction + 1, 1, 120))["error"]["code"] == "not_found"
        await pool.execute("UPDATE auction SET ends_at = now()")
        assert (await row_lock.place(auction, 1, 130))["error"]["code"] == "auction_closed"
    assert await tables.amounts(auction) == [120]


async def test_of_bids_at_once_those_that_are_accepted_rise(url: str, tables: PeerTables):
    (auction,) = await tables.open_auctions(1, 0)
    async with await open_pool(url, size_max=4) as pool:
        place = RowLock(pool).place
        replies = await asyncio.gather(*(place(auction, 1, amount) for amount in (3, 1, 2, 5, 4, 6)))
    amounts = await tables.amounts(auction)
    assert amounts == sorted(reply["price"] for reply in replies if reply["ok"])
    assert amounts[-1] == 6


async def test_what_the_row_lock_acknowledges_under_load_is_in_its_tables(url: str, tables: PeerTables):
    async with serving([*python_module("bench.peers.row_lock"), url]) as server:
        measured = await measure_stack(PeerStack(server, "ece", url, tables), SMALL, 0.5)
    assert measured.accepted > 0
    assert measured.updates >= measured.accepted
    assert len(measured.acknowledged) == SMALL.auctions


async def test_a_peer_that_acknowledges_without_storing_is_found(url: str, tables: PeerTables):
    async with serving([sys.executable, str(FALSE_PEER)]) as server:
        with pytest.raises(FalseAcks, match="acknowledged bids in auction 1 are not in the database"):
            await measure_stack(PeerStack(server, "ece", url, tables), SMALL, 0.5)


async def test_a_database_without_synchronous_commit_is_seen(url: str):
    durable = await durability(url)
    assert (durable["fsync"], durable["synchronous_commit"]) == ("on", "on")
    connection = await asyncpg.connect(url)
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    await connection.close()
    assert await durability(url) == {**durable, "synchronous_commit": "off"}
