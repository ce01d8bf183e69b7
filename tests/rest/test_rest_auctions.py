import asyncio
from typing import Any

import httpx
import pytest

from gateway.rest.auctions.bodies import AuctionState
from tests.rest.rest_engine import USD, Person, RestEngine

TERMS = {"title": "Charizard", "starting_price": USD, "duration_ms": 3_600_000}


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code), answer.text
    assert set(body) >= {"type", "title", "detail"}
    return body


async def test_a_listed_auction_is_open_and_everybody_can_see_it(engine: RestEngine):
    ann = await engine.person("ann")
    answer = await ann.post("/auctions", TERMS | {"reserve_price": 5 * USD, "title": "  Pikachu ⚡ "})
    state = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/api/v1/auctions/{state['id']}"
    assert state | {"id": "", "starts_at": 0, "ends_at": 0, "server_time": 0} == {
        "id": "", "format": "english", "title": "Pikachu ⚡", "seller": "ann", "status": "open", "price": USD,
        "minimum": USD, "leader": None, "bids": 0, "reserve": "unmet", "starts_at": 0, "ends_at": 0, "server_time": 0,
        "placement": "shared", "epoch": 1, "seq": 2,
    }  # fmt: skip
    assert state["ends_at"] - state["starts_at"] == 3_600_000
    seen = await engine.request("GET", f"/auctions/{state['id']}")
    assert seen.json() | {"server_time": 0} == state | {"server_time": 0}
    assert str(5 * USD) not in seen.text


async def test_a_title_is_cleaned_before_it_is_stored(engine: RestEngine):
    ann = await engine.person()
    state = await ann.open_auction(title="\u00a0Poke\u0301mon\u200b \u3000 Mew\n")
    assert state["title"] == "Pokémon Mew"


async def test_the_documented_state_is_the_one_that_is_sent(engine: RestEngine):
    ann = await engine.person()
    operator = await engine.person(role="admin")
    auction = (await ann.open_auction())["id"]
    await (await engine.person()).post(f"/auctions/{auction}/bids", {"amount": USD})
    closed = (await operator.post(f"/admin/auctions/{auction}/close")).json()
    assert AuctionState.model_validate(closed, extra="forbid").winner == closed["leader"]
    assert set(closed) | {"buy_now", "copies", "settled"} == set(AuctionState.model_fields)


async def test_the_same_key_lists_one_auction(engine: RestEngine):
    ann = await engine.person()
    first = await ann.post("/auctions", TERMS, key="once")
    again = await ann.post("/auctions", TERMS, key="once")
    assert again.content == first.content
    assert again.status_code == 201
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    listed = (await ann.get(f"/auctions?seller={ann.name}")).json()
    assert [item["id"] for item in listed["items"]] == [first.json()["id"]]


async def test_the_same_key_with_another_body_is_refused(engine: RestEngine):
    ann = await engine.person()
    await ann.post("/auctions", TERMS, key="once")
    problem(await ann.post("/auctions", TERMS | {"title": "Other"}, key="once"), 422, "key_reused")


async def test_a_request_whose_answer_was_lost_is_sent_again_and_happens_once(engine: RestEngine):
    ann = await engine.person()
    engine.router.lost_answers = 1
    lost = await ann.post("/auctions", TERMS, key="once")
    problem(lost, 503, "unavailable")
    assert lost.headers["retry-after"] == "1"
    again = await ann.post("/auctions", TERMS, key="once")
    assert again.status_code == 201
    listed = (await ann.get(f"/auctions?seller={ann.name}")).json()["items"]
    assert [item["id"] for item in listed] == [again.json()["id"]]


async def test_of_many_sent_at_once_with_one_key_one_auction_comes(engine: RestEngine):
    ann = await engine.person()
    answers = await asyncio.gather(*(ann.post("/auctions", TERMS, key="once") for _ in range(6)))
    made = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    assert len(made) == 1
    assert {answer.json()["code"] for answer in answers if answer.status_code != 201} <= {"still_running"}


async def test_a_key_that_came_with_nonsense_is_free_again(engine: RestEngine):
    ann = await engine.person()
    unsound = TERMS | {"reserve_price": 1}
    assert (
        "reserve_price" in problem(await ann.post("/auctions", unsound, key="once"), 422, "invalid_request")["detail"]
    )
    assert (await ann.post("/auctions", TERMS, key="once")).status_code == 201


async def test_a_post_without_a_key_or_a_token_does_nothing(engine: RestEngine):
    ann = await engine.person()
    problem(await engine.request("POST", "/auctions", json=TERMS, token=ann.token), 400, "idempotency_key_missing")
    problem(await ann.post("/auctions", TERMS, key="k" * 65), 400, "invalid_request")
    anonymous = await engine.request("POST", "/auctions", json=TERMS, key="k")
    problem(anonymous, 401, "unauthenticated")
    assert anonymous.headers["www-authenticate"] == "Bearer"
    problem(await engine.request("GET", "/users/me", token="forged"), 401, "unauthenticated")


