"""Settlement on a real PostgreSQL: who pays whom, who gets what, once, wherever it is cut off."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from auction_requests import cancel_request

from actors.hosting.host import Host
from actors.stream.messages import Refused
from domain.auction.events import Closed, Settled
from domain.ledger.books import HOUSE
from domain.ledger.ids import held_for_auction
from domain.ledger.rules import Reserve
from domain.money import usd
from ece.processes.worker import SETTLING_SETTINGS
from persistence.ledger.faucet import FUNDS
from persistence.ledger.store import Ledger
from persistence.postgres.errors import StoreError
from persistence.postgres.pool import Pool, close_pool, open_pool
from persistence.sales.settlement import Settlements
from tests.contracts.sales.sale_scenes import (
    ARTIST,
    STUDIO,
    CutConnection,
    Scene,
    a_life,
    ask,
    fragile_pool,
    held_now,
    ledger_findings,
)


@pytest.fixture
async def scene(pool: Pool) -> AsyncIterator[Scene]:
    """A database in which nothing is due."""
    await pool.execute("UPDATE auctions SET settlement = 'done'")
    await pool.execute("DELETE FROM jobs")
    return Scene(pool)


async def test_the_winner_pays_and_has_the_copy(scene: Scene, database_url: str):
    artist_before, house_before = (await scene.standing(ARTIST))[0], (await scene.standing(HOUSE))[0]
    async with a_life(database_url) as host:
        auction, copy, seller, buyer = await scene.sold(host)
        assert await held_now(scene.pool, auction) == usd(200)
        await scene.settle(host)
        events = await scene.events(auction)
    price = usd(102, 50)
    fee, artist, studio = price // 20, price // 10, price // 40
    assert await scene.standing(buyer) == (FUNDS - price, 0)
    assert await scene.standing(seller) == (price - fee - artist - studio, 0)
    assert (await scene.standing(ARTIST))[0] - artist_before == artist
    assert (await scene.standing(HOUSE))[0] - house_before == fee
    assert await scene.owner_and_place(copy) == (buyer, "free")
    assert await scene.history_of(copy) == [("made", None, seller, None), ("sale", seller, buyer, price)]
    assert events[-1] == Settled(buyer, price, fee, artist + studio)
    assert isinstance(events[-2], Closed)
    assert await scene.progress(auction) == "done"
    [settlement] = await scene.settlements.of(auction)
    assert settlement.legs == [
        ("sale", seller, price - fee - artist - studio), ("fee", HOUSE, fee), ("royalty", ARTIST, artist),
        ("royalty", STUDIO, studio),
    ]  # fmt: skip
    assert (settlement.event_seq, settlement.copies, settlement.outcome) == (len(events) - 1, 1, "sold")
    assert await ledger_findings(database_url) == []


async def test_a_bundle_changes_hands_as_a_whole(scene: Scene, database_url: str):
    async with a_life(database_url) as host:
        seller, buyer = await scene.person(), await scene.person()
        copies = await scene.copies_for(seller, 3)
        auction = await scene.list_auction(host, seller, copies, starting_price=usd(1))
        await scene.bid(host, auction, buyer, usd(1))
        await scene.close(host, auction)
        await scene.settle(host)
    assert [await scene.owner_and_place(copy) for copy in copies] == [(buyer, "free")] * 3
    rows = await scene.pool.fetch(
        "SELECT price, fee, royalties FROM sales WHERE auction_id = $1 ORDER BY copy_id", auction
    )
    assert [row[0] for row in rows] == [333_334, 333_333, 333_333]
    assert sum(row[1] for row in rows) == 50_000


async def test_what_nobody_bought_is_its_sellers_again(scene: Scene, database_url: str):
    async with a_life(database_url) as host:
        seller, bidder = await scene.person(), await scene.person()
        [unsold, withdrawn] = await scene.copies_for(seller, 2)
        first = await scene.list_auction(host, seller, [unsold], reserve_price=usd(50))
        second = await scene.list_auction(host, seller, [withdrawn])
        assert await scene.owner_and_place(unsold) == (seller, "listed")
        await scene.bid(host, first, bidder, usd(5))
        await scene.close(host, first)
        assert not isinstance(await ask(host, cancel_request(second, seller)), Refused)
        await scene.settle(host)
    assert [await scene.owner_and_place(copy) for copy in (unsold, withdrawn)] == [(seller, "free")] * 2
    assert [(await scene.settlements.of(a))[0].outcome for a in (first, second)] == ["unsold", "cancelled"]
    assert await scene.progress(first) == "done"
    assert not any(isinstance(event, Settled) for event in await scene.events(first))


async def test_a_winner_who_cannot_pay_keeps_nobody_waiting(scene: Scene, database_url: str):
    async with a_life(database_url) as host:
        broke, copy, seller, buyer = await scene.sold(host)
        # Money that was there is gone: a fault of ours, or an operator's doing.
        await Ledger(scene.pool).reserve([Reserve(held_for_auction(broke), buyer, 0, 0)], "USDC")
        friend = await scene.person(funded=False)
        await scene.move(buyer, friend, FUNDS)
        fine, *_ = await scene.sold(host)
        await scene.settle(host)
        assert await scene.progress(broke) == "failed"
        assert await scene.progress(fine) == "done"
        assert await scene.owner_and_place(copy) == (seller, "listed")
        [failure] = [f for f in await scene.settlements.failures(None, 10) if f.auction == broke]
        assert (failure.code, failure.attempts) == ("insufficient_funds", 1)

        assert await scene.settlements.try_again(broke)
        await scene.settle(host)
        assert (await scene.settlements.failures(None, 10))[0].attempts == 2
        await scene.move(friend, buyer, FUNDS)
        assert await scene.settlements.try_again(broke)
        assert not await scene.settlements.try_again(broke)
        await scene.settle(host)
        assert await scene.progress(broke) == "done"
        assert await scene.owner_and_place(copy) == (buyer, "free")


async def test_a_fee_is_that_of_the_time_of_listing(scene: Scene, database_url: str):
    async with a_life(database_url) as host:
        seller, buyer = await scene.person(funded=False), await scene.person()
        auction = await scene.list_auction(host, seller, starting_price=usd(10))
        await scene.pool.execute("UPDATE users SET seller_tier = 'gold' WHERE user_id = $1", seller)
        await scene.bid(host, auction, buyer, usd(10))
        await scene.close(host, auction)
        await scene.settle(host)
    assert await scene.standing(seller) == (usd(9, 50), 0)


async def test_a_settler_that_stands_still_in_the_midst_does_not_hold_up_others(scene: Scene, database_url: str):
    person = await scene.person()
    account = (await Ledger(scene.pool).accounts([person], "USDC"))[person]
    lock = "SELECT FROM ledger_accounts WHERE account_id = $1 FOR NO KEY UPDATE"
    pool = await open_pool(database_url, size_max=1, settings=SETTLING_SETTINGS)
    async with pool.acquire() as stands_still:
        await stands_still.execute("BEGIN")
        await stands_still.execute(lock, account)
        # It says nothing more, and is cut off; who waits for what it had locked goes on.
        assert await Ledger(scene.pool).reserve([Reserve(held_for_auction(1), person, 5)], "USDC") == {}
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await stands_still.execute("COMMIT")
    await close_pool(pool)
    await Ledger(scene.pool).reserve([Reserve(held_for_auction(1), person, 0, 0)], "USDC")


@asynccontextmanager
async def fragile(database_url: str) -> AsyncIterator[Settlements]:
    """Settlements over connections that can be cut."""
    async with fragile_pool(database_url) as pool:
        yield Settlements(pool)


async def statements_of_a_settlement(scene: Scene, host: Host, database_url: str) -> int:
    async with fragile(database_url) as settlements:
        await scene.sold(host)
        CutConnection.cut_at(None)
        await scene.settle(host, settlements)
        return CutConnection.statements


@pytest.mark.parametrize("after", [False, True])
async def test_a_settlement_that_is_cut_off_at_any_statement_is_done_once(scene: Scene, database_url: str, after: bool):
    async with a_life(database_url) as host:
        steps = await statements_of_a_settlement(scene, host, database_url)
        assert steps > 8, "there is something to cut"
        for step in range(1, steps + 1):
            auction, copy, _, buyer = await scene.sold(host, price_usd=10)
            async with fragile(database_url) as settlements:
                CutConnection.cut_at(step, after=after)
                with pytest.raises(StoreError):
                    await scene.settle(host, settlements)
            # Another process goes on, once the database has seen that the first one is gone.
            async with asyncio.timeout(20):
                while await scene.progress(auction) != "done":
                    await scene.settle(host)
            assert await scene.owner_and_place(copy) == (buyer, "free"), step
            assert [reason for reason, *_ in await scene.history_of(copy)] == ["made", "sale"], step
            assert sum(isinstance(event, Settled) for event in await scene.events(auction)) == 1, step
            assert await scene.standing(buyer) == (FUNDS - usd(10, 50), 0), step
            assert len(await scene.settlements.of(auction)) == 1, step
    assert await ledger_findings(database_url) == []
