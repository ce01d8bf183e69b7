"""Copies, listings, receipts, and sales that are taken back, as clients see them."""

import asyncio
from typing import Any

import pytest
from solders.hash import Hash

from actors.workers.market import RefreshMarket, refresh_jobs
from domain.ids import parse_id
from persistence.catalog.market import CatalogMarket
from persistence.chain.genesis import ChainGenesis
from persistence.jobs.store import JobStore
from persistence.log.anchors import AnchorOutcome, Anchors, anchors_written
from persistence.postgres.errors import StoreUnavailable
from persistence.postgres.pool import Pool
from tests.contracts.sales.sale_scenes import ledger_findings, settle_job
from tests.job_runs import run_due
from tests.rest.rest_engine import USD, Person, RestEngine
from tests.rest.test_rest_auctions import problem


async def new_card(engine: RestEngine, operator: Person, **fields: Any) -> str:
    number = fields.pop("number", None) or f"{engine.services.now_ms()}{id(fields)}"[-16:]
    body = {"set": "sales", "number": number, "name": f"Card {number}", "rarity": "rare"} | fields
    assert (await operator.post("/admin/catalog/cards", body)).status_code == 201
    found = await engine.request("GET", "/catalog/cards", params={"set": "sales", "q": number})
    [item] = [item for item in found.json()["items"] if item["number"] == number]
    return str(item["id"])


async def made_for(operator: Person, owner: Person, card: str, count: int = 1) -> list[str]:
    answer = await operator.post(f"/admin/catalog/cards/{card}/copies", {"count": count, "owner": owner.name})
    assert answer.status_code == 201, answer.text
    copies: list[str] = answer.json()["copies"]
    return copies


async def with_money(engine: RestEngine, amount: int = 1_000 * USD) -> Person:
    person = await engine.person()
    answer = await person.post("/ledger/deposits", {"amount": amount, "currency": "USDC"})
    assert answer.status_code == 201, answer.text
    return person


async def balance(person: Person) -> int:
    [one] = (await person.get("/ledger/balance")).json()["balances"]
    assert one["pending"] == 0
    return int(one["posted"])


async def settle(engine: RestEngine) -> None:
    await run_due(engine.pool, settle_job(engine.services.sales.settlements, engine.host))


@pytest.fixture
async def operator(engine: RestEngine) -> Person:
    return await engine.person(role="admin")


async def sold(
    engine: RestEngine, operator: Person, *bids_usd: int, **terms: Any
) -> tuple[Person, list[Person], str, str]:
    """(seller, bidders in the order of their bids, auction, copy) of an auction that has ended and is settled."""
    seller = await engine.person()
    [copy] = await made_for(operator, seller, await new_card(engine, operator))
    auction = (await seller.open_auction(copies=[copy], **terms))["id"]
    bidders = []
    for amount in bids_usd:
        bidder = await with_money(engine)
        assert (await bidder.post(f"/auctions/{auction}/bids", {"amount": amount * USD})).status_code == 201
        bidders.append(bidder)
    assert (await operator.post(f"/admin/auctions/{auction}/close")).status_code == 200
    await settle(engine)
    return seller, bidders, auction, copy


async def owner_of(engine: RestEngine, copy: str) -> tuple[str, str]:
    item = (await engine.request("GET", f"/copies/{copy}")).json()
    return item["owner"], item["place"]


async def test_a_card_is_listed_bid_for_and_sold(engine: RestEngine, operator: Person):
    seller, (loser, winner), auction, copy = await sold(engine, operator, 10, 20)
    state = (await engine.request("GET", f"/auctions/{auction}")).json()
    assert (state["copies"], state["settled"], state["winner"]) == ([copy], True, winner.name)
    price, fee = 10_500_000, 525_000
    assert await balance(winner) == 1_000 * USD - price
    assert await balance(loser) == 1_000 * USD
    assert await balance(seller) == price - fee
    assert await owner_of(engine, copy) == (winner.name, "free")

    [bought] = (await winner.get(f"/auctions/{auction}/receipts")).json()["items"]
    [earned] = (await seller.get(f"/auctions/{auction}/receipts")).json()["items"]
    assert bought | {"role": ""} == earned | {"role": ""}
    assert (bought["role"], earned["role"], earned["net"], earned["price"]) == ("buyer", "seller", price - fee, price)
    assert earned["legs"] == [{"kind": "sale", "amount": price - fee}, {"kind": "fee", "amount": fee}]
    history = (await engine.request("GET", f"/copies/{copy}/provenance")).json()["items"]
    assert [(one["reason"], one["to"], one["price"]) for one in history] == [
        ("made", seller.name, None), ("sale", winner.name, price),
    ]  # fmt: skip
    assert history[-1]["event_hash"] == bought["event_hash"]
    problem(await loser.get(f"/auctions/{auction}/receipts"), 404, "not_found")


