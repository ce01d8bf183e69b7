"""An auction whose card is moved on the chain ends by itself: nobody pays, nothing stays held, all are told."""

import asyncio
import json
from dataclasses import dataclass

import pytest

from actors.hosting.host import Host
from actors.workers.custody.ownership import EndListings
from domain.auction.events import Closed
from domain.errors import CARD_GONE
from domain.ledger.refusals import Refusal
from domain.money import usd
from persistence.auctions.reading import AuctionHistory, AuctionListing
from persistence.ledger.faucet import FUNDS
from persistence.minting.ownership import Ownership, SeenHolder
from persistence.notifications.store import Notifications
from persistence.postgres.pool import Pool
from persistence.sales.second_chances import Reversal, SecondChances
from persistence.sales.settlement import Settlements
from tests.contracts.sales.sale_scenes import NOW, OPERATOR, Scene, a_life, held_now, holders_now, ledger_findings
from tests.job_runs import DirectHost, run_due


@dataclass
class Gone:
    """Cards on the chain, and what follows when one goes."""

    scene: Scene

    @property
    def settlements(self) -> Settlements:
        return Settlements(self.scene.pool, AuctionHistory(self.scene.pool).bidders)

    async def mint(self, copy: int) -> None:
        await self.scene.pool.execute(
            "WITH j AS (INSERT INTO chain_jobs (kind, key, state) VALUES ('mint', $1::text, 'done') RETURNING job_id)"
            " INSERT INTO assets (copy_id, standard, job_id, address, holder, holder_slot, state)"
            " SELECT $2, 'token-2022', job_id, 'asset ' || $1, 'here', 10, 'minted' FROM j",
            str(copy), copy,
        )  # fmt: skip

    async def leave(self, copy: int) -> None:
        """Somebody outside has it, at finality."""
        await self.scene.pool.execute("UPDATE chain_jobs SET state = 'done' WHERE moved_copy = $1", copy)
        assert await Ownership(self.scene.pool).moved_outside([SeenHolder(copy, "outside", 50)], NOW) == [copy]

    async def told(self, user: int) -> list[tuple[str, object]]:
        page = await Notifications(self.scene.pool).page(user, False, None, 10)
        return [(one.kind, json.loads(one.data)["reason"]) for one in page if one.kind == "sale_cancelled"]

    async def work(self, host: Host) -> None:
        await run_due(self.scene.pool, EndListings(DirectHost(host)))
        await self.scene.settle(host, self.settlements)


@pytest.fixture
async def gone(pool: Pool) -> Gone:
    await pool.execute("UPDATE auctions SET settlement = 'done'")
    await pool.execute("DELETE FROM jobs")
    return Gone(Scene(pool))


async def test_a_sale_whose_card_is_gone_is_cancelled_by_itself(gone: Gone, database_url: str):
    scene = gone.scene
    seller, first, second = await scene.person(funded=False), await scene.person(), await scene.person()
    left, kept = await scene.copies_for(seller, 2)
    await gone.mint(left)
    async with a_life(database_url) as host:
        auction = await scene.list_auction(host, seller, [left, kept])
        await scene.bid(host, auction, first, usd(10))
        await scene.bid(host, auction, second, usd(50))
        async with asyncio.timeout(10):
            # Who was outbid has their money back without any of this.
            while await holders_now(scene.pool, auction) > 1:  # noqa: ASYNC110 – nothing notifies of a release
                await asyncio.sleep(0.01)
        assert await held_now(scene.pool, auction) == usd(50)
        await gone.leave(left)
        await gone.work(host)
        assert await scene.progress(auction) == "done"
        assert isinstance((await scene.events(auction))[-1], Closed)
        # Again, by another worker: nothing changes.
        assert await gone.settlements.settle(auction, NOW) is None
    assert await held_now(scene.pool, auction) == 0
    assert [await scene.standing(one) for one in (first, second, seller)] == [(FUNDS, 0), (FUNDS, 0), (0, 0)]
    assert await scene.owner_and_place(kept) == (seller, "free")
    [settlement] = await gone.settlements.of(auction)
    assert (settlement.outcome, settlement.buyer, settlement.price, settlement.copies) == ("cancelled", None, 0, 2)
    shown = await AuctionListing(scene.pool).get(auction)
    assert shown is not None
    assert (shown.status, shown.winner, shown.settled) == ("closed", second, False)
    assert [await gone.told(one) for one in (first, second, seller)] == [[("sale_cancelled", CARD_GONE)]] * 3
    assert await gone.settlements.failures(None, 10) == []
    assert await ledger_findings(database_url) == []
    reversal = Reversal(auction, OPERATOR, "again")
    assert await SecondChances(scene.pool).reverse(reversal, NOW) == Refusal("sale_cancelled")


async def test_a_card_that_goes_after_the_close_ends_its_sale_too(gone: Gone, database_url: str):
    scene = gone.scene
    async with a_life(database_url) as host:
        auction, copy, seller, buyer = await scene.sold(host)
        await gone.mint(copy)
        await gone.leave(copy)
        await gone.work(host)
    assert await scene.progress(auction) == "done"
    assert await held_now(scene.pool, auction) == 0
    assert (await scene.standing(buyer))[1] == 0
    assert [await gone.told(one) for one in (seller, buyer)] == [[("sale_cancelled", CARD_GONE)]] * 2
    assert await ledger_findings(database_url) == []


async def test_a_copy_without_an_asset_that_was_changed_by_hand_is_left_to_an_operator(gone: Gone, database_url: str):
    scene = gone.scene
    async with a_life(database_url) as host:
        auction, copy, _, buyer = await scene.sold(host)
        await scene.pool.execute(
            "UPDATE copies SET place = 'withdrawn', locked_by = NULL, locked_at = NULL WHERE copy_id = $1", copy
        )
        await gone.work(host)
        assert await scene.progress(auction) == "failed"
        assert (await scene.standing(buyer))[1] > 0
        assert await SecondChances(scene.pool).reverse(Reversal(auction, OPERATOR, "by hand"), NOW) is None
    assert await held_now(scene.pool, auction) == 0


async def test_an_auction_without_bids_whose_card_is_gone_is_cancelled(gone: Gone, database_url: str):
    scene = gone.scene
    seller = await scene.person(funded=False)
    [copy] = await scene.copies_for(seller)
    await gone.mint(copy)
    async with a_life(database_url) as host:
        auction = await scene.list_auction(host, seller, [copy])
        await gone.leave(copy)
        await gone.work(host)
        assert await scene.progress(auction) == "done"
    assert [one.outcome for one in await gone.settlements.of(auction)] == ["cancelled"]
    assert await gone.told(seller) == []
