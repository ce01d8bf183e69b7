"""The catalog over REST, on the real PostgreSQL."""

from typing import Any

import msgspec
import pytest

from domain.catalog.rows import CardRow
from domain.ids import parse_id
from gateway.rest.cursors import encode_cursor
from persistence.catalog.market import CatalogMarket
from persistence.catalog.reading import Wanted
from persistence.catalog.writing import Written
from tests.rest.rest_engine import RestEngine
from tests.rest.test_rest_auctions import problem

BASE = [
    CardRow("base", "4", "Charizard", "rare", "Base Set", traits={"type": "fire"}, description="It spits fire"),
    CardRow("base", "58", "Pikachu", "common", "Base Set", traits={"type": "lightning"}),
    CardRow("base", "2", "Blastoise", "rare", "Base Set", traits={"type": "water"}),
    CardRow("neo", "9", "Pokémon Mewtwo", "rare", "Neo", traits={"type": "psychic"}),
]


@pytest.fixture
async def stocked(engine: RestEngine) -> RestEngine:
    await engine.services.catalog.writing.put(BASE, 0, 1_000)
    return engine


async def names(engine: RestEngine, **query: Any) -> list[str]:
    answer = await engine.request("GET", "/catalog/cards", params=query)
    assert answer.status_code == 200, answer.text
    return [item["name"] for item in answer.json()["items"]]


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("charizard", "Charizard"), ("CHARIZ", "Charizard"), ("charzard", "Charizard"), ("chairzard", "Charizard"),
        ("pikchu", "Pikachu"), ("base pikachoo", "Pikachu"), ("pokemon", "Pokémon Mewtwo"), ("spits", "Charizard"),
        ("water", "Blastoise"), ("blastoise 2", "Blastoise"),
    ],
)  # fmt: skip
async def test_a_card_is_found_by_its_words_also_mistyped(stocked: RestEngine, q: str, found: str):
    assert await names(stocked, q=q) == [found]


@pytest.mark.parametrize("q", ["zzzzzz", "'", "\\", "a' | b & !", "':*", "((", "%", "🃏", "charizard zzzzzz"])
async def test_what_is_nowhere_finds_nothing_whatever_it_is_made_of(stocked: RestEngine, q: str):
    assert await names(stocked, q=q) == []


async def test_filters_and_facets_agree(stocked: RestEngine):
    assert sorted(await names(stocked, set="base", rarity="rare")) == ["Blastoise", "Charizard"]
    assert await names(stocked, trait="type:water") == ["Blastoise"]
    counted = (await stocked.request("GET", "/catalog/facets", params={"set": "base"})).json()
    assert counted["total"] == {"count": 3, "estimate": False}
    assert counted["rarity"] == [{"value": "rare", "count": 2}, {"value": "common", "count": 1}]
    assert counted["set"] == [{"value": "base", "count": 3}]
    assert {"name": "type", "value": "fire", "count": 1} in counted["trait"]
    assert counted["status"] == [{"value": "none", "count": 3}]


async def test_the_same_page_again_changes_nothing_and_another_name_is_found(stocked: RestEngine):
    writing = stocked.services.catalog.writing
    assert await writing.put(BASE, 0, 2_000) == Written(0, 0, 4)
    renamed = CardRow("base", "58", "Raichu", "common", traits={"type": "lightning"})
    assert await writing.put([renamed], 0, 3_000) == Written(0, 1, 0)
    assert await names(stocked, q="raichu") == ["Raichu"]
    # The words of later pages are known as well.
    assert await names(stocked, q="raicu") == ["Raichu"]
    assert await names(stocked, q="pikachu") == []
    (code, _) = (await stocked.request("GET", "/catalog/sets")).json()["items"]
    assert code == {"code": "base", "name": "Base Set", "cards": 3}
    await writing.put([CardRow("base", "58", "Pikachu", "common", "Jungle", traits={"type": "lightning"})], 0, 4_000)
    assert sorted(await names(stocked, q="jungle")) == ["Blastoise", "Charizard", "Pikachu"]
    await writing.put(BASE, 0, 5_000)