async def test_a_sale_pays_the_royalties_of_its_card(engine: RestEngine, operator: Person):
    artist, studio, seller, buyer = [await engine.person() for _ in range(3)] + [await with_money(engine)]
    card = await new_card(engine, operator)
    royalty = {"payees": [{"user": artist.name, "basis_points": 1_000}, {"user": studio.name, "basis_points": 500}]}
    assert (await operator.post(f"/admin/catalog/cards/{card}/royalty", royalty)).json() == royalty
    shown = (await engine.request("GET", f"/catalog/cards/{card}")).json()
    assert (shown["creator"], shown["royalty"]) == (operator.name, royalty["payees"])
    auction = (await seller.open_auction(copies=await made_for(operator, seller, card, 2)))["id"]
    await buyer.post(f"/auctions/{auction}/bids", {"amount": USD})
    await operator.post(f"/admin/auctions/{auction}/close")
    await settle(engine)
    assert [await balance(one) for one in (artist, studio, seller)] == [100_000, 50_000, 800_000]
    mine = (await buyer.get("/users/me/copies")).json()["items"]
    assert [(one["serial"], one["cost"]) for one in mine] == [(1, 500_000), (2, 500_000)]
    theirs = (await seller.get(f"/users/{buyer.name}/copies")).json()["items"]
    assert ["cost" in one for one in theirs] == [False, False]


@pytest.mark.parametrize(
    "payees",
    [
        [{"user": "a", "basis_points": 0}], [{"user": "a", "basis_points": 5_001}], [{"user": "a"}],
        [{"user": "a", "basis_points": 1.0}], [{"user": "abc", "basis_points": 1}] * 6,
    ],
)  # fmt: skip
async def test_royalties_that_make_no_sense_are_refused(engine: RestEngine, operator: Person, payees: list[Any]):
    card = await new_card(engine, operator)
    problem(await operator.post(f"/admin/catalog/cards/{card}/royalty", {"payees": payees}), 422, "invalid_request")


async def test_only_ones_own_free_copies_can_be_listed(engine: RestEngine, operator: Person):
    ann, bob = await engine.person(), await engine.person()
    [mine, other] = await made_for(operator, ann, await new_card(engine, operator), 2)
    body = {"title": "Mine", "starting_price": USD, "duration_ms": 60_000}
    answer = problem(await bob.post("/auctions", body | {"copies": [mine]}), 403, "not_your_copy")
    assert answer["copy"] == mine
    problem(await ann.post("/auctions", body | {"copies": [mine, "0000000000001"]}), 404, "copy_not_found")
    assert await owner_of(engine, mine) == (ann.name, "free")

    auction = (await ann.open_auction(copies=[mine]))["id"]
    assert (await engine.request("GET", f"/copies/{mine}")).json()["auction"] == auction
    problem(await ann.post("/auctions", body | {"copies": [mine, other]}), 409, "copy_not_free")
    problem(await ann.post(f"/copies/{mine}/give", {"to": bob.name}), 409, "copy_not_free")
    assert await owner_of(engine, other) == (ann.name, "free")
    assert (await ann.post(f"/auctions/{auction}/cancel")).status_code == 200
    await settle(engine)
    assert await owner_of(engine, mine) == (ann.name, "free")


async def test_a_copy_is_listed_once_however_many_try_at_once(engine: RestEngine, operator: Person):
    ann = await engine.person()
    [copy] = await made_for(operator, ann, await new_card(engine, operator))
    body = {"title": "Race", "starting_price": USD, "duration_ms": 60_000, "copies": [copy]}
    gifts = [await engine.person() for _ in range(3)]
    answers = await asyncio.gather(
        *(ann.post("/auctions", body, key=f"race-{n}") for n in range(12)),
        *(ann.post(f"/copies/{copy}/give", {"to": bob.name}) for bob in gifts),
    )
    done = [answer for answer in answers if answer.status_code < 300]
    assert len(done) == 1
    assert {a.json()["code"] for a in answers if a.status_code >= 300} <= {"copy_not_free", "not_your_copy"}


