import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest

from gateway.identity.passwords.hasher import AT_ONCE_MAX, WAITING_MAX
from gateway.rest.limits import Limits
from persistence.identity.store import REFRESH_GRACE_MS
from tests.rest.rest_engine import PASSWORD, RestEngine, rest_engine
from tests.rest.test_rest_auctions import problem


async def register(engine: RestEngine, name: str, **changed: Any) -> httpx.Response:
    body = {"email": f"{name}@example.org", "username": name, "password": PASSWORD} | changed
    return await engine.request("POST", "/auth/register", json=body)


async def log_in(engine: RestEngine, login: str, password: str = PASSWORD) -> httpx.Response:
    return await engine.request("POST", "/auth/login", json={"login": login, "password": password})


async def refresh(engine: RestEngine, token: str) -> httpx.Response:
    return await engine.request("POST", "/auth/refresh", json={"refresh_token": token})


async def test_who_registers_can_log_in_by_name_and_by_address(engine: RestEngine):
    registered = await register(engine, "Ann-1")
    assert registered.status_code == 201
    user = registered.json()["user"]
    assert user["username"] == "Ann-1"
    for login in ("ann-1", "ANN-1@example.org"):
        tokens = (await log_in(engine, login)).json()
        assert (tokens["token_type"], tokens["expires_in"]) == ("bearer", 900)
        me = await engine.request("GET", "/users/me", token=tokens["access_token"])
        assert me.json() == {"id": user["id"], "username": "Ann-1", "email": "Ann-1@example.org",
            "roles": ["collector", "minter", "seller"]}  # fmt: skip


async def test_a_wrong_password_and_an_unknown_user_look_the_same(engine: RestEngine):
    await register(engine, "bea")
    wrong = await log_in(engine, "bea", "wrong password")
    unknown = await log_in(engine, "nobody")
    provisioned = (await engine.services.users.provision(["robot"]))["robot"]
    without = await log_in(engine, provisioned.username)
    bodies = [problem(wrong, 401, "unauthenticated"), unknown.json(), without.json()]
    ids = [body.pop("request_id") for body in bodies]
    assert bodies[0] == bodies[1] == bodies[2]
    assert len(set(ids)) == 3


async def test_passwords_count_to_their_last_character_and_have_128_at_most(engine: RestEngine):
    long = "ü" * 127
    await register(engine, "cat", password=long + "a")
    assert (await log_in(engine, "cat", long + "a")).status_code == 200
    problem(await log_in(engine, "cat", long + "b"), 401, "unauthenticated")
    body = {"email": "cow@example.org", "username": "cow", "password": long + "ab"}
    problem(await engine.request("POST", "/auth/register", json=body), 422, "invalid_request")
    # Those of before may be longer.
    problem(await log_in(engine, "cat", long * 2), 401, "unauthenticated")


@pytest.mark.parametrize(
    ("registered", "logins"),
    [
        ("a@xn--bcher-kva.example", ["a@xn--bcher-kva.example", "A@Bücher.example", " a@bu\u0308cher.example "]),
        ("U\u0308nal@example.org", ["U\u0308nal@example.org", "ünal@EXAMPLE.org"]),
    ],
)  # fmt: skip
async def test_an_address_logs_in_as_it_was_registered_and_in_every_other_form(
    engine: RestEngine, registered: str, logins: list[str]
):
    name = f"form{len(registered)}"
    assert (await register(engine, name, email=registered)).status_code == 201
    for login in logins:
        assert (await log_in(engine, login)).status_code == 200, login
        problem(await register(engine, f"{name}-2", email=login), 409, "email_taken")


async def test_a_password_is_right_in_both_forms_of_unicode(engine: RestEngine):
    await register(engine, "ugo", password="f\u00fcnf alte B\u00fccher")
    assert (await log_in(engine, "ugo", "fu\u0308nf alte Bu\u0308cher")).status_code == 200
    problem(await log_in(engine, "ugo", "funf alte Bucher"), 401, "unauthenticated")