@pytest.mark.parametrize("sort", ["relevance", "newest", "name"])
@pytest.mark.parametrize("q", ["", "paged"])
async def test_pages_skip_and_repeat_nothing_while_cards_are_added(engine: RestEngine, sort: str, q: str):
    writing, code = engine.services.catalog.writing, f"p-{sort}-{len(q)}"
    await writing.put([CardRow(code, f"{n:03}", f"Paged {n % 7}", "common") for n in range(50)], 0, 1)
    seen: list[str] = []
    cursor = None
    for turn in range(20):
        query = {"set": code, "sort": sort, "limit": 7, "q": q} | ({"cursor": cursor} if cursor else {})
        page = (await engine.request("GET", "/catalog/cards", params=query)).json()
        seen += [item["number"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        await writing.put([CardRow(code, f"new-{turn}", "Paged", "common")], 0, 2)
    old = [number for number in seen if not number.startswith("new")]
    assert sorted(old) == [f"{n:03}" for n in range(50)]
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("rank", [-(2**63), 2**63 - 1])
async def test_a_rank_that_no_card_has_is_a_place_like_any_other(stocked: RestEngine, rank: int):
    wanted = Wanted("charizard")
    cursor = encode_cursor(f"cards relevance {msgspec.json.encode(wanted).decode()}", rank, 0)
    answer = await stocked.request("GET", "/catalog/cards", params={"q": "charizard", "cursor": cursor})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["items"]) == (1 if rank > 0 else 0)


async def test_a_cursor_is_good_for_its_own_list_only(stocked: RestEngine):
    page = (await stocked.request("GET", "/catalog/cards", params={"limit": 1})).json()
    other = {"limit": 1, "cursor": page["next_cursor"], "set": "base"}
    problem(await stocked.request("GET", "/catalog/cards", params=other), 400, "invalid_cursor")


async def test_a_card_that_is_known_is_not_sent_again_until_it_changes(stocked: RestEngine):
    (item,) = (await stocked.request("GET", "/catalog/cards", params={"q": "blastoise"})).json()["items"]
    path = f"/catalog/cards/{item['id']}"
    first = await stocked.request("GET", path)
    etag = first.headers["etag"]
    assert etag.startswith('W/"')
    assert first.json() == item | {"creator": None, "royalty": []}
    for known in (etag, etag.removeprefix("W/"), f'"x", {etag}', "*"):
        answer = await stocked.request("GET", path, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    await stocked.services.catalog.writing.put([CardRow("base", "2", "Blastoise", "common")], 0, 9_000)
    assert (await stocked.request("GET", path, headers={"If-None-Match": etag})).status_code == 200
    problem(await stocked.request("GET", "/catalog/cards/nonsense"), 404, "not_found")
    problem(await stocked.request("GET", "/catalog/cards/0000000000001"), 404, "not_found")


async def test_what_is_for_sale_has_a_price_and_an_end(stocked: RestEngine):
    ann = await stocked.person()
    auction = await ann.open_auction()
    (item,) = (await stocked.request("GET", "/catalog/cards", params={"q": "charizard"})).json()["items"]
    pool = stocked.services.catalog.reading._pool
    card, number = parse_id(item["id"]), parse_id(auction["id"])
    await pool.execute(
        "INSERT INTO copies (card_id, serial, owner_id, place, locked_by, locked_at, acquired_at) "
        "VALUES ($1, 1, 1, 'listed', $2, 0, 0)",
        card,
        number,
    )
    await pool.execute(
        "INSERT INTO listed_copies SELECT locked_by, copy_id, card_id FROM copies WHERE locked_by = $1", number
    )
    market = CatalogMarket(pool)
    assert await market.cards_of([number]) == [card]
    await market.refresh([card])
    for query in ({"status": "open"}, {"sort": "price"}, {"sort": "ending"}, {"max_price": 1_000_000}):
        assert await names(stocked, **query) == ["Charizard"]
    assert await names(stocked, min_price=1_000_001) == []
    shown = (await stocked.request("GET", f"/catalog/cards/{item['id']}")).json()["market"]
    assert (shown["open_auctions"], shown["lowest_price"], shown["ends_at"]) == (1, 1_000_000, auction["ends_at"])
    await pool.execute("UPDATE copies SET place = 'free', locked_by = NULL, locked_at = NULL")
    await market.refresh([card])
    assert await names(stocked, status="open") == []


async def test_operators_put_single_cards_once_for_a_key(stocked: RestEngine):
    body: dict[str, Any] = {"set": "ops", "number": "1", "name": "Card", "rarity": "rare"}
    operator, ann = await stocked.person(role="admin"), await stocked.person()
    problem(await ann.post("/admin/catalog/cards", body), 403, "forbidden")
    answers = [await operator.post("/admin/catalog/cards", body, key="once") for _ in range(2)]
    assert [answer.json() for answer in answers] == [{"created": 1, "changed": 0, "same": 0}] * 2
    for wrong in ({"edition": 1.0}, {"edition": 0}, {"set": "No Code"}, {"name": " "}, {"colour": "red"}):
        problem(await operator.post("/admin/catalog/cards", body | wrong), 422, "invalid_request")


@pytest.mark.parametrize("query", [{"trait": "fire"}, {"sort": "best"}, {"limit": 101}, {"min_price": "1.5"}], ids=str)
async def test_filters_that_make_no_sense_are_refused(stocked: RestEngine, query: dict[str, Any]):
    problem(await stocked.request("GET", "/catalog/cards", params=query), 422, "invalid_request")


@pytest.mark.parametrize("path", ["/catalog/cards", "/catalog/facets", "/catalog/sets"])
@pytest.mark.parametrize(
    "query",
    ["q=%00", "q=a%00b", "q='%26!(", "q=:*", "q=%5C%27", "q=%ED%A0%80", "set=%00", "rarity=%00", "trait=a:%00",
     "trait=%00:b", "cursor=%00", "min_price=-1", "min_price=99999999999999999999", "limit=0"],
)  # fmt: skip
async def test_no_query_however_odd_is_a_fault_of_ours(engine: RestEngine, path: str, query: str):
    answer = await engine.request("GET", f"{path}?{query}")
    assert answer.status_code in (200, 400, 422), answer.text