@pytest.mark.parametrize(
    "changed",
    [
        {"starting_price": 1.0},
        {"starting_price": True},
        {"starting_price": "1000000"},
        {"starting_price": 0},
        {"starting_price": -1},
        {"starting_price": 10**18},
        {"starting_price": None},
        {"title": ""},
        {"title": " " * 5},
        {"title": "x" * 201},
        {"title": "zero\x00byte"},
        {"title": "\u200b\u200b"},
        {"title": "\u3164"},
        {"title": "Charizard \u202e09$"},
        {"title": "Pika\x1b[31mchu"},
        {"title": 7},
        {"format": "dutch"},
        {"ends_at": 4_000_000_000_000},
        {"duration_ms": None},
        {"duration_ms": 0},
        {"duration_ms": 10**15},
        {"duration_ms": None, "ends_at": 5},
        {"starts_at": 10**17},
        {"increments": []},
        {"increments": [[1, 1]]},
        {"increments": [[0, 0]]},
        {"increments": [[0, 1], [0, 2]]},
        {"increments": [[0, 1, 2]]},
        {"increments": [[0, 1.5]]},
        {"increments": {"0": 1}},
        {"increments": [[n, 1] for n in range(33)]},
        {"soft_close": {"window_ms": 1}},
        {"soft_close": {"window_ms": 0, "extension_ms": 1}},
        {"soft_close": []},
        {"placement": "moon"},
        {"copies": 2},
        {"copies": ["x"]},
        {"copies": ["z" * 13]},
        {"copies": ["0000000000001"] * 2},
        {"copies": [f"{n:013d}" for n in range(51)]},
        {"buy_now_price": 1},
        {"reserve_prise": 5},
    ],
)
async def test_terms_that_make_no_sense_are_refused(engine: RestEngine, changed: dict[str, Any]):
    ann = await engine.person()
    body = {name: value for name, value in (TERMS | changed).items() if name != "duration_ms" or value is not None}
    problem(await ann.post("/auctions", body), 422, "invalid_request")


async def test_all_terms_are_taken(engine: RestEngine):
    ann = await engine.person()
    now = engine.services.now_ms()
    state = await ann.open_auction(
        buy_now_price=9 * USD,
        starts_at=now + 60_000,
        increments=[[0, 10], [USD, 20]],
        soft_close={"window_ms": 1000, "extension_ms": 2000, "max_extensions": 3},
        placement="dedicated",
    )
    assert (state["status"], state["starts_at"], state["buy_now"]) == ("scheduled", now + 60_000, 9 * USD)
    bob = await engine.person()
    problem(await bob.post(f"/auctions/{state['id']}/bids", {"amount": USD}), 409, "auction_not_open")


async def test_a_bid_is_answered_as_on_the_websocket_and_a_retry_is_the_same_bid(engine: RestEngine):
    ann, bob = await engine.person(), await engine.person()
    auction = (await ann.open_auction())["id"]
    answer = await bob.post(f"/auctions/{auction}/bids", {"amount": 5 * USD}, key="b1")
    result = answer.json()
    assert answer.status_code == 201
    assert result | {"at": 0, "ends_at": 0} == {
        "auction": auction, "epoch": 1, "seq": 3, "at": 0, "outcome": "leading", "price": USD,
        "minimum": USD + 250_000, "ends_at": 0, "duplicate": False,
    }  # fmt: skip
    again = await bob.post(f"/auctions/{auction}/bids", {"amount": 5 * USD}, key="b1")
    assert again.json() == result | {"duplicate": True}
    problem(await bob.post(f"/auctions/{auction}/bids", {"amount": 6 * USD}, key="b1"), 422, "key_reused")


async def test_a_refused_bid_says_what_it_was_decided_on(engine: RestEngine):
    ann, bob, cleo = await engine.person(), await engine.person(), await engine.person()
    auction = (await ann.open_auction())["id"]
    bids = f"/auctions/{auction}/bids"
    await bob.post(bids, {"amount": 5 * USD})
    low = problem(await cleo.post(bids, {"amount": USD}), 409, "bid_too_low")
    assert (low["price"], low["minimum"]) == (USD, USD + 250_000)
    assert low["server_time"] <= engine.services.now_ms()
    problem(await bob.post(bids, {"amount": 5 * USD}), 409, "already_leading")
    problem(await ann.post(bids, {"amount": 9 * USD}), 403, "own_auction")
    problem(await cleo.post("/auctions/0000000000000/bids", {"amount": USD}), 404, "not_found")
    problem(await cleo.post("/auctions/nonsense/bids", {"amount": USD}), 404, "not_found")
    for amount in (0, -1, 1.5, True, "1", None, 10**30):
        problem(await cleo.post(bids, {"amount": amount}), 422, "invalid_request")


