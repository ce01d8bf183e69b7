"""Who has minted copies: by copy, by asset, by card; and with the chain out."""

from typing import Any

from domain.ids import parse_id
from tests.rest.mints.test_rest_mints import card_of
from tests.rest.rest_engine import KnownHolders, RestEngine


async def minted(engine: RestEngine, code: str, count: int) -> tuple[str, str, list[str]]:
    """(owner, card, copies), minted."""
    artist, owner = await engine.person(role="admin"), await engine.person()
    card = await card_of(artist, code=code)
    made = await artist.post(f"/admin/catalog/cards/{card}/copies", {"count": count, "owner": owner.name})
    copies = made.json()["copies"]
    mint = await owner.post("/mints", {"copies": copies})
    assert mint.status_code == 201, mint.text
    await engine.pool.execute(
        "UPDATE assets SET state = 'minted', address = 'asset' || copy_id, holder = 'wallet', holder_slot = 900"
        " WHERE copy_id = ANY($1::bigint[])",
        [parse_id(copy) for copy in copies],
    )
    # The wallet is nobody's, so each is to be moved.
    await engine.pool.execute("UPDATE chain_jobs SET state = 'done' WHERE kind = 'move'")
    return owner.name, card, copies


async def got(engine: RestEngine, path: str) -> tuple[int, dict[str, Any]]:
    answer = await engine.request("GET", path)
    return answer.status_code, answer.json()


async def test_a_copy_and_its_asset_have_one_answer_with_what_the_chain_says(engine: RestEngine):
    owner, card, [copy] = await minted(engine, "one", 1)
    status, found = await got(engine, f"/copies/{copy}/ownership")
    assert status == 200
    asset = f"asset{parse_id(copy)}"
    assert found == {
        "copy": copy, "card": card, "asset": asset, "standard": "token-2022", "owner": owner, "place": "free",
        "holder": "wallet", "slot": 900, "moving": False, "chain": {"holder": "wallet", "slot": 1_000}, "agrees": True,
    }  # fmt: skip
    assert await got(engine, f"/assets/{asset}") == (200, found)


async def test_what_is_not_minted_here_is_not_found(engine: RestEngine):
    artist = await engine.person(role="admin")
    card = await card_of(artist, code="none")
    made = await artist.post(f"/admin/catalog/cards/{card}/copies", {"count": 1, "owner": artist.name})
    [copy] = made.json()["copies"]
    for path in (
        f"/copies/{copy}/ownership",
        "/assets/nothing",
        f"/assets/{'a' * 5_000}",
        "/assets/a%00b",
        "/assets/%C3%A9",
    ):
        status, problem = await got(engine, path)
        assert (status, problem["code"]) == (404, "not_found")
    assert await got(engine, f"/catalog/cards/{card}/ownership") == (200, {"items": [], "next_cursor": None})


async def test_the_minted_copies_of_a_card_come_page_by_page(engine: RestEngine):
    _, card, copies = await minted(engine, "many", 3)
    path, found = f"/catalog/cards/{card}/ownership?limit=2", []
    for _ in range(2):
        status, page = await got(engine, path)
        assert status == 200
        found += page["items"]
        path = f"/catalog/cards/{card}/ownership?limit=2&cursor={page['next_cursor']}"
    assert page["next_cursor"] is None
    assert [(one["copy"], one["agrees"]) for one in found] == [(copy, True) for copy in copies]
    status, problem = await got(engine, f"/catalog/cards/{card}/ownership?cursor=bm90aGluZw")
    assert (status, problem["code"]) == (400, "invalid_cursor")


async def test_with_the_chain_out_the_answer_is_what_the_engine_knows(engine: RestEngine):
    _, card, [copy] = await minted(engine, "out", 1)
    chain = engine.services.minting.holdings
    assert isinstance(chain, KnownHolders)
    chain.answers = False
    try:
        status, found = await got(engine, f"/copies/{copy}/ownership")
        assert (status, found["holder"], found["slot"], found["chain"], found["agrees"]) == (
            200, "wallet", 900, None, None
        )  # fmt: skip
        status, page = await got(engine, f"/catalog/cards/{card}/ownership")
        assert (status, [(one["copy"], one["chain"]) for one in page["items"]]) == (200, [(copy, None)])
    finally:
        chain.answers = True
