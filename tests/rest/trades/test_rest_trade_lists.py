"""What users are open to trade and want, trade links and proposed trades, on the real PostgreSQL."""

from typing import Any

import pytest

from domain.catalog.rows import CardRow
from domain.ids import id_text, parse_id
from persistence.catalog.reading import Wanted
from persistence.sales.copies import NewCopies
from persistence.trades import lists
from tests.rest.rest_engine import Person, RestEngine
from tests.rest.test_rest_auctions import problem

NAMES = ("Fire", "Water", "Earth")


@pytest.fixture
async def cards(engine: RestEngine) -> dict[str, int]:
    """The ids of three cards, by name."""
    catalog = engine.services.catalog
    rows = [CardRow("lists", str(number), name, "rare", "Listed") for number, name in enumerate(NAMES)]
    await catalog.writing.put(rows, 0, 1_000)
    query = await catalog.reading.query(Wanted(set="lists"))
    return {card.name: card.id for card in await catalog.reading.page(query, "name", None, 10)}


async def made_for(engine: RestEngine, card: int, owner: Person) -> str:
    made = await engine.services.sales.copies.make(NewCopies(card, 1, parse_id(owner.id)), engine.services.now_ms())
    assert isinstance(made, list), made
    return id_text(made[0])


async def copy_of(engine: RestEngine, card: int, owner: Person) -> str:
    """A new copy of the card, that its owner is open to trade."""
    copy = await made_for(engine, card, owner)
    assert (await call(owner, "PUT", f"/users/me/trade-haves/{copy}")).status_code == 204
    return copy


async def call(person: Person, method: str, path: str) -> Any:
    return await person.engine.request(method, path, token=person.token)


async def want(person: Person, **what: str) -> dict[str, Any]:
    answer = await person.post("/users/me/trade-wants", what)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def haves(person: Person) -> list[str]:
    return [item["copy"] for item in (await person.get("/users/me/trade-haves")).json()["items"]]


async def test_a_copy_that_is_given_away_is_open_to_trade_no_more(engine: RestEngine, cards: dict[str, int]):
    ann, bob = await engine.person(), await engine.person()
    copy = await copy_of(engine, cards["Fire"], ann)
    assert [item["name"] for item in (await bob.get(f"/users/{ann.name}/trade-haves")).json()["items"]] == ["Fire"]
    assert (await ann.post(f"/copies/{copy}/give", {"to": bob.name})).status_code == 200
    assert (await haves(ann), await haves(bob)) == ([], [])
    assert (await call(bob, "PUT", f"/users/me/trade-haves/{copy}")).status_code == 204
    assert await haves(bob) == [copy]
    assert (await call(bob, "DELETE", f"/users/me/trade-haves/{copy}")).status_code == 204
    assert await haves(bob) == []


async def test_nobody_trades_the_copies_of_others(engine: RestEngine, cards: dict[str, int]):
    ann, bob = await engine.person(), await engine.person()
    copy = await copy_of(engine, cards["Fire"], ann)
    problem(await call(bob, "PUT", f"/users/me/trade-haves/{copy}"), 403, "not_your_copy")
    problem(await call(bob, "PUT", f"/users/me/trade-haves/{id_text(5)}"), 404, "copy_not_found")


async def test_a_want_is_of_a_card_or_of_a_set_and_a_rarity(engine: RestEngine, cards: dict[str, int]):
    ann = await engine.person()
    first = await want(ann, card=id_text(cards["Fire"]))
    assert (await want(ann, card=id_text(cards["Fire"])))["id"] == first["id"]
    await want(ann, rarity="rare")
    items = (await ann.get("/users/me/trade-wants")).json()["items"]
    assert [(item["card"], item["rarity"]) for item in items] == [(None, "rare"), (id_text(cards["Fire"]), None)]
    for wrong in ({}, {"card": id_text(cards["Fire"]), "rarity": "rare"}, {"card": 5}, {"rarity": ""}):
        problem(await ann.post("/users/me/trade-wants", wrong), 422, "invalid_request")
    problem(await ann.post("/users/me/trade-wants", {"card": id_text(5)}), 404, "not_found")
    assert (await call(ann, "DELETE", f"/users/me/trade-wants/{first['id']}")).status_code == 204
    assert len((await ann.get("/users/me/trade-wants")).json()["items"]) == 1


async def test_trades_of_two_and_three_are_proposed(engine: RestEngine, cards: dict[str, int]):
    ann, bob, cid = [await engine.person() for _ in range(3)]
    copies = {one.id: await copy_of(engine, cards[name], one) for one, name in zip((ann, bob, cid), NAMES, strict=True)}
    await want(ann, card=id_text(cards["Earth"]))
    await want(bob, card=id_text(cards["Fire"]))
    await want(cid, card=id_text(cards["Water"]))
    [ring] = (await ann.get("/users/me/trade-proposals")).json()["items"]
    assert [(leg["giver"], leg["copy"], leg["receiver"]) for leg in ring["legs"]] == [
        (ann.id, copies[ann.id], bob.id), (bob.id, copies[bob.id], cid.id), (cid.id, copies[cid.id], ann.id)
    ]  # fmt: skip
    await want(ann, card=id_text(cards["Water"]))
    found = (await bob.get("/users/me/trade-proposals")).json()["items"]
    assert [len(one["legs"]) for one in found] == [2, 3]