async def test_receipts_have_the_anchor_of_the_log_once_there_is_one(engine: RestEngine, operator: Person, pool: Pool):
    await ChainGenesis(pool).pin(str(Hash(b"\x05" * 32)))
    seller, _, auction, _ = await sold(engine, operator, 10, 20)
    assert (await seller.get(f"/auctions/{auction}/receipts")).json()["anchor"] is None
    await Anchors(pool).collect(engine.services.now_ms() + 1, 0, 0)
    proof = (await engine.request("GET", f"/auctions/{auction}/proof")).json()
    expected = {
        "state": "pending", "seq": proof["seq"], "root": proof["root"], "signature": None, "slot": None,
        "proof": f"/api/v1/auctions/{auction}/proof",
    }  # fmt: skip
    assert (await seller.get(f"/auctions/{auction}/receipts")).json()["anchor"] == expected
    [key] = [row[0] for row in await pool.fetch("SELECT key FROM chain_jobs WHERE kind = 'anchor' ORDER BY job_id")][
        -1:
    ]
    async with pool.acquire() as connection:
        await anchors_written(connection, [AnchorOutcome(key, "signed", 77)], "signer", 1)
    final = {"state": "final", "signature": "signed", "slot": 77}
    assert (await seller.get(f"/auctions/{auction}/receipts")).json()["anchor"] == expected | final


async def test_a_retry_lists_once_and_locks_nothing_that_was_sold(engine: RestEngine, operator: Person):
    ann, bob = await engine.person(), await with_money(engine)
    [copy] = await made_for(operator, ann, await new_card(engine, operator))
    body = {"title": "Again", "starting_price": USD, "duration_ms": 60_000, "copies": [copy]}
    engine.router.lost_answers = 1
    problem(await ann.post("/auctions", body, key="again"), 503, "unavailable")
    listed = (await engine.request("GET", "/auctions", params={"seller": ann.name})).json()["items"]
    assert [item["copies"] for item in listed] == [[copy]]
    await bob.post(f"/auctions/{listed[0]['id']}/bids", {"amount": USD})
    await operator.post(f"/admin/auctions/{listed[0]['id']}/close")
    await settle(engine)
    again = await ann.post("/auctions", body, key="again")
    assert (again.status_code, again.json()["id"], again.json()["status"]) == (201, listed[0]["id"], "closed")
    assert await owner_of(engine, copy) == (bob.name, "free")


async def test_a_refused_listing_lets_go_of_its_copies(engine: RestEngine, operator: Person, pool: Pool):
    ann = await engine.person()
    [copy] = await made_for(operator, ann, await new_card(engine, operator))
    engine.router.outage = True
    body = {"title": "Outage", "starting_price": USD, "duration_ms": 60_000, "copies": [copy]}
    problem(await ann.post("/auctions", body, key="lost"), 503, "unavailable")
    engine.router.outage = False
    # Nobody knows whether it was created: the copy stays locked, until it is known or a long time has passed.
    assert await owner_of(engine, copy) == (ann.name, "listed")
    listings = engine.services.sales.listings
    assert await listings.free_stale(engine.services.now_ms()) == 0
    assert await listings.free_stale(engine.services.now_ms() + 3_700_000) == 1
    assert await owner_of(engine, copy) == (ann.name, "free")
    assert (await ann.post("/auctions", body, key="lost")).status_code == 201
    assert await listings.free_stale(engine.services.now_ms() + 3_700_000) == 0


async def test_a_gift_has_a_new_owner_and_no_price(engine: RestEngine, operator: Person):
    ann, bob = await engine.person(), await engine.person()
    [copy] = await made_for(operator, ann, await new_card(engine, operator))
    problem(await bob.post(f"/copies/{copy}/give", {"to": bob.name}), 422, "invalid_request")
    problem(await bob.post(f"/copies/{copy}/give", {"to": ann.name}), 403, "not_your_copy")
    problem(await ann.post(f"/copies/{copy}/give", {"to": "nobody-here"}), 404, "not_found")
    for _ in range(2):
        assert (await ann.post(f"/copies/{copy}/give", {"to": bob.name})).json()["owner"] == bob.name
    history = (await engine.request("GET", f"/copies/{copy}/provenance")).json()["items"]
    assert [(one["reason"], one["from"], one["to"], one["price"]) for one in history] == [
        ("made", None, ann.name, None), ("gift", ann.name, bob.name, None),
    ]  # fmt: skip


