"""What users bid, buy and sell by day: taken in step by step, also after a killed step and in a rebuild."""

import random
from collections import Counter, defaultdict

import pytest

from actors.clock import Clock
from domain.auction.events import BidEvent
from domain.money import usd
from domain.sales.portfolio import day_of
from persistence.analytics import following
from persistence.analytics.activity import UserActivity, UserDay
from persistence.analytics.following import Analytics
from persistence.postgres.pool import Pool
from tests.contracts.analytics.test_analytics import caught_up
from tests.contracts.sales.sale_scenes import Scene, a_life

# More than one step takes in.
AUCTIONS = following.AUCTIONS_A_STEP + 5


async def recomputed(scene: Scene, auctions: list[int]) -> dict[int, Counter[str]]:
    """What each user did, from the logs and settlements alone."""
    found: dict[int, Counter[str]] = defaultdict(Counter)
    for auction in auctions:
        bids = [event for event in await scene.events(auction) if isinstance(event, BidEvent)]
        for event in bids:
            found[event.bidder]["bids"] += 1
        for bidder in {event.bidder for event in bids}:
            found[bidder]["auctions"] += 1
    for row in await scene.pool.fetch("SELECT * FROM settlements WHERE auction_id = ANY($1::bigint[])", auctions):
        if row["outcome"] == "sold":
            found[row["buyer_id"]] += Counter(wins=1, spent=row["price"], copies_bought=row["copies"])
            found[row["seller_id"]] += Counter(auctions_sold=1, gross=row["price"], copies_sold=row["copies"])
            found[row["seller_id"]] += Counter(fees=row["fee"], royalties=row["royalties"])
    return found


async def as_read(pool: Pool, users: list[int]) -> dict[int, Counter[str]]:
    today = day_of(Clock().now_ms())
    found: dict[int, Counter[str]] = {}
    for user in users:
        sums: Counter[str] = Counter()
        for day in await UserActivity(pool).days(user, "USDC", today - 1, today + 1):
            sums += Counter({name: getattr(day, name) for name in UserDay.__struct_fields__[1:]})
        found[user] = sums
    return found


@pytest.mark.timeout(180)
async def test_every_bid_win_and_sale_is_counted_once_also_after_a_killed_step_and_a_rebuild(
    pool: Pool, database_url: str, monkeypatch: pytest.MonkeyPatch
):
    scene, chance = Scene(pool), random.Random(7)
    sellers = [await scene.person(funded=False) for _ in range(3)]
    bidders = [await scene.person() for _ in range(4)]
    now = Clock().now_ms()
    async with a_life(database_url) as host:
        auctions = []
        for _ in range(AUCTIONS):
            seller = chance.choice(sellers)
            auction = await scene.list_auction(host, seller, await scene.copies_for(seller), starting_price=usd(1))
            for amount in range(1, chance.randrange(0, 6)):
                bidder = chance.choice(bidders)
                await scene.bid(host, auction, bidder, usd(amount * 10))
            await scene.close(host, auction)
            auctions.append(auction)
        await scene.settle(host)

    async def killed(*_: object) -> None:
        raise ConnectionResetError("cut by the test")

    with monkeypatch.context() as patch:
        patch.setattr(following, "count_bids", killed)
        with pytest.raises(Exception, match="cut by the test"):
            await Analytics(pool).step(now)
    await caught_up(pool, now)
    truth = await recomputed(scene, auctions)
    users = sellers + bidders
    assert sum(one["bids"] for one in truth.values()) > AUCTIONS
    assert await as_read(pool, users) == {user: truth[user] for user in users}
    await Analytics(pool).reset()
    assert sum(sum(one.values()) for one in (await as_read(pool, users)).values()) == 0
    await caught_up(pool, now)
    assert await as_read(pool, users) == {user: truth[user] for user in users}
    waiting = {source.source: source.waiting for source in (await Analytics(pool).status(now)).sources}
    assert waiting["bids"] == 0


async def test_a_range_has_its_days_and_no_others(pool: Pool):
    values = [(1, day, day) for day in (100, 101, 499, 500)]
    await pool.executemany(
        "INSERT INTO auction_bidders (auction_id, ended_day, user_id, day, bids) VALUES ($2::int, $2, $1, $3, 3)",
        values,
    )
    days = await UserActivity(pool).days(1, "USDC", 100, 1_000)
    assert [(day.day, day.bids, day.auctions) for day in days] == [(100, 3, 1), (101, 3, 1), (499, 3, 1)]
