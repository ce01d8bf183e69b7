"""Users create cards in sets of their own, mint them, and try again what has failed."""

from typing import Any

from chain.storage.unixfs import file_cid
from tests.rest.rest_engine import Person, RestEngine

ELSEWHERE = "ipfs://bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am"
PICTURE = b"a picture"
IMAGE = file_cid(PICTURE).uri


async def created(person: Person, **members: Any) -> tuple[int, dict[str, Any]]:
    await person.engine.services.content.store.put(PICTURE, "image/png")
    body = {"set": "waves", "number": "1", "name": "Wave", "rarity": "common", "images": [IMAGE]} | members
    answer = await person.post("/catalog/cards", body)
    return answer.status_code, answer.json()


async def test_a_user_creates_a_card_in_a_new_set_and_mints_it(engine: RestEngine):
    ann = await engine.person()
    status, card = await created(ann, set="first", set_name="My first set")
    assert status == 201
    assert (card["set"], card["creator"], card["images"]) == (
        {"code": "first", "name": "My first set"}, ann.name, [IMAGE],
    )  # fmt: skip
    assert (await created(ann, set="first"))[1]["id"] == card["id"], "done again, it is the same card"
    assert (await created(ann, set="first", number="2"))[0] == 201
    mint = await ann.post("/mints", {"card": card["id"], "count": 2})
    assert (mint.status_code, mint.json()["total"]) == (201, 2)


async def test_what_is_there_never_changes(engine: RestEngine):
    ann = await engine.person()
    await created(ann, set="fixed", set_name="Fixed")
    status, problem = await created(ann, set="fixed", name="Another")
    assert (status, problem["code"]) == (409, "card_exists")
    _, second = await created(ann, set="fixed", set_name="Renamed", number="2")
    assert second["set"]["name"] == "Fixed"


async def test_nobody_adds_cards_to_the_set_of_somebody_else(engine: RestEngine):
    ann, bob, house = await engine.person(), await engine.person(), await engine.person(role="admin")
    await created(ann, set="hers")
    await house.post("/admin/catalog/cards", {"set": "houses", "number": "1", "name": "One", "rarity": "rare"})
    for code in ("hers", "houses"):
        status, problem = await created(bob, set=code, number="99")
        assert (status, problem["code"]) == (403, "not_your_card")


async def test_a_picture_that_was_not_uploaded_here_is_refused(engine: RestEngine):
    ann = await engine.person()
    document = await engine.services.content.store.put(b"{}", "application/json")
    for image in ("https://example.org/a.png", ELSEWHERE, document.cid.uri):
        status, problem = await created(ann, set="images", images=[IMAGE, image])
        assert (status, problem["code"]) == (422, "invalid_request")


async def test_a_requester_queues_what_has_failed_again_and_nobody_else_does(engine: RestEngine):
    ann, bob = await engine.person(), await engine.person()
    _, card = await created(ann, set="failing")
    mint = (await ann.post("/mints", {"card": card["id"]})).json()
    newest = "(SELECT max(mint_id) FROM mints)"
    await engine.pool.execute(f"UPDATE chain_jobs SET state = 'poisoned', error = 'full' WHERE mint_id = {newest}")
    await engine.pool.execute(f"UPDATE mints SET poisoned = 1 WHERE mint_id = {newest}")
    assert (await bob.post(f"/mints/{mint['id']}/retry")).status_code == 403
    items = (await ann.get(f"/mints/{mint['id']}/items")).json()["items"]
    assert [(one["state"], one["error"]) for one in items] == [("poisoned", "full")]
    assert (await ann.post(f"/mints/{mint['id']}/retry")).json() == {"jobs": 1}
    assert (await ann.get(f"/mints/{mint['id']}")).json()["state"] == "minting"
    assert (await ann.post(f"/mints/{mint['id']}/retry")).json() == {"jobs": 0}
