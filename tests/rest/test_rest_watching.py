"""Watch lists, saved searches and notifications over REST, on the real PostgreSQL."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from actors.workers.notify import NotifyUsers
from domain.catalog.rows import CardRow
from domain.ids import id_text, parse_id
from persistence.catalog.reading import Wanted
from persistence.notifications import saved_searches, watches
from persistence.notifications.alerts import Alerts
from persistence.redis.announcements import USERS_CHANNEL
from tests.job_runs import run_due
from tests.rest.rest_engine import Person, RestEngine
from tests.rest.test_rest_auctions import problem

FIRE = CardRow("watch", "4", "Charizard", "rare", "Watched", traits={"type": "fire"}, images=["/media/4.webp"])
WATER = CardRow("watch", "2", "Blastoise", "rare", "Watched", traits={"type": "water"})


@pytest.fixture
async def cards(engine: RestEngine) -> dict[str, str]:
    """The ids of two cards, by name."""
    catalog = engine.services.catalog
    await catalog.writing.put([FIRE, WATER], 0, 1_000)
    query = await catalog.reading.query(Wanted(set="watch"))
    return {card.name: id_text(card.id) for card in await catalog.reading.page(query, "name", None, 10)}


async def put(person: Person, path: str) -> Any:
    return await person.engine.request("PUT", path, token=person.token)


async def delete(person: Person, path: str) -> Any:
    return await person.engine.request("DELETE", path, token=person.token)


async def watched(person: Person, **query: Any) -> list[tuple[str, str]]:
    answer = await person.get("/users/me/watches", params=query)
    assert answer.status_code == 200, answer.text
    return [(item["kind"], item["id"]) for item in answer.json()["items"]]


# -- watch lists


async def test_a_user_watches_auctions_and_cards_with_where_they_stand(engine: RestEngine, cards: dict[str, str]):
    ann, bob = await engine.person(), await engine.person()
    auction = await ann.open_auction(title="Shiny")
    for path in (f"auction/{auction['id']}", f"card/{cards['Charizard']}"):
        assert (await put(bob, f"/users/me/watches/{path}")).status_code == 204
    items = (await bob.get("/users/me/watches")).json()["items"]
    assert [(item["kind"], item["id"]) for item in items] == [
        ("card", cards["Charizard"]), ("auction", auction["id"])
    ]  # fmt: skip
    assert (items[0]["card"]["name"], items[0]["card"]["market"]["open_auctions"]) == ("Charizard", 0)
    assert (items[1]["auction"]["title"], items[1]["auction"]["status"]) == ("Shiny", "open")
    assert "auction" not in items[0]
    assert await watched(bob, kind="card") == [("card", cards["Charizard"])]
    assert await watched(ann) == []


async def test_watching_twice_is_watching_once_and_so_is_not_watching(engine: RestEngine, cards: dict[str, str]):
    ann, path = await engine.person(), f"/users/me/watches/card/{cards['Charizard']}"
    assert [(await put(ann, path)).status_code for _ in range(2)] == [204, 204]
    assert await watched(ann) == [("card", cards["Charizard"])]
    assert [(await delete(ann, path)).status_code for _ in range(2)] == [204, 204]
    assert await watched(ann) == []


async def test_pages_of_watches_have_each_once(engine: RestEngine, cards: dict[str, str]):
    ann = await engine.person()
    auctions = [(await ann.open_auction())["id"] for _ in range(5)]
    for auction in auctions:
        await put(ann, f"/users/me/watches/auction/{auction}")
    seen, cursor = [], None
    while True:
        page = (await ann.get("/users/me/watches", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == auctions[::-1]
    other = await ann.get("/users/me/watches", params={"kind": "card", "cursor": "AAAAAAAA"})
    problem(other, 400, "invalid_cursor")


async def test_only_what_there_is_can_be_watched_and_only_by_users(engine: RestEngine, cards: dict[str, str]):
    ann = await engine.person()
    for path in ("auction/0000000000001", f"auction/{cards['Charizard']}", "card/nonsense"):
        problem(await put(ann, f"/users/me/watches/{path}"), 404, "not_found")
    problem(await put(ann, f"/users/me/watches/house/{cards['Charizard']}"), 422, "invalid_request")
    path = f"/users/me/watches/card/{cards['Charizard']}"
    problem(await engine.request("PUT", path), 401, "unauthenticated")
    problem(await engine.request("GET", "/users/me/watches"), 401, "unauthenticated")


async def test_a_full_watch_list_says_so_and_what_is_on_it_stays(
    engine: RestEngine, cards: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(watches, "WATCHES_MAX", 1)
    ann = await engine.person()
    first, second = (f"/users/me/watches/card/{cards[name]}" for name in ("Charizard", "Blastoise"))
    assert (await put(ann, first)).status_code == 204
    problem(await put(ann, second), 409, "watch_list_full")
    assert (await put(ann, first)).status_code == 204
    await delete(ann, first)
    assert (await put(ann, second)).status_code == 204


# -- saved searches


async def test_a_search_is_saved_as_it_was_written(engine: RestEngine):
    ann, bob = await engine.person(), await engine.person()
    query = {"q": "Chariz", "set": "watch", "traits": {"type": "fire"}, "max_price": 5_000_000, "status": "open"}
    saved = (await ann.post("/users/me/searches", {"name": " Fire ", "query": query, "alerts": True})).json()
    assert (saved["name"], saved["alerts"]) == ("Fire", True)
    assert {name: value for name, value in saved["query"].items() if value is not None} == query
    assert (await ann.get("/users/me/searches")).json() == {"items": [saved], "next_cursor": None}
    assert (await bob.get("/users/me/searches")).json()["items"] == []
    # Not one's own: nothing happens.
    assert (await delete(bob, f"/users/me/searches/{saved['id']}")).status_code == 204
    assert len((await ann.get("/users/me/searches")).json()["items"]) == 1
    assert (await delete(ann, f"/users/me/searches/{saved['id']}")).status_code == 204
    assert (await ann.get("/users/me/searches")).json()["items"] == []


async def test_a_search_is_saved_once_for_a_key_and_so_many_at_the_most(
    engine: RestEngine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(saved_searches, "SEARCHES_MAX", 2)
    ann, body = await engine.person(), {"name": "Rares", "query": {"rarity": "rare"}}
    answers = [await ann.post("/users/me/searches", body, key="once") for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    await ann.post("/users/me/searches", body)
    problem(await ann.post("/users/me/searches", body), 409, "saved_searches_full")


@pytest.mark.parametrize(
    "body",
    [
        {"name": "", "query": {}}, {"name": "x"}, {"name": "x", "query": {"colour": "red"}},
        {"name": "x", "query": {"q": "a\0"}}, {"name": "x", "query": {"min_price": 1.0}},
        {"name": "x", "query": {"status": "closed"}}, {"name": "x", "query": {"traits": {"": "a"}}},
        {"name": "x", "query": {}, "alerts": True}, {"name": "x", "query": {"q": " "}, "alerts": True},
        {"name": "x", "query": {"set": "watch", "status": "none"}, "alerts": True},
    ],
    ids=str,
)  # fmt: skip
async def test_searches_that_make_no_sense_are_refused(engine: RestEngine, body: dict[str, Any]):
    problem(await (await engine.person()).post("/users/me/searches", body), 422, "invalid_request")


@pytest.mark.parametrize("q", ["'", "\\", "a' | b & !", "':*", "((", "!!", "🃏", "x " * 50])
async def test_any_words_can_be_searched_for(engine: RestEngine, q: str):
    body = {"name": "odd", "query": {"q": q}, "alerts": True}
    assert (await (await engine.person()).post("/users/me/searches", body)).status_code == 201


# -- notifications


async def run_due_jobs(engine: RestEngine, publish: Callable[[str, bytes], None] = lambda *_: None) -> None:
    """Run all jobs that are due."""
    await run_due(engine.pool, NotifyUsers(Alerts(engine.pool), engine.services.now_ms, publish))


async def test_who_watches_an_auction_is_notified_of_its_end_and_reads_it(engine: RestEngine):
    ann, bob, operator = await engine.person(), await engine.person(), await engine.person(role="admin")
    auctions = [await ann.open_auction(title=title) for title in ("One", "Two")]
    for auction in auctions:
        await put(bob, f"/users/me/watches/auction/{auction['id']}")
        await operator.post(f"/admin/auctions/{auction['id']}/close")
    published = list[tuple[str, bytes]]()
    await run_due_jobs(engine, lambda *message: published.append(message))
    await run_due_jobs(engine)
    # Gateways are notified, and read it from the database.
    assert {channel for channel, _ in published} == {USERS_CHANNEL}
    assert {user for _, message in published for user in msgspec.msgpack.decode(message)} == {parse_id(bob.id)}
    page = (await bob.get("/notifications", params={"limit": 1})).json()
    assert page["unread"] == 2
    newest = page["items"][0]
    assert (newest["kind"], newest["seq"], newest["read_at"]) == ("auction_ended", 2, None)
    shown = newest["data"]["auction"]
    assert (shown["id"], shown["status"], shown["closed_reason"], shown["winner"]) == (
        auctions[1]["id"], "closed", "operator", None
    )  # fmt: skip
    second = (await bob.get("/notifications", params={"limit": 1, "cursor": page["next_cursor"]})).json()
    assert [item["data"]["auction"]["title"] for item in second["items"]] == ["One"]
    assert second["next_cursor"] is None
    # One is read by its id, which nobody else can do; the rest by how far one has read.
    body = {"ids": [newest["id"]]}
    assert (await ann.post("/notifications/read", body)).json() == {"read": 0, "unread": 0}
    assert (await bob.post("/notifications/read", body)).json() == {"read": 1, "unread": 1}
    unread = (await bob.get("/notifications", params={"unread": True})).json()["items"]
    assert [item["seq"] for item in unread] == [1]
    assert (await bob.post("/notifications/read", {"up_to": 2})).json() == {"read": 1, "unread": 0}
    assert all(item["read_at"] for item in (await bob.get("/notifications")).json()["items"])
    assert (await ann.get("/notifications")).json() == {"items": [], "next_cursor": None, "unread": 0}


async def test_who_looks_for_a_card_is_notified_when_a_copy_is_listed(engine: RestEngine, cards: dict[str, str]):
    ann, bob, operator = await engine.person(), await engine.person(), await engine.person(role="admin")
    query = {"q": "charzard", "max_price": 2_000_000}
    search = (await bob.post("/users/me/searches", {"name": "Fire", "query": query, "alerts": True})).json()
    path = f"/admin/catalog/cards/{cards['Charizard']}/copies"
    copies = (await operator.post(path, {"owner": ann.name, "count": 2})).json()["copies"]
    dear = await ann.open_auction(copies=copies[:1], starting_price=2_000_001)
    cheap = await ann.open_auction(copies=copies[1:], starting_price=2_000_000)
    await run_due_jobs(engine)
    [item] = (await bob.get("/notifications")).json()["items"]
    assert (item["kind"], item["data"]["search"]) == ("search_match", {"id": search["id"], "name": "Fire"})
    assert item["data"]["auction"]["id"] == cheap["id"] != dear["id"]
    shown = item["data"]["card"]
    assert (shown["id"], shown["image"]) == (cards["Charizard"], "/media/4.webp")


@pytest.mark.parametrize("body", [{}, {"ids": [], "up_to": 1}, {"ids": ["1"] * 101}, {"up_to": -1}], ids=str)
async def test_what_was_read_must_be_said(engine: RestEngine, body: dict[str, Any]):
    problem(await (await engine.person()).post("/notifications/read", body), 422, "invalid_request")


async def test_ids_in_the_database_have_the_text_that_they_have_here(engine: RestEngine):
    for number in (0, 1, 31, 32, 2**53, 2**63 - 1, parse_id("0paeqifrs0003")):
        assert await engine.services.catalog.reading._pool.fetchval("SELECT id_text($1)", number) == id_text(number)
