"""Searching the catalog over REST, on the real PostgreSQL: what is meant is found, in whatever form it was written."""

from typing import Any

import pytest

from domain.catalog.rows import CardRow
from tests.rest.rest_engine import RestEngine
from tests.rest.test_rest_auctions import problem
from tests.rest.test_rest_catalog import names

MEANT = [
    "Ho-Oh", "Hoopa", "Rocket’s Zapdos", "Zapdos", "Aether Hub", "Æther Vial", "Łódź Market", "Straße",
    "ブラッキーVMAX", "今月の売上", "売上今", "สัตว์ประหลาด", "ตัวสำรอง", "हिन्दी कार्ड", "हद नदी", "Spiderman",
    "Spider Man",
]  # fmt: skip


@pytest.fixture
async def meant(engine: RestEngine) -> RestEngine:
    rows = [CardRow("meant", str(number), name, "rare") for number, name in enumerate(MEANT)]
    await engine.services.catalog.writing.put(rows, 0, 1_000)
    return engine


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("hooh", ["Ho-Oh"]), ("ho-oh", ["Ho-Oh"]), ("ho oh", ["Ho-Oh"]), ("ho-ho", []), ("hoopa", ["Hoopa"]),
        *((q, ["Rocket’s Zapdos"]) for q in
          ("rockets zapdos", "rocket's zapdos", "rocket’s zapdos", "rocket zapdos", "ROCKET`S", "rokets zapdos")),
        ("zapdos", ["Rocket’s Zapdos", "Zapdos"]), ("spider-man", ["Spider Man", "Spiderman"]),
        *((q, ["Aether Hub", "Æther Vial"]) for q in ("aether", "æther", "ÆTHER", "aethr")),
        ("lodz", ["Łódź Market"]), ("Łódź", ["Łódź Market"]), ("strasse", ["Straße"]), ("STRASSE", ["Straße"]),
        ("VMAX", ["ブラッキーVMAX"]), ("ブラッキー", ["ブラッキーVMAX"]), ("フラッキー", []),
        ("ﾌﾞﾗｯｷｰ vmax", ["ブラッキーVMAX"]),
        ("売上", ["今月の売上", "売上今"]), ("今月", ["今月の売上"]), ("月", ["今月の売上"]),
        ("上", ["今月の売上", "売上今"]),
        ("の売上", ["今月の売上"]), ("上今", ["売上今"]), ("今月 売上", ["今月の売上"]),
        ("สัตว์", ["สัตว์ประหลาด"]), ("ประหลาด", ["สัตว์ประหลาด"]), ("ตว", []), ("ส", []),
        ("हिन्दी", ["हिन्दी कार्ड"]), ("हद", ["हद नदी"]), ("ह", []),
    ],
)  # fmt: skip
async def test_what_is_meant_is_found_however_it_is_written(meant: RestEngine, q: str, found: list[str]):
    assert sorted(await names(meant, q=q)) == sorted(found)


async def test_one_value_of_a_trait_is_one_facet_in_whatever_form_it_was_given(engine: RestEngine):
    operator = await engine.person(role="admin")
    for number, kind in enumerate(["Pok\u00e9mon", "Poke\u0301mon", " Pok\u00e9mon\u200b "]):
        card: dict[str, Any] = {
            "set": " kinds ",
            "number": f" {number}",
            "name": f"N{number}",
            "rarity": "rare",
            "traits": {"ki\u00adnd": kind},
        }
        assert (await operator.post("/admin/catalog/cards", card)).json()["created"] == 1
    assert (await operator.post("/admin/catalog/cards", card | {"number": "2\u00a0"})).json()["same"] == 1
    facets = (await engine.request("GET", "/catalog/facets", params={"set": "kinds"})).json()
    assert facets["trait"] == [{"name": "kind", "value": "Pokémon", "count": 3}]
    for kind in ("Pok\u00e9mon", "Poke\u0301mon"):
        assert await names(engine, trait=f"kind:{kind}", sort="name", set=" kinds") == ["N0", "N1", "N2"]
    twice = {"set": "kinds", "number": "9", "name": "N", "rarity": "rare", "traits": {"\u00e9": "1", "e\u0301": "2"}}
    problem(await operator.post("/admin/catalog/cards", twice), 422, "invalid_request")