async def test_maxima_of_others_are_hidden_until_the_close(engine: RestEngine):
    ann, bob, cleo = await engine.person(), await engine.person("bob"), await engine.person("cleo")
    operator = await engine.person(role="admin")
    auction = (await ann.open_auction())["id"]
    bids = f"/auctions/{auction}/bids"
    await bob.post(bids, {"amount": 50 * USD})
    await cleo.post(bids, {"amount": 20 * USD})

    def shown(answer: httpx.Response) -> list[tuple[Any, ...]]:
        return [(i["bidder"], i["price"], i["outcome"], i.get("amount")) for i in answer.json()["items"]]

    price = 20 * USD + 500_000
    assert shown(await bob.get(bids)) == [("bob", USD, "leading", 50 * USD), ("cleo", price, "outbid", None)]
    assert shown(await cleo.get(bids)) == [("bob", USD, "leading", None), ("cleo", price, "outbid", 20 * USD)]
    assert str(50 * USD) not in (await engine.request("GET", bids)).text
    await operator.post(f"/admin/auctions/{auction}/close")
    everyone = [("bob", USD, "leading", 50 * USD), ("cleo", price, "outbid", 20 * USD)]
    assert shown(await engine.request("GET", bids)) == everyone


async def pages(one: Person, path: str) -> list[list[int]]:
    seqs, page = [], (await one.get(path)).json()
    while True:
        seqs.append([item["seq"] for item in page["items"]])
        if page["next_cursor"] is None:
            return seqs
        page = (await one.get(f"{path}&cursor={page['next_cursor']}")).json()


async def test_bids_come_in_pages_from_either_end(engine: RestEngine):
    ann, bob = await engine.person(), await engine.person()
    auction = (await ann.open_auction())["id"]
    for amount in range(1, 6):
        await bob.post(f"/auctions/{auction}/bids", {"amount": amount * USD})
    path = f"/auctions/{auction}/bids?limit=2"
    assert await pages(bob, path) == [[3, 4], [5, 6], [7]]
    assert await pages(bob, f"{path}&order=newest") == [[7, 6], [5, 4], [3]]
    oldest = (await bob.get(path)).json()["next_cursor"]
    problem(await bob.get(f"{path}&order=newest&cursor={oldest}"), 400, "invalid_cursor")
    problem(await bob.get("/auctions/0000000000000/bids"), 404, "not_found")


async def test_the_log_is_everyones_and_hides_what_bids_hide(engine: RestEngine):
    ann, bob, cleo = await engine.person(), await engine.person("bob"), await engine.person("cleo")
    operator = await engine.person(role="admin")
    auction = (await ann.open_auction(reserve_price=70 * USD))["id"]
    await bob.post(f"/auctions/{auction}/bids", {"amount": 50 * USD})
    await cleo.post(f"/auctions/{auction}/bids", {"amount": 20 * USD})
    path = f"/auctions/{auction}/log?limit=3"

    live = (await engine.request("GET", path)).json()["items"]
    assert [item["type"] for item in live] == ["listed", "opened", "bid"]
    bid = {"bidder": "bob", "price": USD, "minimum": USD + 250_000, "outcome": "leading"}
    assert live[2] | {"at": 0} == {"seq": 3, "at": 0, "type": "bid", "data": bid}
    assert [item.get("amount") for item in (await cleo.get(f"{path[:-1]}9")).json()["items"][2:]] == [None, 20 * USD]
    assert str(70 * USD) not in (await engine.request("GET", path)).text

    await operator.post(f"/admin/auctions/{auction}/close")
    assert await pages(bob, path) == [[1, 2, 3], [4, 5]]
    ended = (await engine.request("GET", f"/auctions/{auction}/log")).json()["items"]
    assert [item.get("amount") for item in ended] == [None, None, 50 * USD, 20 * USD, None]
    assert ended[4]["data"] == {"reason": "operator", "sold": False, "winner": None, "price": 20 * USD + 500_000}
    problem(await bob.get("/auctions/0000000000000/log"), 404, "not_found")


async def test_auctions_are_listed_by_filter_and_in_pages(engine: RestEngine):
    ann = await engine.person("lister")
    made = [(await ann.open_auction(duration_ms=3_600_000 - n * 1000))["id"] for n in range(5)]
    await ann.post(f"/auctions/{made[0]}/cancel")

    async def ids(query: str) -> list[str]:
        found: list[str] = []
        cursor = ""
        while True:
            page = (await engine.request("GET", f"/auctions?seller=LISTER&limit=2{query}{cursor}")).json()
            found += [item["id"] for item in page["items"]]
            if page["next_cursor"] is None:
                return found
            cursor = f"&cursor={page['next_cursor']}"

    assert await ids("") == made[::-1]
    assert await ids("&status=open") == made[:0:-1]
    assert await ids("&status=cancelled") == made[:1]
    assert await ids("&status=closed") == []
    assert await ids("&sort=ending") == made[:0:-1]
    assert await ids("&sort=ending&status=open") == made[:0:-1]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=x", "status=gone", "sort=price", "sort=ending&status=closed", "seller=%00"],
)
async def test_a_list_that_makes_no_sense_is_refused(engine: RestEngine, query: str):
    problem(await engine.request("GET", f"/auctions?{query}"), 422, "invalid_request")