async def test_a_name_that_looks_like_anothers_is_taken(engine: RestEngine):
    await register(engine, "milo10")
    for double in ("mi1o10", "rnilo10", "MlLOIO", "mil010"):
        problem(await register(engine, double), 409, "username_taken")
    # Users that the engine makes itself are people's doubles only by the very same name.
    assert set(await engine.services.users.provision(["m1lo10", "admin"])) == {"m1lo10", "admin"}
    assert (await register(engine, "milo12")).status_code == 201


@pytest.mark.parametrize("name", ["%ED%A0%80", "%FF", "%E2%80%AE", "a@b", "a@example.org"])
async def test_nobody_has_a_name_that_nobody_could_have(engine: RestEngine, name: str):
    problem(await engine.request("GET", f"/users/{name}/copies"), 404, "not_found")


async def test_names_and_addresses_are_taken_once(engine: RestEngine):
    await register(engine, "dan")
    problem(await register(engine, "DAN", email="other@example.org"), 409, "username_taken")
    problem(await register(engine, "dan2", email="Dan@Example.org"), 409, "email_taken")


async def test_a_password_from_when_shorter_ones_were_allowed_still_logs_in(engine: RestEngine):
    made = await engine.services.passwords.hash("ten charac", "caller")
    await engine.services.users.create("oldest", "oldest@example.org", made)
    assert (await log_in(engine, "oldest", "ten charac")).status_code == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"username": "ab"},
        {"username": "a" * 31},
        {"username": "with space"},
        {"username": "new\nline"},
        {"username": "ann\n"},
        {"username": "ünï"},
        {"username": None},
        {"username": ["ann"]},
        {"username": "admin"},
        {"username": "0PERATOR"},
        {"username": "hou-se"},
        {"username": "sy\u0455tem"},
        {"email": "a\u202e@example.org"},
        {"email": "nonsense"},
        {"email": "a@provisioned.invalid"},
        {"email": "a\x00@example.org"},
        {"email": "a" * 300 + "@example.org"},
        {"password": "eleven char"},
        # With a combining accent it is as short.
        {"password": "eleven ch\u0061\u0308r"},
        {"password": "x" * 1_001},
        {"password": 1_234_567_890},
        {"password": "\ud800" * 12},
        {"roles": ["operator"]},
    ],
)
async def test_a_registration_that_makes_no_sense_is_refused(engine: RestEngine, changed: dict[str, Any]):
    answer = problem(await register_raw(engine, changed), 422, "invalid_request")
    assert PASSWORD not in str(answer)


async def register_raw(engine: RestEngine, changed: dict[str, Any]) -> httpx.Response:
    import json

    body = json.dumps({"email": "eve@example.org", "username": "eve", "password": PASSWORD} | changed)
    return await engine.request("POST", "/auth/register", content=body, headers={"Content-Type": "application/json"})


async def test_two_tabs_that_refresh_at_once_get_the_same_successor(engine: RestEngine):
    await register(engine, "tabs")
    token = (await log_in(engine, "tabs")).json()["refresh_token"]
    answers = await asyncio.gather(*(refresh(engine, token) for _ in range(6)))
    assert {answer.status_code for answer in answers} == {200}
    (successor,) = {answer.json()["refresh_token"] for answer in answers}
    assert (await refresh(engine, successor)).status_code == 200


async def test_a_refresh_token_is_good_once_and_reuse_after_the_grace_ends_the_log_in(engine: RestEngine):
    await register(engine, "fay")
    first = (await log_in(engine, "fay")).json()
    other = (await log_in(engine, "fay")).json()
    second = (await refresh(engine, first["refresh_token"])).json()
    assert (await engine.request("GET", "/users/me", token=second["access_token"])).status_code == 200
    await engine.pool.execute("UPDATE refresh_tokens SET spent_at = spent_at - $1", REFRESH_GRACE_MS)
    problem(await refresh(engine, first["refresh_token"]), 401, "unauthenticated")
    problem(await refresh(engine, second["refresh_token"]), 401, "unauthenticated")
    assert (await refresh(engine, other["refresh_token"])).status_code == 200


