"""The second factor at log-in."""

import asyncio

from tests.rest.identity.scene import audited, me, registered, second_factor
from tests.rest.rest_engine import PASSWORD, Person, RestEngine
from tests.rest.test_rest_auctions import problem


def login(person: Person, **more: str) -> dict[str, str]:
    return {"login": person.name, "password": PASSWORD, **more}


async def asked(engine: RestEngine, person: Person) -> str:
    """The challenge of a log-in by password."""
    answer = await engine.request("POST", "/auth/login", json=login(person))
    problem(answer, 401, "second_factor_required")
    challenge: str = answer.json()["challenge"]
    return challenge


async def test_a_password_alone_gets_no_tokens_once_a_second_factor_is_on(engine: RestEngine):
    ann = await registered(engine)
    factor = await second_factor(engine, ann)
    answer = await engine.request("POST", "/auth/login", json=login(ann))
    problem(answer, 401, "second_factor_required")
    assert "access_token" not in answer.text
    done = await engine.request("POST", "/auth/login", json=login(ann, code=factor.code()))
    assert (await me(engine, done.json()))["id"] == ann.id


async def test_a_factor_that_is_not_confirmed_is_not_asked_for(engine: RestEngine):
    ann = await registered(engine)
    await ann.post("/auth/second-factor", {"password": PASSWORD})
    assert (await engine.request("POST", "/auth/login", json=login(ann))).status_code == 200


async def test_a_wrong_password_does_not_say_that_there_is_a_second_factor(engine: RestEngine):
    ann = await registered(engine)
    await second_factor(engine, ann)
    body = {"login": ann.name, "password": "not the password"}
    problem(await engine.request("POST", "/auth/login", json=body), 401, "unauthenticated")
    problem(await engine.request("POST", "/auth/login", json=body | {"code": "123456"}), 401, "unauthenticated")


async def test_a_challenge_and_a_code_log_in_once(engine: RestEngine):
    ann = await registered(engine)
    factor = await second_factor(engine, ann)
    challenge = await asked(engine, ann)
    path, code = "/auth/second-factor/login", factor.code()
    problem(await engine.request("POST", path, json={"challenge": challenge, "code": "000000"}), 403,
            "second_factor_invalid")  # fmt: skip
    done = await engine.request("POST", path, json={"challenge": challenge, "code": code})
    assert (await me(engine, done.json()))["username"] == ann.name
    again = await engine.request("POST", path, json={"challenge": challenge, "code": factor.code()})
    problem(again, 409, "challenge_expired")
    assert "login.second_factor_failed" in await audited(engine, ann)


async def test_a_challenge_logs_in_also_if_the_factor_was_disabled_meanwhile(engine: RestEngine):
    ann = await registered(engine)
    factor = await second_factor(engine, ann)
    challenge = await asked(engine, ann)
    disabled = await ann.post("/auth/second-factor/disable", {"code": factor.recovery_codes[0]})
    assert disabled.status_code == 204
    body = {"challenge": challenge, "code": "123456"}
    done = await engine.request("POST", "/auth/second-factor/login", json=body)
    assert done.status_code == 200, done.text
    assert (await me(engine, done.json()))["id"] == ann.id


async def test_of_two_at_the_same_moment_one_logs_in(engine: RestEngine):
    ann = await registered(engine)
    factor = await second_factor(engine, ann)
    challenge = await asked(engine, ann)
    bodies = [{"challenge": challenge, "code": code} for code in factor.recovery_codes[:2]]
    answers = await asyncio.gather(*(engine.request("POST", "/auth/second-factor/login", json=body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_a_recovery_code_logs_in_once(engine: RestEngine):
    ann = await registered(engine)
    factor = await second_factor(engine, ann)
    body = login(ann, code=factor.recovery_codes[0])
    assert (await engine.request("POST", "/auth/login", json=body)).status_code == 200
    problem(await engine.request("POST", "/auth/login", json=body), 403, "second_factor_invalid")


async def test_five_wrong_codes_lock_the_second_factor_whatever_challenge_they_are_for(engine: RestEngine):
    ann = await registered(engine)
    factor = await second_factor(engine, ann)
    path = "/auth/second-factor/login"
    for _ in range(5):
        challenge = await asked(engine, ann)
        answer = await engine.request("POST", path, json={"challenge": challenge, "code": "000000"})
        problem(answer, 403, "second_factor_invalid")
    problem(await engine.request("POST", path, json={"challenge": challenge, "code": factor.code()}), 429,
            "rate_limited")  # fmt: skip


async def test_a_challenge_of_nobody_is_refused(engine: RestEngine):
    answer = await engine.request("POST", "/auth/second-factor/login", json={"challenge": "x", "code": "123456"})
    problem(answer, 409, "challenge_expired")
