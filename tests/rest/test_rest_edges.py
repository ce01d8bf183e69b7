"""What is no proper request: each gets its problem, and the next request works."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from virtual_time import until

from actors.clock import Clock
from actors.workers.periodic import Maintenance
from domain.ledger.ids import transfer_id
from domain.ledger.orders import Pend, Transfer
from domain.ledger.rules import Done
from domain.permissions import DEFAULT_ROLES
from ece.processes.worker import all_jobs
from gateway.rest.limits import Limits
from tests.rest.rest_engine import USD, NoNews, RestEngine, rest_engine
from tests.rest.test_rest_auctions import TERMS, problem

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("path", ["/nowhere", "/auctions/x/y/z", "/auctions/", "/../../etc/passwd"])
async def test_an_unknown_address_is_a_problem(engine: RestEngine, path: str):
    problem(await engine.request("GET", path), 404, "not_found")


async def test_a_wrong_method_says_which_are_right(engine: RestEngine):
    answer = await engine.request("DELETE", "/auth/login")
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 422),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[" * 60_000, 400),
        (b'{"login": ' + b"[" * 200 + b"]" * 200 + b"}", 422),
        (b"9" * 60_000, 400),
        (b'{"login": "a", "password": NaN}', 422),
        (b"[]", 422),
        (b"null", 422),
        (b'"text"', 422),
    ],
)
async def test_a_body_that_cannot_be_read_is_a_problem(engine: RestEngine, content: bytes, status: int):
    answer = await engine.request("POST", "/auth/login", content=content, headers=JSON)
    problem(answer, status, "invalid_request")


async def test_a_body_of_another_type_is_a_problem(engine: RestEngine):
    body = json.dumps({"login": "ann", "password": "x"})
    for media_type in ("text/plain", "application/x-www-form-urlencoded"):
        answer = await engine.request("POST", "/auth/login", content=body, headers={"Content-Type": media_type})
        problem(answer, 415, "unsupported_media_type")


async def test_a_large_body_is_refused_with_and_without_its_length(engine: RestEngine):
    large = b'{"login": "' + b"a" * 70_000 + b'"}'
    problem(await engine.request("POST", "/auth/login", content=large, headers=JSON), 413, "request_too_large")

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(large), 10_000):
            yield large[start : start + 10_000]

    problem(await engine.request("POST", "/auth/login", content=chunks(), headers=JSON), 413, "request_too_large")


async def test_a_fault_of_ours_is_a_problem_that_discloses_nothing(engine: RestEngine, monkeypatch: pytest.MonkeyPatch):
    async def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(engine.services.listing, "page", broken)
    answer = await engine.request("GET", "/auctions")
    problem(answer, 500, "internal_error")
    assert "secret" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_database_that_is_away_is_unavailable(engine: RestEngine):
    ann = await engine.person()
    broken = engine.services.listing._pool
    await broken.close()
    answer = await ann.get("/auctions")
    problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "1"
    assert "pool" not in answer.text


async def test_every_answer_has_the_security_headers_and_no_cors(engine: RestEngine):
    for path in ("/auctions", "/nowhere", "/users/me"):
        headers = (await engine.request("GET", path, headers={"Origin": "https://evil.example"})).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["permissions-policy"] == "camera=(), geolocation=(), microphone=()"
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert "access-control-allow-origin" not in headers


async def test_readiness_lists_each_part(engine: RestEngine):
    never = asyncio.Event()

    async def good() -> None: ...

    async def bad() -> None:
        raise RuntimeError("secret")

    probes: Any = engine.services.probes
    probes["good"] = good
    answer = await engine.http.get("http://ece/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    probes |= {"bad": bad, "slow": never.wait}
    object.__setattr__(engine.services.limits, "probe_timeout_s", 0.2)
    answer = await engine.http.get("http://ece/readyz")
    body = answer.json()
    assert (answer.status_code, body["status"]) == (503, "not_ready")
    states = {part: state["status"] for part, state in body["parts"].items()}
    assert states == {"good": "ok", "bad": "failed", "slow": "timeout"}
    assert "secret" not in answer.text
    assert (await engine.http.get("http://ece/healthz")).json() == {"status": "ok"}


async def test_metrics_count_requests_by_route_and_never_by_id(engine: RestEngine):
    ann = await engine.person()
    auction = (await ann.open_auction())["id"]
    await ann.get(f"/auctions/{auction}")
    await ann.get("/nowhere-at-all")
    await engine.request("PROPFIND", "/auctions")
    text = (await engine.http.get("http://ece/metrics")).text
    route = "/api/v1/auctions/{auction_id}"
    assert f'ece_http_requests_total{{method="GET",route="{route}",status="200"}} 1.0' in text
    assert 'ece_http_requests_total{method="GET",route="unmatched",status="404"} 1.0' in text
    assert f'ece_http_request_duration_seconds_count{{method="GET",route="{route}"}} 1.0' in text
    assert auction not in text
    assert "nowhere" not in text
    assert "PROPFIND" not in text


async def test_more_requests_than_there_are_slots_are_overloaded(database_url: str):
    async with rest_engine(database_url, Limits(requests_max=2)) as engine:
        answers = await asyncio.gather(*(engine.request("GET", "/auctions") for _ in range(6)))
        assert {answer.status_code for answer in answers} == {200, 503}
        assert {answer.json()["code"] for answer in answers if answer.status_code == 503} == {"overloaded"}
        assert (await engine.request("GET", "/auctions")).status_code == 200


async def test_health_checks_need_no_slot_and_those_who_ask_together_share_one_look(database_url: str):
    async with rest_engine(database_url, Limits(requests_max=0)) as engine:
        problem(await engine.request("GET", "/auctions"), 503, "overloaded")
        asked, answers = 0, asyncio.Event()

        async def part() -> None:
            nonlocal asked
            asked += 1
            await answers.wait()

        probes: Any = engine.services.probes
        probes["part"] = part
        waiting = [asyncio.create_task(engine.http.get("http://ece/readyz")) for _ in range(50)]
        await until(lambda: asked)
        assert [(await engine.http.get(f"http://ece/{path}")).status_code for path in ("healthz", "metrics")] == [
            200,
            200,
        ]
        answers.set()
        assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {200}
        assert asked == 1
        assert (await engine.http.get("http://ece/readyz")).status_code == 200
        assert asked == 2


async def test_one_address_has_its_share_of_the_slots(database_url: str):
    limits = Limits(requests_per_address_max=2, trusted_proxies=["10.0.0.1"])
    async with rest_engine(database_url, limits) as engine:
        answers = await asyncio.gather(*(engine.request("GET", "/auctions") for _ in range(6)))
        codes = [answer.json().get("code") for answer in answers]
        assert sorted(codes, key=str) == [None] * 2 + ["rate_limited"] * 4
        assert {answer.headers["retry-after"] for answer in answers if answer.status_code == 429} == {"1"}
        assert (await engine.request("GET", "/auctions")).status_code == 200


async def test_the_description_is_openapi_3_1_and_speaks_of_problems(engine: RestEngine):
    described = (await engine.http.get("http://ece/openapi.json")).json()
    assert described["openapi"].startswith("3.1")
    text = json.dumps(described)
    assert "HTTPValidationError" not in text
    listed = described["paths"]["/api/v1/auctions"]["post"]
    assert listed["responses"]["422"]["content"].keys() == {"application/problem+json"}
    assert {"Idempotency-Key"} == {p["name"] for p in listed["parameters"] if p["in"] == "header"}
    assert listed["security"]
    assert (await engine.http.get("http://ece/docs")).status_code == 200


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.integers(10**17, 10**40)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
bodies = st.fixed_dictionaries(
    {},
    optional={
        name: values | st.sampled_from([TERMS.get(name, USD), USD, "english", "USDC", [[0, USD]]])
        for name in (
            "title", "format", "starting_price", "reserve_price", "buy_now_price", "starts_at", "ends_at",
            "duration_ms", "increments", "soft_close", "placement", "copies", "amount", "login", "password", "email",
            "username", "refresh_token", "currency", "destination",
        )
    },
)  # fmt: skip
PATHS = [
    "/auctions", "/auctions/0000000000000/bids", "/auctions/0000000000000/cancel", "/auth/login", "/auth/register",
    "/auth/refresh", "/auth/logout", "/ledger/deposits", "/ledger/withdrawals",
    "/ledger/withdrawals/0000000000000/cancel",
]  # fmt: skip


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(path=st.sampled_from(PATHS), body=values | bodies)
async def test_whatever_the_body_the_answer_is_no_fault_of_ours(engine: RestEngine, path: str, body: Any):
    token = engine.services.tokens.issue(7, "fuzz", DEFAULT_ROLES, engine.services.now_ms() // 1000)
    content = json.dumps(body).encode()
    answer: httpx.Response = await engine.request(
        "POST", path, content=content, headers=JSON, token=token, key=str(hash(content))
    )
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.json()["code"]


async def test_maintenance_deletes_what_has_expired_and_releases_what_was_held_too_long(engine: RestEngine):
    user = (await engine.services.users.provision(["forgetful"]))["forgetful"]
    await engine.services.refresh_tokens.begin(user.user_id, "old-family", "old-token", 1)
    await engine.services.idempotency.begin(user.user_id, "old-key", b"", 1)
    ledger = engine.services.money.ledger
    accounts = await ledger.accounts([user.user_id, 77], "USDC")
    faucet = (await ledger.accounts([0], "USDC", "faucet"))[0]
    mine, other = accounts[user.user_id], accounts[77]
    funds = Transfer(transfer_id("forgetful"), faucet, mine, 9, "deposit")
    short = Pend(transfer_id("short"), mine, other, 9, "sale", None, 5)
    assert all(isinstance(outcome, Done) for outcome in await ledger.execute([funds, short], 1))
    nobody: Any = NoNews()
    jobs = all_jobs(engine.pool, engine.pool, engine.router, nobody, Clock(), None)
    [maintenance] = [job for job in jobs if job.kind == Maintenance.kind]
    assert await maintenance.run([]) == []
    pool = engine.services.users._pool
    assert await pool.fetchval("SELECT count(*) FROM log_ins WHERE family = 'old-family'") == 0
    assert await pool.fetchval("SELECT count(*) FROM idempotency_keys WHERE key = 'old-key'") == 0
    assert await pool.fetchrow("SELECT posted, held FROM ledger_accounts WHERE account_id = $1", mine) == (9, 0)
