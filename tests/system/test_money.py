"""Fifty bidders, fifty auctions, funds for three, kill -9: at the end the money is right, and who won has paid."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from engines import SharedEngine

from domain.ids import parse_id
from domain.ledger.books import HOUSE
from domain.ledger.ids import transfer_id
from domain.ledger.orders import Transfer
from domain.ledger.rules import Done
from persistence.ledger.faucet import FUNDS
from persistence.ledger.store import Ledger
from persistence.postgres.pool import Pool, close_pool, open_pool
from tests.faults.scene import Scene, until
from tests.system.faults.test_faults import victim

PEOPLE = 50
USD = 1_000_000
POCKET = 4 * USD


async def leave_pocket_money(pool: Pool, users: list[int]) -> None:
    """Take from everybody all but what they can bid with in a few auctions."""
    ledger = Ledger(pool)
    accounts = await ledger.accounts(users, "USDC")
    faucet = (await ledger.accounts([HOUSE], "USDC", "faucet"))[HOUSE]
    orders = [Transfer(transfer_id("pocket", user), accounts[user], faucet, FUNDS - POCKET, "test") for user in users]
    outcomes = await ledger.execute(orders, 0)
    assert all(isinstance(outcome, Done) for outcome in outcomes), outcomes


async def more_answers(scene: Scene, number: int) -> None:
    wanted = scene.answers() + number
    await until(lambda: scene.answers() >= wanted, f"{number} more answers")


def ledger_check(engine: SharedEngine) -> subprocess.CompletedProcess[str]:
    """The operator's tool, as a process of its own."""
    environment = {**os.environ, "ECE_DATABASE_URL": engine.database_url, "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", "ece.cli", "ledger", "check"], env=environment, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip


@asynccontextmanager
async def database(engine: SharedEngine) -> AsyncIterator[Pool]:
    """Connections that no kill was among."""
    pool = await open_pool(engine.database_url, size_max=2)
    try:
        yield pool
    finally:
        await close_pool(pool)


async def came_to(pool: Pool, scene: Scene) -> tuple[int, int, int]:
    """How many auctions were sold, how many sales were paid for, and how many failed."""
    row = await pool.fetchrow(
        "SELECT count(*) FILTER (WHERE winner_id IS NOT NULL), count(*) FILTER (WHERE s.outcome = 'sold'),"
        " count(*) FILTER (WHERE a.settlement = 'failed')"
        " FROM auctions a LEFT JOIN settlements s USING (auction_id) WHERE a.auction_id = ANY($1::bigint[])",
        [parse_id(auction) for auction in scene.auctions],
    )
    assert row is not None
    return row[0], row[1], row[2]


@pytest.mark.timeout(420)
async def test_nobody_promises_more_than_they_have_through_kills_and_every_winner_pays(engine: SharedEngine):
    engine.wait_until_ready()
    scene = Scene(engine.base_url, engine.database_url, engine.key_secrets, auctions=PEOPLE, bidders=PEOPLE)
    async with scene:
        bidders = [parse_id(bidder.account.id) for bidder in scene.bidders]
        async with database(engine) as pool:
            await leave_pocket_money(pool, bidders)
        scene.start()
        await more_answers(scene, 200)
        for part in ("host", "postgres", "host"):
            dead = await victim(engine, part)
            os.kill(dead, signal.SIGKILL)
            await more_answers(scene, 150)
            await victim(engine, part, but=dead)
        assert await scene.finish() == []
        codes = {refused.code for refused in scene.recording.refused}
        assert "insufficient_funds" in codes, codes
        async with database(engine) as pool:
            sold, paid, failed = await came_to(pool, scene)
            rows = await pool.fetch(
                "SELECT posted, held FROM ledger_accounts WHERE owner_id = ANY($1::bigint[]) AND kind = 'user'", bidders
            )
        assert (sold, failed) == (paid, 0)
        assert sold > PEOPLE // 2
        assert all(0 <= posted <= POCKET and held == 0 for posted, held in rows), rows
        checked = await asyncio.to_thread(ledger_check, engine)
        assert checked.returncode == 0, checked.stdout + checked.stderr
    engine.wait_until_ready()
