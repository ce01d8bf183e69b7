"""Requests to mint over REST: whose cards, how many, and what may be seen of them."""

from typing import Any

from tests.rest.rest_engine import Person, RestEngine


async def card_of(creator: Person, number: int = 1, code: str = "base", edition: int | None = None) -> str:
    """A card that this operator has put into the catalog."""
    body = {"set": code, "number": str(number), "name": f"Card {number}", "rarity": "rare"}
    answer = await creator.post("/admin/catalog/cards", body | ({} if edition is None else {"edition": edition}))
    assert answer.status_code == 201, answer.text
    page = (await creator.get(f"/catalog/cards?set={code}&limit=100")).json()["items"]
    return next(item["id"] for item in page if item["number"] == str(number))


async def asked(person: Person, **body: Any) -> tuple[int, dict[str, Any]]:
    answer = await person.post("/mints", body)
    return answer.status_code, answer.json()


async def test_new_copies_of_ones_own_card_are_requested_once_for_each_key(engine: RestEngine):
    artist = await engine.person(role="admin")
    card = await card_of(artist, code="keys")
    first = await artist.post("/mints", {"card": card, "count": 3}, key="same")
    again = await artist.post("/mints", {"card": card, "count": 3}, key="same")
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    mint = first.json()
    assert (mint["state"], mint["total"], mint["done"], mint["standard"]) == ("minting", 3, 0, "token-2022")
    assert [one["id"] for one in (await artist.get("/mints")).json()["items"]] == [mint["id"]]
    items = (await artist.get(f"/mints/{mint['id']}/items?limit=2")).json()
    assert [(one["card"], one["serial"], one["state"]) for one in items["items"]] == [
        (card, 1, "queued"), (card, 2, "queued"),
    ]  # fmt: skip
    rest = (await artist.get(f"/mints/{mint['id']}/items?limit=2&cursor={items['next_cursor']}")).json()
    assert [one["serial"] for one in rest["items"]] == [3]
    assert rest["next_cursor"] is None


async def test_a_mint_of_somebody_elses_card_or_set_is_refused(engine: RestEngine):
    artist, other = await engine.person(role="admin"), await engine.person(role="admin")
    card = await card_of(artist, code="theirs")
    status, problem = await asked(other, card=card)
    assert (status, problem["code"]) == (403, "not_your_card")
    status, problem = await asked(other, set="theirs")
    assert (status, problem["code"]) == (403, "not_your_card")
    await card_of(other, 2, "theirs")
    status, problem = await asked(artist, set="theirs")
    assert (status, problem["code"]) == (403, "not_your_card")


async def test_only_ones_own_copies_that_are_not_minted_can_be_minted(engine: RestEngine):
    artist, owner = await engine.person(role="admin"), await engine.person()
    card = await card_of(artist, code="copies")
    made = await artist.post(f"/admin/catalog/cards/{card}/copies", {"count": 2, "owner": owner.name})
    mine, second = made.json()["copies"]
    status, problem = await asked(artist, copies=[mine])
    assert (status, problem["code"], problem["copy"]) == (403, "not_your_copy", mine)
    status, _ = await asked(owner, copies=[mine])
    assert status == 201
    status, problem = await asked(owner, copies=[second, mine])
    assert (status, problem["code"], problem["copy"]) == (409, "already_minted", mine)
    status, problem = await asked(owner, copies=["0000000000001"])
    assert (status, problem["code"]) == (404, "copy_not_found")
    assert len((await owner.get("/mints")).json()["items"]) == 1


async def test_a_set_is_one_copy_of_each_card_of_which_nothing_is_minted(engine: RestEngine):
    artist = await engine.person(role="admin")
    cards = [await card_of(artist, number, "whole") for number in range(1, 5)]
    await asked(artist, card=cards[0])
    kept = (await artist.post(f"/admin/catalog/cards/{cards[1]}/copies", {"owner": artist.name})).json()["copies"][0]
    status, mint = await asked(artist, set="whole")
    assert (status, mint["total"]) == (201, 3)
    items = (await artist.get(f"/mints/{mint['id']}/items")).json()["items"]
    assert sorted(one["card"] for one in items) == sorted(cards[1:])
    assert kept in {one["copy"] for one in items}
    status, problem = await asked(artist, set="whole")
    assert (status, problem["code"]) == (409, "nothing_to_mint")
    status, problem = await asked(artist, set="nowhere")
    assert (status, problem["code"]) == (404, "not_found")