async def test_an_edition_has_so_many_copies_and_no_more(engine: RestEngine, operator: Person):
    ann = await engine.person()
    card = await new_card(engine, operator, edition=3)
    assert len(await made_for(operator, ann, card, 2)) == 2
    path = f"/admin/catalog/cards/{card}/copies"
    assert problem(await operator.post(path, {"count": 2, "owner": ann.name}), 409, "edition_full")["card"] == card
    problem(await ann.post(path, {"owner": ann.name}), 403, "forbidden")
    problem(await operator.post(path, {"owner": ann.name, "grade": 95}), 422, "invalid_request")
    graded = await operator.post(path, {"owner": ann.name, "grader": "PSA", "grade": 95}, key="graded")
    assert (
        await operator.post(path, {"owner": ann.name, "grader": "PSA", "grade": 95}, key="graded")
    ).json() == graded.json()
    item = (await engine.request("GET", f"/copies/{graded.json()['copies'][0]}")).json()
    assert (item["serial"], item["grader"], item["grade"]) == (3, "PSA", 95)
    page = (await engine.request("GET", f"/catalog/cards/{card}/copies", params={"limit": 2})).json()
    rest = (await engine.request("GET", f"/catalog/cards/{card}/copies", params={"cursor": page["next_cursor"]})).json()
    assert [one["serial"] for one in page["items"] + rest["items"]] == [1, 2, 3]


async def test_a_sale_taken_back_gives_everybody_theirs(engine: RestEngine, operator: Person, database_url: str):
    seller, (_, winner), auction, copy = await sold(engine, operator, 10, 20)
    path = f"/admin/auctions/{auction}/cancel-sale"
    problem(await winner.post(path, {"reason": "x"}), 403, "forbidden")
    assert (await operator.post(path, {"reason": "a fake"}, key="back")).json() == {"auction": auction, "offer": None}
    assert [await balance(one) for one in (seller, winner)] == [0, 1_000 * USD]
    assert await owner_of(engine, copy) == (seller.name, "free")
    [receipt] = (await seller.get(f"/auctions/{auction}/receipts")).json()["items"]
    assert receipt["refunded"]
    problem(await operator.post(path, {"reason": "again"}), 409, "sale_cancelled")
    history = (await engine.request("GET", f"/copies/{copy}/provenance")).json()["items"]
    assert [one["reason"] for one in history] == ["made", "sale", "refund"]
    assert await ledger_findings(database_url) == []


async def test_a_sale_is_taken_back_once_also_where_the_request_dies(
    engine: RestEngine, operator: Person, monkeypatch: pytest.MonkeyPatch
):
    _, (runner_up, winner), auction, _ = await sold(engine, operator, 10, 20)
    path, body = f"/admin/auctions/{auction}/cancel-sale", {"reason": "a fake", "second_chance_ms": 60_000}

    async def died(*_: object) -> None:
        raise StoreUnavailable("the process died here")

    with monkeypatch.context() as patch:
        # After the effect, before the answer.
        patch.setattr(engine.services.idempotency, "finish", died)
        first = await operator.post(path, body, key="back")
    again = await operator.post(path, body, key="back")
    assert (again.status_code, again.json()) == (200, first.json())
    assert await balance(winner) == 1_000 * USD
    assert (await runner_up.post(f"/auctions/{auction}/second-chance/decline")).status_code == 200


