"""Rate limits, request ids and headers of REST."""

import re

import pytest
import structlog

from gateway.limits.limiter import Limiter
from gateway.rest.limits import Limits
from tests.rest.rest_engine import RestEngine, rest_engine
from tests.rest.test_rest_auctions import problem


def stop_time(engine: RestEngine) -> None:
    """No token comes back, however slow the machine is."""
    object.__setattr__(engine.services, "limiter", Limiter(clock_s=lambda: 1.0))


async def test_an_account_that_asks_too_much_is_told_when_to_come_again(database_url: str):
    async with rest_engine(database_url, Limits(account_requests_per_s=1, account_requests_burst=5)) as engine:
        stop_time(engine)
        ann, bob = await engine.person(), await engine.person()
        answers = [await ann.get("/ledger/balance") for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200] * 4 + [429], "the fixture made the first one"
        assert answers[0].headers["ratelimit-policy"] == '"account";q=5;w=5'
        left = [re.match(r'"account";r=(\d+);t=\d+$', answer.headers["ratelimit"]) for answer in answers]
        assert [int(one[1]) for one in left if one] == [3, 2, 1, 0, 0]
        refused = problem(answers[4], 429, "rate_limited")
        assert 0 < refused["retry_after_ms"] <= 1_000
        assert answers[4].headers["retry-after"] == "1"
        assert (await bob.get("/ledger/balance")).status_code == 200


async def test_a_write_costs_more_than_a_read_and_bids_have_a_limit_of_their_own(database_url: str):
    limits = Limits(account_requests_per_s=1, account_requests_burst=100, account_bids_per_s=1, account_bids_burst=2)
    async with rest_engine(database_url, limits) as engine:
        stop_time(engine)
        ann, bob = await engine.person(), await engine.person()
        auction = (await ann.open_auction())["id"]
        first = await bob.post(f"/auctions/{auction}/bids", {"amount": 5_000_000})
        assert first.status_code == 201
        assert first.headers["ratelimit-policy"] == '"account";q=100;w=100, "bids";q=2;w=2'
        assert '"account";r=97;' in first.headers["ratelimit"], "one read, one write"
        assert (await bob.post(f"/auctions/{auction}/bids", {"amount": 6_000_000})).status_code == 201
        refused = await bob.post(f"/auctions/{auction}/bids", {"amount": 7_000_000})
        problem(refused, 429, "rate_limited")
        assert '"account";r=95;' in refused.headers["ratelimit"], "what is refused takes nothing"
        assert (await bob.get(f"/auctions/{auction}")).json()["price"] < 7_000_000


async def test_who_is_exempt_has_no_limit(database_url: str):
    async with rest_engine(database_url, Limits(account_requests_per_s=1, account_requests_burst=1)) as engine:
        shop = await engine.person(role="quota_exempt")
        answers = [await shop.get("/ledger/balance") for _ in range(5)]
        assert {answer.status_code for answer in answers} == {200}
        assert "ratelimit" not in answers[0].headers


async def test_an_address_has_a_limit_whatever_token_it_sends(database_url: str):
    limits = Limits(address_requests_per_s=1, address_requests_burst=3, trusted_proxies=())
    async with rest_engine(database_url, limits) as engine:
        stop_time(engine)
        answers = [await engine.request("GET", "/ledger/balance", token=f"wrong{n}") for n in range(5)]
        assert [answer.status_code for answer in answers] == [401] * 3 + [429] * 2
        assert "ratelimit" in answers[0].headers, "also where the request failed"


@pytest.mark.parametrize("sent", ["order-7", "A.b_c-9" * 9])
async def test_the_id_of_a_request_is_that_of_its_client(engine: RestEngine, sent: str):
    answer = await engine.request("GET", "/auctions/nothing", headers={"X-Request-Id": sent})
    assert answer.headers["x-request-id"] == sent
    assert answer.json()["request_id"] == sent


@pytest.mark.parametrize("sent", ["", "a" * 65, "with space", "line\\n", "ü".encode(), "a;b"])
async def test_an_id_of_another_form_is_replaced(engine: RestEngine, sent: str | bytes):
    answer = await engine.http.get("/auctions/nothing", headers={b"X-Request-Id": sent})  # type: ignore[dict-item]
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_a_stored_answer_has_the_id_of_the_request_that_gets_it(engine: RestEngine):
    ann = await engine.person()
    answers = [
        await ann.post("/ledger/withdrawals", {"amount": 9, "currency": "USDC", "destination": "d"}, key="k")
        for _ in range(2)
    ]  # fmt: skip
    ids = [answer.json()["request_id"] for answer in answers]
    assert ids == [answer.headers["x-request-id"] for answer in answers]
    assert len(set(ids)) == 2
    assert answers[1].headers["idempotency-replayed"] == "true"


async def test_the_id_is_in_the_log_lines_of_the_request_and_of_no_other(engine: RestEngine):
    seen: list[str | None] = []
    users = engine.services.users
    fetch = users.by_login

    async def failing(login: str) -> None:
        seen.append(structlog.contextvars.get_contextvars().get("request_id"))
        await fetch(login)

    object.__setattr__(users, "by_login", failing)
    body = {"login": "nobody", "password": "p"}
    await engine.request("POST", "/auth/login", json=body, headers={"X-Request-Id": "mine"})
    assert seen == ["mine"]
    assert structlog.contextvars.get_contextvars() == {}


async def test_other_origins_are_refused_unless_they_are_named(database_url: str, engine: RestEngine):
    preflight = {"Origin": "https://cards.example", "Access-Control-Request-Method": "GET"}
    closed = await engine.request("OPTIONS", "/auctions", headers=preflight)
    assert closed.status_code == 405
    assert "access-control-allow-origin" not in (await engine.request("GET", "/auctions", headers=preflight)).headers
    async with rest_engine(database_url, Limits(cors_origins=["https://cards.example"])) as opened:
        allowed = await opened.request("OPTIONS", "/auctions", headers=preflight)
        assert allowed.headers["access-control-allow-origin"] == "https://cards.example"
        other = await opened.request("GET", "/auctions", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers
        # Pages of a named origin may hold sessions by cookies.
        assert allowed.headers["access-control-allow-credentials"] == "true"
