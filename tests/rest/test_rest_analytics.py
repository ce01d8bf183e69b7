"""Portfolios, sales, card markets and movers over REST, on the real PostgreSQL."""

from typing import Any

import pytest

from domain.ids import id_text, parse_id
from domain.sales.portfolio import DAY_MS
from persistence.analytics.following import Analytics
from persistence.postgres.pool import Pool
from tests.contracts.analytics.market_rows import give, make_cards, make_copy, refund, settle
from tests.rest.rest_engine import Person, RestEngine
from tests.rest.test_rest_auctions import problem

USD = 1_000_000
STEPS_MAX = 200
NOBODY = 77


async def caught_up(engine: RestEngine) -> None:
    for _ in range(STEPS_MAX):
        if (await Analytics(engine.pool).step(engine.services.now_ms())).idle:
            return
    raise AssertionError("it never ends")


async def get(who: Person | RestEngine, path: str, **query: Any) -> Any:
    asked = who.get(path, params=query) if isinstance(who, Person) else who.request("GET", path, params=query)
    answer = await asked
    assert answer.status_code == 200, answer.text
    return answer.json()


async def offer(pool: Pool, card: int, floor: int) -> None:
    """What the catalog says of a card that is for sale."""
    await pool.execute(
        "INSERT INTO card_market (card_id, open_auctions, lowest_price) VALUES ($1, 2, $2)", card, floor
    )  # fmt: skip