async def test_the_runner_up_has_a_second_chance(engine: RestEngine, operator: Person, database_url: str):
    seller, (second, first), auction, copy = await sold(engine, operator, 10, 20)
    body = {"reason": "never sent the money", "second_chance_ms": 60_000}
    offer = (await operator.post(f"/admin/auctions/{auction}/cancel-sale", body)).json()["offer"]
    assert (offer["price"], offer["state"]) == (10 * USD, "offered")
    assert await owner_of(engine, copy) == (seller.name, "listed")
    problem(await seller.post(f"/copies/{copy}/give", {"to": first.name}), 409, "copy_not_free")
    problem(await first.post(f"/auctions/{auction}/second-chance/accept"), 404, "not_found")
    assert [one["auction"] for one in (await second.get("/users/me/offers")).json()["items"]] == [auction]
    receipt = (await second.post(f"/auctions/{auction}/second-chance/accept", key="yes")).json()
    assert (receipt["round"], receipt["price"], receipt["role"]) == (2, 10 * USD, "buyer")
    assert (await second.post(f"/auctions/{auction}/second-chance/accept")).json() == receipt
    assert await owner_of(engine, copy) == (second.name, "free")
    assert [await balance(one) for one in (seller, first, second)] == [9_500_000, 1_000 * USD, 990 * USD]
    rounds = (await seller.get(f"/auctions/{auction}/receipts")).json()["items"]
    assert [(one["round"], one["refunded"]) for one in rounds] == [(1, True), (2, False)]
    problem(await second.post(f"/auctions/{auction}/second-chance/decline"), 409, "offer_ended")
    assert await ledger_findings(database_url) == []


async def test_a_second_chance_that_is_declined_or_runs_out_frees_the_copy(engine: RestEngine, operator: Person):
    chances = engine.services.sales.second_chances
    for how in ("declined", "expired"):
        seller, (second, _), auction, copy = await sold(engine, operator, 10, 20)
        body = {"reason": "x", "second_chance_ms": 60_000}
        assert (await operator.post(f"/admin/auctions/{auction}/cancel-sale", body)).status_code == 200
        if how == "declined":
            assert (await second.post(f"/auctions/{auction}/second-chance/decline")).json()["state"] == how
        else:
            assert await chances.expire_due(engine.services.now_ms()) == 0
            assert await chances.expire_due(engine.services.now_ms() + 61_000) == 1
        problem(await second.post(f"/auctions/{auction}/second-chance/accept"), 409, "offer_ended")
        assert await owner_of(engine, copy) == (seller.name, "free")
        assert (await chances.get(parse_id(auction))).state == how  # type: ignore[union-attr]


async def test_nobody_is_offered_what_they_did_not_bid_for(engine: RestEngine, operator: Person):
    _, _, alone, _ = await sold(engine, operator, 10)
    body = {"reason": "x", "second_chance_ms": 60_000}
    problem(await operator.post(f"/admin/auctions/{alone}/cancel-sale", body), 409, "no_runner_up")
    _, _, reserved, _ = await sold(engine, operator, 10, 20, reserve_price=15 * USD)
    problem(await operator.post(f"/admin/auctions/{reserved}/cancel-sale", body), 409, "no_runner_up")
    _, _, unsold, _ = await sold(engine, operator)
    problem(await operator.post(f"/admin/auctions/{unsold}/cancel-sale", {"reason": "x"}), 409, "not_settled")


async def test_money_that_is_gone_is_paid_back_by_the_house_or_not_at_all(
    engine: RestEngine, operator: Person, database_url: str
):
    seller, (_, winner), auction, copy = await sold(engine, operator, 10, 20)
    amount = await balance(seller)
    body = {"amount": amount, "currency": "USDC", "destination": "elsewhere"}
    assert (await seller.post("/ledger/withdrawals", body)).status_code == 201
    path = f"/admin/auctions/{auction}/cancel-sale"
    short = problem(await operator.post(path, {"reason": "gone"}), 409, "insufficient_funds")
    assert (short["available"], short["required"]) == (0, amount)
    assert await owner_of(engine, copy) == (winner.name, "free")
    assert (await operator.post(path, {"reason": "gone", "advance": True})).status_code == 200
    assert await balance(winner) == 1_000 * USD
    assert await ledger_findings(database_url) == []


async def test_a_copy_that_was_given_away_is_not_taken_back(engine: RestEngine, operator: Person):
    _, (_, winner), auction, copy = await sold(engine, operator, 10, 20)
    friend = await engine.person()
    await winner.post(f"/copies/{copy}/give", {"to": friend.name})
    path = f"/admin/auctions/{auction}/cancel-sale"
    problem(await operator.post(path, {"reason": "x"}), 409, "copy_moved_on")