async def test_nothing_is_proposed_to_who_is_blocked_or_not_open_to_trade(engine: RestEngine, cards: dict[str, int]):
    ann, bob = await engine.person(), await engine.person()
    for one, has, wants in ((ann, "Fire", "Water"), (bob, "Water", "Fire")):
        await copy_of(engine, cards[has], one)
        await want(one, card=id_text(cards[wants]))
    found = {leg["giver"] for trade in await proposed(ann) for leg in trade["legs"]}
    assert bob.id in found
    assert (await call(bob, "PUT", f"/users/me/blocks/{ann.name}")).status_code == 204
    assert bob.id not in {leg["giver"] for trade in await proposed(ann) for leg in trade["legs"]}
    await call(bob, "DELETE", f"/users/me/blocks/{ann.name}")
    settings = {"cool_down_ms": 0, "open_to_trade": False}
    answer = await engine.request("PUT", "/users/me/trade-settings", token=bob.token, json=settings)
    assert answer.status_code == 200, answer.text
    assert bob.id not in {leg["giver"] for trade in await proposed(ann) for leg in trade["legs"]}


async def proposed(person: Person) -> list[dict[str, Any]]:
    return list((await person.get("/users/me/trade-proposals")).json()["items"])


async def test_a_link_shows_what_is_still_there(engine: RestEngine, cards: dict[str, int]):
    ann, bob = await engine.person(), await engine.person()
    copy = await copy_of(engine, cards["Fire"], ann)
    made = await ann.post("/users/me/trade-links", {"copies": [copy], "message": "my doubles"}, key="link")
    assert made.status_code == 201, made.text
    link = made.json()
    assert (
        await ann.post("/users/me/trade-links", {"copies": [copy], "message": "my doubles"}, key="link")
    ).json() == link
    shown = (await engine.request("GET", f"/trade-links/{link['token']}")).json()
    assert (shown["username"], shown["copies"], shown["message"]) == (ann.name, [copy], "my doubles")
    await ann.post(f"/copies/{copy}/give", {"to": bob.name})
    assert (await bob.get(f"/trade-links/{link['token']}")).json()["copies"] == []
    assert (await call(bob, "DELETE", f"/users/me/trade-links/{link['token']}")).status_code == 204
    assert len((await ann.get("/users/me/trade-links")).json()["items"]) == 1
    assert (await call(ann, "DELETE", f"/users/me/trade-links/{link['token']}")).status_code == 204
    problem(await bob.get(f"/trade-links/{link['token']}"), 404, "not_found")


async def test_lists_are_bounded(engine: RestEngine, cards: dict[str, int], monkeypatch: pytest.MonkeyPatch):
    for name in ("HAVES_MAX", "WANTS_MAX", "LINKS_MAX"):
        monkeypatch.setattr(lists, name, 1)
    ann = await engine.person()
    await copy_of(engine, cards["Fire"], ann)
    second = await made_for(engine, cards["Water"], ann)
    problem(await call(ann, "PUT", f"/users/me/trade-haves/{second}"), 409, "trade_list_full")
    await want(ann, rarity="rare")
    problem(await ann.post("/users/me/trade-wants", {"rarity": "common"}), 409, "trade_list_full")
    await ann.post("/users/me/trade-links", {})
    problem(await ann.post("/users/me/trade-links", {}), 409, "trade_list_full")


@pytest.fixture
def one_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists have room for one."""
    for name in ("HAVES_MAX", "WANTS_MAX", "LINKS_MAX"):
        monkeypatch.setattr(lists, name, 1)


@pytest.mark.usefixtures("one_of_each")
async def test_what_is_in_a_full_list_can_be_added_again(engine: RestEngine, cards: dict[str, int]):
    ann, trade_lists = await engine.person(), engine.services.trade_lists
    copy = await copy_of(engine, cards["Fire"], ann)
    assert (await call(ann, "PUT", f"/users/me/trade-haves/{copy}")).status_code == 204
    for what in ({"rarity": "rare"}, {"card": id_text(cards["Fire"])}):
        first = await want(ann, **what)
        assert await want(ann, **what) == first
        await call(ann, "DELETE", f"/users/me/trade-wants/{first['id']}")
    now_ms, user = engine.services.now_ms(), parse_id(ann.id)
    # The answer of the first attempt was lost.
    tokens = {await trade_lists.add_link(user, 7, [], "", now_ms, now_ms + 60_000) for _ in range(2)}
    assert len(tokens) == 1


@pytest.mark.usefixtures("one_of_each")
async def test_what_nobody_sees_any_more_takes_no_room_in_a_list(engine: RestEngine, cards: dict[str, int]):
    ann, bob = await engine.person(), await engine.person()
    copy = await copy_of(engine, cards["Fire"], ann)
    assert (await ann.post(f"/copies/{copy}/give", {"to": bob.name})).status_code == 200
    other = await copy_of(engine, cards["Water"], ann)
    assert await haves(ann) == [other]
    now_ms, user = engine.services.now_ms(), parse_id(ann.id)
    for at_ms in (now_ms, now_ms + 1):
        await engine.services.trade_lists.add_link(user, at_ms, [], "", at_ms, at_ms + 1)
    assert await engine.pool.fetchval("SELECT count(*) FROM trade_links WHERE user_id = $1", user) == 1