async def test_logging_out_ends_the_log_in(engine: RestEngine):
    await register(engine, "gil")
    token = (await log_in(engine, "gil")).json()["refresh_token"]
    for _ in range(2):
        out = await engine.request("POST", "/auth/logout", json={"refresh_token": token})
        assert (out.status_code, out.content) == (204, b"")
    problem(await refresh(engine, token), 401, "unauthenticated")


async def test_too_many_attempts_have_to_wait(database_url: str):
    async with rest_engine(database_url, Limits(attempts_burst=3, attempts_per_minute=60)) as engine:
        answers = [await log_in(engine, f"guess{n}") for n in range(4)]
        assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
        refused = problem(answers[3], 429, "rate_limited")
        assert 0 < refused["retry_after_ms"] <= 1001
        seconds = answers[3].headers["retry-after"]
        assert seconds in ("1", "2")
        assert answers[3].headers["ratelimit-policy"] == '"attempts";q=3;w=3'
        assert answers[3].headers["ratelimit"] == f'"attempts";r=0;t={seconds}'
        assert (await engine.request("GET", "/auctions")).status_code == 200


async def test_guessing_one_users_password_is_slower_still(database_url: str):
    async with rest_engine(database_url, Limits(logins_burst=2, logins_per_minute=1)) as engine:
        await register(engine, "hal")
        for _ in range(2):
            problem(await log_in(engine, "hal", "a wrong guess"), 401, "unauthenticated")
        problem(await log_in(engine, "HAL"), 429, "rate_limited")
        problem(await log_in(engine, "someone-else"), 401, "unauthenticated")


@asynccontextmanager
async def hashing_held_up(engine: RestEngine) -> AsyncIterator[None]:
    """Both places are taken for the time of the block: everybody else waits."""
    async with AsyncExitStack() as stack:
        for _ in range(AT_ONCE_MAX):
            await stack.enter_async_context(engine.services.passwords._queue.turn("somebody"))
        yield


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  counts set no event
            await asyncio.sleep(0.005)


async def test_who_logs_in_while_too_many_do_is_asked_to_retry_later(engine: RestEngine):
    await register(engine, "ivy")
    passwords = engine.services.passwords
    async with hashing_held_up(engine):
        waiting = [asyncio.create_task(log_in(engine, f"nobody{n}")) for n in range(WAITING_MAX)]
        await until(lambda: passwords.in_flight == AT_ONCE_MAX + WAITING_MAX)
        answer = await log_in(engine, "ivy")
    problem(answer, 503, "overloaded")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert {(await task).status_code for task in waiting} == {401}


async def test_many_log_ins_from_one_address_wait_behind_each_other_and_not_before_others(engine: RestEngine):
    await register(engine, "fair")
    passwords = engine.services.passwords
    elsewhere = httpx.ASGITransport(engine.app, client=("10.0.0.9", 1))
    async with httpx.AsyncClient(transport=elsewhere, base_url="http://ece/api/v1") as http:
        async with hashing_held_up(engine):
            many = [asyncio.create_task(log_in(engine, f"someone{n}")) for n in range(40)]
            await until(lambda: passwords.refused == 40 - WAITING_MAX)
            other = asyncio.create_task(http.post("/auth/login", json={"login": "fair", "password": PASSWORD}))
            # It has taken the place of one of the others.
            await until(lambda: passwords.refused == 41 - WAITING_MAX)
            assert not other.done()
        assert (await other).status_code == 200
        assert sum(not task.done() for task in many) > WAITING_MAX // 4
        assert sorted([(await task).status_code for task in many]) == [401] * (WAITING_MAX - 1) + [503] * 9