async def test_fees_go_by_the_tier_of_the_seller(engine: RestEngine, operator: Person):
    ann, bob = await engine.person(), await with_money(engine)
    tiers = (await ann.get("/fees")).json()["tiers"]
    assert {"tier": "standard", "fee_basis_points": 500} in tiers
    assert (await operator.post("/admin/fees", {"tier": "friend", "fee_basis_points": 100})).status_code == 200
    problem(await operator.post("/admin/fees", {"tier": "dear", "fee_basis_points": 5_001}), 422, "invalid_request")
    problem(await operator.post(f"/admin/users/{ann.name}/tier", {"tier": "none"}), 422, "invalid_request")
    assert (await operator.post(f"/admin/users/{ann.name}/tier", {"tier": "friend"})).status_code == 200
    auction = (await ann.open_auction())["id"]
    await bob.post(f"/auctions/{auction}/bids", {"amount": USD})
    await operator.post(f"/admin/auctions/{auction}/close")
    await settle(engine)
    assert await balance(ann) == 990_000


async def test_operators_see_failed_sales_and_try_them_again(engine: RestEngine, operator: Person, pool: Pool):
    seller, _, auction, _ = await sold(engine, operator, 10)
    [other] = await made_for(operator, seller, await new_card(engine, operator))
    failing = (await seller.open_auction(copies=[other]))["id"]
    bidder = await with_money(engine)
    await bidder.post(f"/auctions/{failing}/bids", {"amount": USD})
    await pool.execute(
        "UPDATE copies SET place = 'withdrawn', locked_by = NULL, locked_at = NULL WHERE copy_id = $1", parse_id(other)
    )
    await operator.post(f"/admin/auctions/{failing}/close")
    await settle(engine)
    [failed] = (await operator.get("/admin/settlements/failed")).json()["items"]
    assert (failed["auction"], failed["code"]) == (failing, "copies_not_locked")
    problem(await operator.post(f"/admin/settlements/{auction}/retry"), 404, "not_found")
    await pool.execute(
        "UPDATE copies SET place = 'listed', locked_by = $2, locked_at = 0 WHERE copy_id = $1",
        parse_id(other),
        parse_id(failing),
    )
    assert (await operator.post(f"/admin/settlements/{failing}/retry")).status_code == 200
    await settle(engine)
    assert await owner_of(engine, other) == (bidder.name, "free")
    assert (await operator.get("/admin/settlements/failed")).json()["items"] == []


async def test_the_catalog_says_what_is_for_sale(engine: RestEngine, operator: Person, pool: Pool):
    seller, buyer = await engine.person(), await with_money(engine)
    card = await new_card(engine, operator)
    [single, *bundle] = await made_for(operator, seller, card, 3)
    refresh = RefreshMarket(CatalogMarket(pool))

    async def refreshed() -> None:
        await JobStore(pool).add_again(refresh_jobs(sorted(engine.moved)))
        await run_due(pool, refresh)

    async def shown() -> tuple[int, int | None]:
        await refreshed()
        item = (await engine.request("GET", f"/catalog/cards/{card}")).json()["market"]
        return item["open_auctions"], item["lowest_price"]

    async def sorted_by(sort: str) -> list[str]:
        """All pages of one card each."""
        found, cursor = list[str](), None
        while True:
            query = {"set": "sales", "sort": sort, "limit": 1} | ({"cursor": cursor} if cursor else {})
            page = (await engine.request("GET", "/catalog/cards", params=query)).json()
            found += [item["id"] for item in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    assert await shown() == (0, None)
    assert await sorted_by("listed") == []
    together = (await seller.open_auction(copies=bundle, starting_price=USD))["id"]
    assert await shown() == (1, None), "a bundle's price is none of its cards'"
    assert await sorted_by("price") == []
    assert await sorted_by("listed") == [card]
    auction = (await seller.open_auction(copies=[single], starting_price=5 * USD))["id"]
    assert await shown() == (2, 5 * USD)
    other = await new_card(engine, operator)
    newer = await seller.open_auction(copies=await made_for(operator, seller, other), starting_price=7 * USD)
    assert newer["copies"]
    await refreshed()
    assert await sorted_by("listed") == [other, card]
    assert await sorted_by("price") == [card, other]
    await buyer.post(f"/auctions/{auction}/bids", {"amount": 5 * USD})
    await operator.post(f"/admin/auctions/{auction}/close")
    await operator.post(f"/admin/auctions/{together}/close")
    assert await shown() == (0, None)
