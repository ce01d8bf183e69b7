"""What sellers learn before they list, and the auctions of one card."""

from typing import Any

import pytest

from tests.rest.rest_engine import USD, Person, RestEngine
from tests.rest.test_rest_auctions import problem
from tests.rest.test_rest_sales import balance, made_for, new_card, owner_of, settle, with_money

TERMS = {"title": "Charizard", "starting_price": USD, "duration_ms": 3_600_000}


@pytest.fixture
async def operator(engine: RestEngine) -> Person:
    return await engine.person(role="admin")


async def with_royalty(engine: RestEngine, operator: Person, *payees: tuple[Person, int]) -> str:
    card = await new_card(engine, operator)
    body = {"payees": [{"user": payee.name, "basis_points": points} for payee, points in payees]}
    assert (await operator.post(f"/admin/catalog/cards/{card}/royalty", body)).status_code == 200
    return card


async def test_the_preview_says_what_the_sale_then_brings(engine: RestEngine, operator: Person):
    artist, seller, buyer = await engine.person(), await engine.person(), await with_money(engine)
    copies = await made_for(operator, seller, await with_royalty(engine, operator, (artist, 1_000)), 2)
    # A price that can't be divided: what is rounded goes to the seller.
    terms = TERMS | {"copies": copies, "starting_price": 3_333_333, "buy_now_price": 9 * USD}
    shown = (await seller.post("/auction-previews", terms)).json()
    assert shown["ends_at"] - shown["starts_at"] == 3_600_000
    assert {name: shown[name] for name in ("fee_basis_points", "starting_price", "reserve_price", "buy_now_price")} == {
        "fee_basis_points": 500,
        "starting_price": {"price": 3_333_333, "fee": 166_666, "royalties": 333_332, "net": 2_833_335},
        "reserve_price": None,
        "buy_now_price": {"price": 9 * USD, "fee": 450_000, "royalties": 900_000, "net": 7_650_000},
    }
    assert [await owner_of(engine, copy) for copy in copies] == [(seller.name, "free")] * 2

    auction = (await seller.post("/auctions", terms)).json()["id"]
    assert (await buyer.post(f"/auctions/{auction}/bids", {"amount": 3_333_333})).status_code == 201
    assert (await operator.post(f"/admin/auctions/{auction}/close")).status_code == 200
    await settle(engine)
    assert (await balance(seller), await balance(artist)) == (2_833_335, 333_332)


async def test_the_preview_has_the_fee_of_the_sellers_tier(engine: RestEngine, operator: Person):
    seller = await engine.person()
    assert (await operator.post(f"/admin/users/{seller.name}/tier", {"tier": "gold"})).status_code == 200
    shown = (await seller.post("/auction-previews", TERMS | {"reserve_price": 10 * USD})).json()
    assert shown["fee_basis_points"] == 300
    assert shown["reserve_price"] == {"price": 10 * USD, "fee": 300_000, "royalties": 0, "net": 9_700_000}


async def test_a_seller_pays_no_royalty_to_oneself(engine: RestEngine, operator: Person):
    artist = await engine.person()
    copies = await made_for(operator, artist, await with_royalty(engine, operator, (artist, 1_000)))
    shown = (await artist.post("/auction-previews", TERMS | {"copies": copies})).json()
    assert shown["starting_price"] == {"price": USD, "fee": 50_000, "royalties": 0, "net": 950_000}


@pytest.mark.parametrize("change", [{"reserve_price": 1}, {"buy_now_price": 1}, {"format": "dutch"}, {"ends_at": 9}])
async def test_the_preview_refuses_the_terms_that_listing_refuses(engine: RestEngine, change: dict[str, Any]):
    seller = await engine.person()
    previewed = problem(await seller.post("/auction-previews", TERMS | change), 422, "invalid_request")
    listed = problem(await seller.post("/auctions", TERMS | change), 422, "invalid_request")
    assert previewed["detail"] == listed["detail"]


async def test_the_preview_refuses_copies_that_cannot_be_listed(engine: RestEngine, operator: Person):
    ann, bob = await engine.person(), await engine.person()
    [mine, listed] = await made_for(operator, ann, await new_card(engine, operator), 2)
    await ann.open_auction(copies=[listed])
    for person, copy, status, code in [
        (bob, mine, 403, "not_your_copy"), (ann, listed, 409, "copy_not_free"),
        (ann, "0000000000001", 404, "copy_not_found"),
    ]:  # fmt: skip
        answer = problem(await person.post("/auction-previews", TERMS | {"copies": [copy]}), status, code)
        assert answer["copy"] == copy


async def test_the_auctions_of_a_card_are_those_that_sell_a_copy_of_it(engine: RestEngine, operator: Person):
    ann = await engine.person()
    card, other = [await new_card(engine, operator) for _ in range(2)]
    [first, second, third] = await made_for(operator, ann, card, 3)
    [strange] = await made_for(operator, ann, other)
    late = (await ann.open_auction(copies=[first], duration_ms=7_200_000))["id"]
    bundle = (await ann.open_auction(copies=[second, third, strange], duration_ms=60_000))["id"]
    await ann.open_auction()

    async def found(**query: str) -> list[str]:
        page = (await engine.request("GET", "/auctions", params={"card": card} | query)).json()
        return [item["id"] for item in page["items"]]

    assert await found() == [bundle, late]
    assert await found(sort="ending") == [bundle, late]
    assert await found(status="closed") == []
    assert await found(card=other) == [bundle]
    assert await found(seller=operator.name) == []
    page = (await engine.request("GET", "/auctions", params={"card": card, "limit": "1"})).json()
    assert await found(cursor=page["next_cursor"], limit="1") == [late]
    problem(await engine.request("GET", "/auctions", params={"card": "no-id"}), 422, "invalid_request")


async def test_a_copy_is_shown_with_the_picture_of_its_card(engine: RestEngine, operator: Person):
    ann = await engine.person()
    card = await new_card(engine, operator, images=["/media/cards/front.webp", "/media/cards/back.webp"])
    [copy] = await made_for(operator, ann, card)
    assert (await engine.request("GET", f"/copies/{copy}")).json()["image"] == "/media/cards/front.webp"


async def test_a_list_of_auctions_says_which_card_each_of_them_sells(engine: RestEngine, operator: Person):
    seller = await engine.person()
    card = await new_card(engine, operator, name="Heron", images=["/media/cards/heron.webp"])
    copies = await made_for(operator, seller, card, count=2)
    with_copies = await seller.open_auction(copies=copies)
    without = await seller.open_auction()
    items = (await engine.request("GET", "/auctions", params={"seller": seller.name})).json()["items"]
    shown = {item["id"]: item["copy"] for item in items}
    copy = (await engine.request("GET", f"/copies/{min(copies)}")).json()
    assert shown == {with_copies["id"]: copy, without["id"]: None}
    of_card = (await engine.request("GET", f"/catalog/cards/{card}")).json()
    assert [copy[field] for field in ("card", "name", "set_name", "rarity", "image")] == [
        card, "Heron", of_card["set"]["name"], of_card["rarity"], "/media/cards/heron.webp",
    ]  # fmt: skip
    assert "cost" not in copy
