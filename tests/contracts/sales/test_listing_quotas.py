"""How much one seller may list, over REST and, at once, by several gateways."""

import asyncio
from typing import Any

import httpx
import pytest

from gateway.rest.limits import Limits
from persistence.sales.listing_quotas import HOUR_MS, QuotaExceeded, SellerQuota
from persistence.sales.listings import Listings, Locked
from tests.rest.rest_engine import USD, Person, RestEngine, rest_engine
from tests.rest.test_rest_auctions import problem

DAY_MS = 24 * HOUR_MS
NOW = 1_800_000_000_000
ROOMY = SellerQuota(listed_per_hour=1_000, live=1_000, dedicated=1_000)


async def lists(seller: Person, key: str | None = None, **terms: Any) -> httpx.Response:
    body = {"title": "Charizard", "starting_price": USD, "duration_ms": DAY_MS} | terms
    return await seller.post("/auctions", body, key)


@pytest.fixture
async def strict(database_url: str):
    """Three in an hour, two live ones, one of them with a host of its own."""
    limits = Limits(seller_quota=SellerQuota(listed_per_hour=3, live=2, dedicated=1))
    async with rest_engine(database_url, limits) as engine:
        yield engine


async def test_live_auctions_of_a_seller_are_bounded_and_ended_ones_make_room(strict: RestEngine):
    ann, bob = await strict.person(), await strict.person()
    first = (await lists(ann)).json()["id"]
    assert (await lists(ann, duration_ms=2 * DAY_MS)).status_code == 201
    refused = await lists(ann, "again")
    body = problem(refused, 429, "quota_exceeded")
    assert (body["quota"], body["limit"]) == ("live", 2)
    # The first of the two ends in a day.
    assert DAY_MS - 60_000 < body["retry_after_ms"] <= DAY_MS
    assert DAY_MS // 1000 - 60 <= int(refused.headers["Retry-After"]) <= DAY_MS // 1000
    assert (await lists(bob)).status_code == 201
    assert (await ann.post(f"/auctions/{first}/cancel")).status_code == 200
    assert (await lists(ann, "again")).status_code == 201


async def test_listings_in_an_hour_are_bounded_also_where_the_auctions_have_ended(strict: RestEngine):
    ann = await strict.person()
    for _ in range(3):
        auction = (await lists(ann)).json()["id"]
        assert (await ann.post(f"/auctions/{auction}/cancel")).status_code == 200
    body = problem(await lists(ann), 429, "quota_exceeded")
    assert (body["quota"], body["limit"]) == ("listed_per_hour", 3)
    assert HOUR_MS - 60_000 < body["retry_after_ms"] <= HOUR_MS


async def test_auctions_with_a_host_of_their_own_are_bounded_apart(strict: RestEngine):
    ann = await strict.person()
    assert (await lists(ann, placement="dedicated")).status_code == 201
    body = problem(await lists(ann, placement="dedicated"), 429, "quota_exceeded")
    assert (body["quota"], body["limit"]) == ("dedicated", 1)
    assert (await lists(ann)).status_code == 201


async def test_a_retry_of_what_is_listed_is_answered_as_before_at_the_bound(strict: RestEngine):
    ann = await strict.person()
    strict.router.lost_answers = 1
    problem(await lists(ann, "lost"), 503, "unavailable")
    assert (await lists(ann)).status_code == 201
    problem(await lists(ann), 429, "quota_exceeded")
    assert (await lists(ann, "lost")).status_code == 201


@pytest.mark.parametrize("role", ["admin", "quota_exempt"])
async def test_operators_and_exempt_sellers_have_no_quotas(strict: RestEngine, role: str):
    seller = await strict.person(role=role)
    answers = [(await lists(seller, placement="dedicated")).status_code for _ in range(5)]
    assert answers == [201] * 5


async def user(pool: Any) -> int:
    seller: int = await pool.fetchval(
        "INSERT INTO users (username, email, email_key) SELECT n, n || '@e', n || '@e'"
        " FROM (SELECT 'u' || count(*) AS n FROM users) x RETURNING user_id"
    )
    return seller


async def test_many_listings_at_once_never_exceed_a_quota(pool):
    seller, listings, quota = await user(pool), Listings(pool), SellerQuota(1_000, 5, 1_000)
    outcomes = await asyncio.gather(*(listings.lock(7_000 + n, seller, [], NOW, quota=quota) for n in range(20)))
    assert [outcome for outcome in outcomes if isinstance(outcome, Locked)] == [Locked(())] * 5
    assert outcomes.count(QuotaExceeded("live", 5, None)) == 15


async def test_what_never_became_an_auction_counts_for_an_hour(pool):
    seller, listings = await user(pool), Listings(pool)
    quota = SellerQuota(listed_per_hour=1_000, live=1, dedicated=1)
    assert await listings.lock(8_001, seller, [], NOW, dedicated=True, quota=quota) == Locked(())
    full = QuotaExceeded("live", 1, None)
    assert await listings.lock(8_002, seller, [], NOW + HOUR_MS - 1, dedicated=True, quota=quota) == full
    assert await listings.lock(8_002, seller, [], NOW + HOUR_MS, dedicated=True, quota=quota) == Locked(())


async def test_a_place_in_the_hour_is_free_when_the_oldest_that_counts_leaves_it(pool):
    seller, listings = await user(pool), Listings(pool)
    quota = SellerQuota(listed_per_hour=2, live=1_000, dedicated=1_000)
    for n, at in enumerate((NOW, NOW + 10, NOW + 20)):
        # One more than the quota: it was lowered.
        await listings.lock(9_000 + n, seller, [], at, quota=ROOMY)
    assert await listings.lock(9_010, seller, [], NOW + 30, quota=quota) == QuotaExceeded(
        "listed_per_hour", 2, NOW + 10 + HOUR_MS
    )
    assert await listings.lock(9_010, seller, [], NOW + 10 + HOUR_MS, quota=quota) == Locked(())