async def test_a_cursor_is_good_for_its_own_list_only(engine: RestEngine):
    ann = await engine.person()
    for _ in range(2):
        await ann.open_auction()
    cursor = (await ann.get("/auctions?limit=1")).json()["next_cursor"]
    assert (await ann.get(f"/auctions?limit=1&cursor={cursor}")).status_code == 200
    for query in (f"status=open&cursor={cursor}", "cursor=x", "cursor=%00", "cursor=" + "A" * 500, "cursor=ü"):
        problem(await ann.get(f"/auctions?{query}"), 400, "invalid_cursor")


async def test_the_seller_cancels_before_the_first_bid_and_nobody_else_does(engine: RestEngine):
    ann, bob = await engine.person(), await engine.person()
    auction = (await ann.open_auction())["id"]
    problem(await bob.post(f"/auctions/{auction}/cancel"), 403, "forbidden")
    engine.router.lost_answers = 1
    problem(await ann.post(f"/auctions/{auction}/cancel", key="c"), 503, "unavailable")
    for _ in range(2):
        answer = await ann.post(f"/auctions/{auction}/cancel", key="c")
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    problem(await bob.post(f"/auctions/{auction}/bids", {"amount": USD}), 409, "auction_closed")
    with_bid = (await ann.open_auction())["id"]
    await bob.post(f"/auctions/{with_bid}/bids", {"amount": USD})
    problem(await ann.post(f"/auctions/{with_bid}/cancel", {}), 409, "has_bids")


async def test_only_operators_close_early(engine: RestEngine):
    ann, operator = await engine.person(), await engine.person(role="admin")
    auction = (await ann.open_auction())["id"]
    problem(await ann.post(f"/admin/auctions/{auction}/close"), 403, "forbidden")
    for _ in range(2):
        answer = await operator.post(f"/admin/auctions/{auction}/close", {})
        assert (answer.status_code, answer.json()["closed_reason"]) == (200, "operator")
    problem(await operator.post("/admin/auctions/0000000000000/close"), 404, "not_found")


async def test_buying_at_once_ends_the_auction(engine: RestEngine):
    ann, bob = await engine.person(), await engine.person()
    auction = (await ann.open_auction(buy_now_price=9 * USD))["id"]
    bought = await bob.post(f"/auctions/{auction}/buy-now", key="n")
    assert (bought.status_code, bought.json()["outcome"], bought.json()["price"]) == (201, "won", 9 * USD)
    again = await bob.post(f"/auctions/{auction}/buy-now", key="n")
    assert again.json() == bought.json() | {"duplicate": True}
    state = (await bob.get(f"/auctions/{auction}")).json()
    assert (state["status"], state["winner"], state["closed_reason"]) == ("closed", bob.name, "buy_now")


async def test_an_ended_auction_has_an_etag_and_needs_no_host(engine: RestEngine):
    ann, operator = await engine.person(), await engine.person(role="admin")
    auction = (await ann.open_auction())["id"]
    assert "etag" not in (await ann.get(f"/auctions/{auction}")).headers
    await operator.post(f"/admin/auctions/{auction}/close")
    engine.router.outage = True
    answer = await ann.get(f"/auctions/{auction}")
    assert answer.json()["status"] == "closed"
    for tag in (answer.headers["etag"], "*", f'"x", {answer.headers["etag"]}'):
        known = await ann.get(f"/auctions/{auction}", headers={"If-None-Match": tag})
        assert (known.status_code, known.content) == (304, b"")
    assert (await ann.get(f"/auctions/{auction}", headers={"If-None-Match": '"x"'})).status_code == 200


async def test_without_a_host_the_last_known_state_is_shown_and_bids_are_unavailable(engine: RestEngine):
    ann, bob = await engine.person(), await engine.person()
    state = await ann.open_auction()
    engine.router.outage = True
    shown = (await bob.get(f"/auctions/{state['id']}")).json()
    assert shown | {"server_time": 0} == state | {"server_time": 0}
    answer = await bob.post(f"/auctions/{state['id']}/bids", {"amount": USD})
    assert problem(answer, 503, "unavailable")["retry_after_ms"] == 500
    assert answer.headers["retry-after"] == "1"