async def test_an_edition_is_never_exceeded(engine: RestEngine):
    artist = await engine.person(role="admin")
    card = await card_of(artist, code="edition", edition=2)
    status, problem = await asked(artist, card=card, count=3)
    assert (status, problem["code"], problem["card"]) == (409, "edition_full", card)
    assert (await asked(artist, card=card, count=2))[0] == 201
    status, problem = await asked(artist, card=card)
    assert (status, problem["code"]) == (409, "edition_full")


async def test_a_request_names_exactly_one_subject(engine: RestEngine):
    artist = await engine.person(role="admin")
    card = await card_of(artist, code="subjects")
    refused: list[dict[str, Any]] = [
        {}, {"card": card, "set": "subjects"}, {"set": "subjects", "count": 2}, {"copies": []},
        {"card": card, "count": 0}, {"card": card, "count": 10_001}, {"card": card, "standard": "core-9"},
    ]  # fmt: skip
    for body in refused:
        status, problem = await asked(artist, **body)
        assert (status, problem["code"]) == (422, "invalid_request"), body


async def test_a_request_is_seen_by_its_requester_and_by_operators(engine: RestEngine):
    artist, stranger = await engine.person(role="admin"), await engine.person()
    operator = await engine.person(role="admin")
    _, mint = await asked(artist, card=await card_of(artist, code="seen"))
    for path in (f"/mints/{mint['id']}", f"/mints/{mint['id']}/items"):
        assert (await stranger.get(path)).status_code == 403
        assert (await operator.get(path)).status_code == 200
        assert (await engine.request("GET", path)).status_code == 401
    assert (await artist.get("/mints/0000000000001")).status_code == 404
    assert (await stranger.get("/mints")).json()["items"] == []


async def test_an_operator_lists_poisoned_jobs_and_queues_them_again_with_what_they_wait_for(engine: RestEngine):
    artist, stranger = await engine.person(role="admin"), await engine.person()
    _, mint = await asked(artist, card=await card_of(artist, code="poison"), count=2)
    await engine.pool.execute(
        "UPDATE chain_jobs SET state = 'poisoned', error = 'no reason' WHERE mint_id = (SELECT max(mint_id) FROM mints)"
        " OR job_id IN (SELECT after_job FROM chain_jobs WHERE mint_id = (SELECT max(mint_id) FROM mints))"
    )
    await engine.pool.execute("UPDATE mints SET poisoned = 2 WHERE mint_id = (SELECT max(mint_id) FROM mints)")
    assert (await artist.get(f"/mints/{mint['id']}")).json()["state"] == "failed"
    listed = (await artist.get("/admin/mints/poisoned")).json()["items"]
    assert sorted(one["kind"] for one in listed) == ["create_collection", "mint", "mint"]
    assert {one["error"] for one in listed} == {"no reason"}
    assert (await stranger.get("/admin/mints/poisoned")).status_code == 403
    assert (await stranger.post(f"/admin/mints/{mint['id']}/retry")).status_code == 403
    answer = await artist.post(f"/admin/mints/{mint['id']}/retry")
    assert (answer.status_code, answer.json()) == (200, {"jobs": 3})
    found = (await artist.get(f"/mints/{mint['id']}")).json()
    assert (found["state"], found["poisoned"]) == ("minting", 0)
    assert (await artist.get("/admin/mints/poisoned")).json()["items"] == []
    waiting = await engine.pool.fetch("SELECT kind, not_before = 9223372036854775807 FROM chain_jobs ORDER BY job_id")
    assert [tuple(row) for row in waiting][-3:] == [("create_collection", False), ("mint", True), ("mint", True)]


async def test_a_standard_whose_program_the_chain_does_not_have_is_refused(engine: RestEngine):
    artist = await engine.person(role="admin")
    card = await card_of(artist, code="core")
    status, problem = await asked(artist, card=card, standard="core")
    assert (status, problem["code"]) == (409, "no_chain")
    status, problem = await asked(artist, card=card, standard="erc-721")
    assert (status, problem["code"]) == (422, "invalid_request")