def day(engine: RestEngine, ago: int) -> int:
    return (engine.services.now_ms() // DAY_MS - ago) * DAY_MS


async def test_a_portfolio_has_its_values_costs_and_profits(engine: RestEngine, pool: Pool):
    ann, bob = await engine.person(), await engine.person()
    ann_id, bob_id = parse_id(ann.id), parse_id(bob.id)
    sold, given, never_sold = await make_cards(pool, 3)
    began = day(engine, 3)
    bought = [await make_copy(pool, sold, NOBODY, began) for _ in range(3)]
    await settle(pool, bought[:2], ann_id, 20 * USD, began + 1)
    await settle(pool, bought[2:], NOBODY + 1, 30 * USD, day(engine, 2))
    gift, other = await make_copy(pool, given, NOBODY, began), await make_copy(pool, given, NOBODY, began)
    await give(pool, gift, ann_id, began + 2)
    await settle(pool, [other], NOBODY + 1, 7 * USD, began + 3)
    await make_copy(pool, never_sold, ann_id, began)
    await offer(pool, sold, 25 * USD)
    await offer(pool, never_sold, 4 * USD)
    # One of the two is sold on, for 40 USD less 2 of fees and 0.8 of royalties.
    await settle(pool, bought[:1], bob_id, 40 * USD, day(engine, 1))
    await caught_up(engine)
    found = await get(ann, "/users/me/portfolio")
    assert found.pop("as_of") <= engine.services.now_ms()
    top = found.pop("top")
    assert found == {
        "currency": "USDC", "cards": 3, "copies": 3, "copies_paid_for": 1, "cost": 10 * USD, "copies_valued": 2,
        "value": 47 * USD, "copies_with_floor": 2, "floor_value": 29 * USD, "unrealised": 37 * USD,
        "realised": 40 * USD - 2 * USD - 800_000 - 10 * USD,
    }  # fmt: skip
    assert [(item["card"]["id"], item["value"]) for item in top] == [
        (id_text(sold), 40 * USD), (id_text(given), 7 * USD)
    ]  # fmt: skip
    items = (await get(ann, "/users/me/portfolio/holdings"))["items"]
    by_card = {parse_id(item["card"]["id"]): item for item in items}
    assert {name: by_card[never_sold][name] for name in ("copies", "price", "value", "floor_value", "unrealised")} == {
        "copies": 1, "price": None, "value": None, "floor_value": 4 * USD, "unrealised": None
    }  # fmt: skip
    assert by_card[sold] == top[0]
    assert by_card[sold]["unrealised"] == 30 * USD


async def test_the_value_of_each_day_is_there_and_that_of_now(engine: RestEngine, pool: Pool):
    ann = await engine.person()
    (card,) = await make_cards(pool, 1)
    await make_copy(pool, card, parse_id(ann.id), day(engine, 5))
    theirs = await make_copy(pool, card, NOBODY, day(engine, 5))
    await settle(pool, [theirs], NOBODY + 1, 5 * USD, day(engine, 4))
    await settle(pool, [theirs], NOBODY, 9 * USD, day(engine, 2))
    await settle(pool, [theirs], NOBODY + 1, 11 * USD, day(engine, 0))
    await caught_up(engine)
    found = await get(ann, "/users/me/portfolio/history", days=7)
    values = {(day(engine, 0) - item["day"]) // DAY_MS: (item["copies"], item["value"]) for item in found["items"]}
    expected = {6: (0, 0), 5: (1, 0), 4: (1, 5 * USD), 3: (1, 5 * USD), 2: (1, 9 * USD), 1: (1, 9 * USD)}
    # Yesterday is valued some minutes after midnight.
    expected = {ago: expected[ago] for ago in expected if ago in values or ago > 1}
    assert values == expected
    assert found["now"] == {"day": day(engine, 0), "copies": 1, "value": 11 * USD}


async def test_what_was_sold_is_summed_up_and_what_was_taken_back_is_not(engine: RestEngine, pool: Pool):
    ann = await engine.person()
    (card,) = await make_cards(pool, 1)
    copies = [await make_copy(pool, card, parse_id(ann.id), day(engine, 9)) for _ in range(4)]
    await settle(pool, copies[:2], NOBODY, 20 * USD, day(engine, 40))
    back = await settle(pool, copies[2:3], NOBODY, 50 * USD, day(engine, 1))
    await settle(pool, copies[3:], None, 0, day(engine, 1))
    await settle(pool, copies[3:], None, 0, day(engine, 1), outcome="cancelled")
    await refund(pool, back, day(engine, 0))
    await caught_up(engine)
    found = await get(ann, "/users/me/sales/summary")
    del found["as_of"]
    net = 20 * USD - USD - 400_000
    assert found == {
        "currency": "USDC", "since": None, "auctions_offered": 3, "sales": 1, "copies_offered": 4, "copies_sold": 2,
        "sell_through_bp": 5_000, "gross": 20 * USD, "fees": USD, "royalties": 400_000, "net": net, "realised": net,
    }  # fmt: skip
    recent = await get(ann, "/users/me/sales/summary", days=7)
    assert (recent["auctions_offered"], recent["sales"], recent["sell_through_bp"]) == (2, 0, 0)
    assert recent["since"] == day(engine, 6)


async def test_a_card_has_its_prices_and_the_market_its_movers(engine: RestEngine, pool: Pool):
    up, down, still = await make_cards(pool, 3)
    copies = {card: await make_copy(pool, card, 500 + n, day(engine, 9)) for n, card in enumerate((up, down, still))}
    await settle(pool, [copies[up]], 601, 10 * USD, day(engine, 8))
    for n, price in enumerate((12, 18, 9, 15)):
        await settle(pool, [copies[up]], 602 + n, price * USD, day(engine, 1) + n)
    await settle(pool, [copies[down]], 601, 10 * USD, day(engine, 8))
    await settle(pool, [copies[down]], 602, 4 * USD, day(engine, 3))
    await settle(pool, [copies[still]], 601, 900 * USD, day(engine, 1))
    await settle(pool, [copies[still]], 602, 1, day(engine, 1) + 5)
    back = await settle(pool, [copies[still]], 603, 5000 * USD, day(engine, 1) + 6)
    await refund(pool, back, day(engine, 0))
    await offer(pool, up, 8 * USD)
    await caught_up(engine)
    found = await get(engine, f"/catalog/cards/{id_text(up)}/market")
    assert found["last"] == {"price": 15 * USD, "at": day(engine, 1) + 3}
    assert (found["floor"], found["open_auctions"]) == (8 * USD, 2)
    assert found["traded"] == {
        "1": {"sales": 0, "volume": 0}, "7": {"sales": 4, "volume": 54 * USD}, "30": {"sales": 5, "volume": 64 * USD}
    }  # fmt: skip
    assert found["history"][-1] == {
        "day": day(engine, 1), "open": 12 * USD, "high": 18 * USD, "low": 9 * USD, "close": 15 * USD, "sales": 4,
        "volume": 54 * USD,
    }  # fmt: skip
    assert [sale["price"] // USD for sale in found["last_sales"]] == [15, 9, 18, 12, 10]
    (two_days,) = (await get(engine, f"/catalog/cards/{id_text(up)}/market", days=2))["history"]
    assert two_days == found["history"][-1]
    movers = await get(engine, "/market/movers", days=7, limit=50)
    assert (id_text(up), 5_000) in [(item["card"]["id"], item["change_bp"]) for item in movers["up"]]
    assert {(item["card"]["id"], item["change_bp"]) for item in movers["down"]} >= {
        (id_text(down), -6_000), (id_text(still), -9_999)
    }  # fmt: skip
    assert movers["traded"][0]["card"]["id"] == id_text(still)
    summary = await get(engine, "/market/summary")
    assert summary["traded"]["30"]["volume"] == sum(row["volume"] for row in summary["history"])
    assert summary["traded"]["7"]["volume_before"] >= 20 * USD


async def test_pages_of_holdings_skip_and_repeat_nothing(engine: RestEngine, pool: Pool):
    ann = await engine.person()
    cards = await make_cards(pool, 25)
    for card in cards:
        await make_copy(pool, card, parse_id(ann.id), day(engine, 9))
    await caught_up(engine)
    seen: list[int] = []
    cursor: dict[str, str] = {}
    for _ in range(10):
        page = await get(ann, "/users/me/portfolio/holdings", limit=7, **cursor)
        seen += [parse_id(item["card"]["id"]) for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == sorted(cards)
    other = await engine.person()
    problem(await other.get("/users/me/portfolio/holdings", params=cursor), 400, "invalid_cursor")


async def test_who_has_nothing_gets_zeros(engine: RestEngine):
    nobody = await engine.person()
    await caught_up(engine)
    found = await get(nobody, "/users/me/portfolio")
    assert (found["copies"], found["value"], found["realised"], found["top"]) == (0, 0, 0, [])
    assert (await get(nobody, "/users/me/portfolio/holdings"))["items"] == []
    assert {item["value"] for item in (await get(nobody, "/users/me/portfolio/history"))["items"]} == {0}
    summary = await get(nobody, "/users/me/sales/summary")
    assert (summary["sales"], summary["sell_through_bp"]) == (0, None)


async def test_while_figures_are_made_anew_they_say_so(engine: RestEngine):
    ann = await engine.person()
    await Analytics(engine.pool).reset()
    assert (await get(ann, "/users/me/portfolio"))["as_of"] is None
    history = await get(ann, "/users/me/portfolio/history")
    assert (history["as_of"], history["items"]) == (None, [])
    assert (await get(engine, "/market/summary"))["as_of"] is None
    await caught_up(engine)
    assert (await get(ann, "/users/me/portfolio"))["as_of"] is not None


@pytest.mark.parametrize("path", ["portfolio", "portfolio/holdings", "portfolio/history", "sales/summary"])
async def test_ones_own_is_for_nobody_else(engine: RestEngine, path: str):
    problem(await engine.request("GET", f"/users/me/{path}"), 401, "unauthenticated")


@pytest.mark.parametrize(
    ("path", "query", "status", "code"),
    [
        ("/users/me/portfolio", {"currency": "EUR"}, 422, "unknown_currency"),
        ("/users/me/portfolio/history", {"days": 0}, 422, "invalid_request"),
        ("/users/me/portfolio/history", {"days": 366}, 422, "invalid_request"),
        ("/users/me/portfolio/holdings", {"limit": 101}, 422, "invalid_request"),
        ("/users/me/portfolio/holdings", {"cursor": "x"}, 400, "invalid_cursor"),
        ("/users/me/sales/summary", {"days": "all"}, 422, "invalid_request"),
        ("/market/movers", {"days": 2}, 422, "invalid_request"),
        ("/market/movers", {"limit": 51}, 422, "invalid_request"),
        ("/market/summary", {"currency": ""}, 422, "invalid_request"),
        ("/catalog/cards/nonsense/market", {}, 404, "not_found"),
        ("/catalog/cards/0000000000001/market", {}, 404, "not_found"),
        ("/catalog/cards/0000000000001/market", {"days": 1000}, 422, "invalid_request"),
    ],
)
async def test_what_is_wrong_is_refused(engine: RestEngine, path: str, query: dict[str, Any], status: int, code: str):
    ann = await engine.person()
    problem(await ann.get(path, params=query), status, code)


async def test_ones_analytics_are_by_day_within_a_range(engine: RestEngine, pool: Pool):
    ann, bob = await engine.person(), await engine.person()
    (card,) = await make_cards(pool, 1)
    older, newer = [await make_copy(pool, card, parse_id(ann.id), 1) for _ in range(2)]
    await settle(pool, [older], parse_id(bob.id), 20 * USD, day(engine, 40) + 1)
    await settle(pool, [newer], parse_id(bob.id), 100 * USD, day(engine, 2) + 1)
    await caught_up(engine)
    sold = await get(ann, "/users/me/analytics")
    nothing = {"bids": 0, "auctions": 0}
    sums = nothing | {
        "wins": 0, "copies_bought": 0, "spent": 0, "auctions_sold": 1, "copies_sold": 1, "gross": 100 * USD,
        "fees": 5 * USD, "royalties": 2 * USD, "net": 93 * USD, "volume": 100 * USD,
    }  # fmt: skip
    assert (sold["total"], sold["days"]) == (sums, [{"day": day(engine, 2)} | sums])
    bought = await get(bob, "/users/me/analytics", **{"from": day(engine, 40), "to": day(engine, 1)})
    assert [(one["day"], one["wins"], one["spent"]) for one in bought["days"]] == [
        (day(engine, 40), 1, 20 * USD), (day(engine, 2), 1, 100 * USD)
    ]  # fmt: skip
    assert (bought["total"]["volume"], bought["win_rate_bp"]) == (120 * USD, None)
    for query in ({"from": day(engine, 400)}, {"from": day(engine, 1), "to": day(engine, 2)}):
        problem(await ann.get("/users/me/analytics", params=query), 422, "invalid_request")
