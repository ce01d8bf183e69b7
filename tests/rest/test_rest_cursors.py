"""Pages of lists whose items change between two of them: nothing else is lost or shown twice."""

from typing import Any

import pytest

from domain.catalog.rows import CardRow
from domain.ids import parse_id
from persistence.postgres.pool import Pool
from tests.rest.rest_engine import RestEngine

NAMES = "ABCDEFGHIJKLMNOP"
# Two cards each have the same key, but for their ids.
KEYS = {
    "name": [f"Aligned {letter}" for letter in NAMES for _ in range(2)],
    "price": [1_000 + n // 2 for n in range(32)],
    "ending": [5_000 + n // 2 for n in range(32)],
    "listed": [9_000 - n // 2 for n in range(32)],
    "relevance": [1 for _ in range(32)],
    "newest": [1 for _ in range(32)],
}
COLUMNS = {"price": "lowest_price", "ending": "ends_at_next", "listed": "listed_at_last"}


async def pages(engine: RestEngine, path: str, query: dict[str, Any]) -> list[dict[str, Any]]:
    """The items from here on."""
    found: list[dict[str, Any]] = []
    while True:
        answer = await engine.request("GET", path, params=query)
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        if answer.json()["next_cursor"] is None:
            return found
        query = query | {"cursor": answer.json()["next_cursor"]}


def named(sort: str, at: int) -> CardRow:
    name = KEYS["name"][at] if sort == "name" else "Aligned card"
    return CardRow(f"moving-{sort}", f"{at:02}", name, "common")


async def stock(engine: RestEngine, pool: Pool, sort: str) -> None:
    await engine.services.catalog.writing.put([named(sort, at) for at in range(32)], 0, 1)
    cards = await pages(engine, "/catalog/cards", {"set": f"moving-{sort}", "limit": 100})
    for card in cards:
        key = KEYS[sort][int(card["number"])]
        at = {"lowest_price": 1, "ends_at_next": 1, "listed_at_last": 1}
        if sort in COLUMNS:
            at[COLUMNS[sort]] = int(key)
        await pool.execute(
            "INSERT INTO card_market (card_id, open_auctions, lowest_price, ends_at_next, listed_at_last)"
            " VALUES ($1, 1, $2, $3, $4)",
            parse_id(card["id"]), *at.values(),
        )  # fmt: skip


async def move(engine: RestEngine, pool: Pool, sort: str, number: str, *, to_the_end: bool) -> None:
    """Give this card a key that lies at the end of the list, or before all others."""
    if sort in COLUMNS:
        far = to_the_end != (sort == "listed")
        await pool.execute(
            f"UPDATE card_market SET {COLUMNS[sort]} = $2 WHERE card_id ="
            " (SELECT card_id FROM cards JOIN card_sets USING (set_id) WHERE code = $1 AND number = $3)",
            f"moving-{sort}", 1_000_000 if far else 1, number,
        )  # fmt: skip
        return
    # By relevance and by newest it goes away altogether, or is as it was.
    name = ("Zz" if to_the_end else "Aaa") if sort == "name" else "Gone"
    await engine.services.catalog.writing.put([CardRow(f"moving-{sort}", number, name, "common")], 0, 2)


@pytest.mark.parametrize("sort", KEYS)
@pytest.mark.parametrize("to_the_end", [True, False])
async def test_the_card_that_a_cursor_points_to_may_change(engine: RestEngine, pool: Pool, sort: str, to_the_end: bool):
    await pool.execute("DELETE FROM card_market")
    await stock(engine, pool, sort)
    query = {"set": f"moving-{sort}", "sort": sort, "limit": 5} | ({"q": "aligned"} if sort == "relevance" else {})
    whole = [item["number"] for item in await pages(engine, "/catalog/cards", query)]
    assert len(whole) == len(set(whole)) == 32
    # The fifth, one of two with the same key, is the last of the first page.
    first = (await engine.request("GET", "/catalog/cards", params=query)).json()
    last = first["items"][-1]["number"]
    await move(engine, pool, sort, last, to_the_end=to_the_end)
    rest = [item["number"] for item in await pages(engine, "/catalog/cards", query | {"cursor": first["next_cursor"]})]
    assert [number for number in rest if number != last] == whole[5:]


async def test_a_card_renamed_to_the_end_does_not_take_the_other_pages_with_it(engine: RestEngine):
    """As it was found: page 1 of A…P ends with J, J becomes Zz, and the next page was empty."""
    writing = engine.services.catalog.writing
    await writing.put([CardRow("found", letter, letter, "common") for letter in NAMES], 0, 1)
    query = {"set": "found", "sort": "name", "limit": 10}
    first = (await engine.request("GET", "/catalog/cards", params=query)).json()
    assert "".join(item["name"] for item in first["items"]) == "ABCDEFGHIJ"
    await writing.put([CardRow("found", "J", "Zz", "common")], 0, 2)
    rest = await pages(engine, "/catalog/cards", query | {"cursor": first["next_cursor"]})
    assert [item["name"] for item in rest] == ["K", "L", "M", "N", "O", "P", "Zz"]


async def test_names_of_any_length_and_script_have_their_place_in_a_cursor(engine: RestEngine):
    names = ["İ" * 200, "𝔘" * 200, "ß" * 200, "Ωmega", "ω", "'; --", "\\", "a" * 200, "a" * 199 + "b"]
    writing = engine.services.catalog.writing
    await writing.put([CardRow("scripts", str(n), name, "common") for n, name in enumerate(names)], 0, 1)
    one_by_one = await pages(engine, "/catalog/cards", {"set": "scripts", "sort": "name", "limit": 1})
    at_once = await pages(engine, "/catalog/cards", {"set": "scripts", "sort": "name", "limit": 100})
    assert one_by_one == at_once
    assert len(at_once) == len(names)


async def test_an_auction_whose_end_is_extended_takes_no_other_with_it(engine: RestEngine, pool: Pool):
    ann = await engine.person("mover")
    made = [(await ann.open_auction(duration_ms=3_600_000))["id"] for _ in range(8)]
    ends = 4_000_000_000_000
    for n, auction in enumerate(made):
        await pool.execute("UPDATE auctions SET ends_at = $2 WHERE auction_id = $1", parse_id(auction), ends + n // 2)
    query = {"seller": "mover", "sort": "ending", "limit": 3}
    first = (await engine.request("GET", "/auctions", params=query)).json()
    assert [item["id"] for item in first["items"]] == made[:3]
    await pool.execute("UPDATE auctions SET ends_at = $2 WHERE auction_id = $1", parse_id(made[2]), ends + 100)
    rest = await pages(engine, "/auctions", query | {"cursor": first["next_cursor"]})
    assert [item["id"] for item in rest] == [*made[3:], made[2]]


async def test_sets_come_in_pages_too(engine: RestEngine):
    await engine.services.catalog.writing.put([CardRow(f"s-{n}", "1", "One", "common") for n in range(7)], 0, 1)
    all_at_once = await pages(engine, "/catalog/sets", {"limit": 100})
    assert await pages(engine, "/catalog/sets", {"limit": 2}) == all_at_once
    assert {f"s-{n}" for n in range(7)} <= {item["code"] for item in all_at_once}
