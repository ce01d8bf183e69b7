"""Passkeys over REST, with an authenticator in software."""

import asyncio
import secrets
from typing import Any, Literal

import httpx
import pytest

from domain.ids import parse_id
from persistence.identity.passkeys import NewPasskey
from tests.rest.identity.authenticator import PRESENT, Passkey, Told, asserted, created, encoded, new_passkey
from tests.rest.identity.scene import audited, me, proved, registered, second_factor
from tests.rest.rest_engine import PASSWORD, Person, RestEngine
from tests.rest.test_rest_auctions import problem

PATH = "/auth/passkeys"


async def creation(person: Person, **proof: str) -> dict[str, Any]:
    answer = await person.post(f"{PATH}/register/options", proof or {"password": PASSWORD})
    assert answer.status_code == 200, answer.text
    options: dict[str, Any] = answer.json()["publicKey"]
    return options


async def added(person: Person, algorithm: Literal["ES256", "EdDSA"] = "ES256") -> Passkey:
    options = await creation(person)
    passkey = new_passkey(options, algorithm)
    answer = await person.post(f"{PATH}/register/verify", {"credential": created(passkey, options), "name": "key"})
    assert answer.status_code == 201, answer.text
    return passkey


async def request(engine: RestEngine) -> dict[str, Any]:
    answer = await engine.request("POST", f"{PATH}/login/options")
    assert answer.status_code == 200, answer.text
    options: dict[str, Any] = answer.json()["publicKey"]
    return options


async def verify(engine: RestEngine, credential: dict[str, Any]) -> httpx.Response:
    return await engine.request("POST", f"{PATH}/login/verify", json={"credential": credential})


async def log_in(engine: RestEngine, passkey: Passkey, told: Told | None = None, step: int = 1) -> httpx.Response:
    return await verify(engine, asserted(passkey, await request(engine), told, step))


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
async def test_a_passkey_logs_in_without_name_and_password(engine: RestEngine, algorithm: Literal["ES256", "EdDSA"]):
    ann = await registered(engine)
    passkey = await added(ann, algorithm)
    for _ in range(2):
        assert (await me(engine, (await log_in(engine, passkey)).json()))["id"] == ann.id
    assert "passkey.added" in await audited(engine, ann)


async def test_the_options_ask_for_what_is_needed(engine: RestEngine):
    ann = await registered(engine)
    passkey = await added(ann)
    options = await creation(ann)
    assert options["rp"]["id"] == "cards.example"
    assert options["user"]["name"] == ann.name
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert [one["id"] for one in options["excludeCredentials"]] == [encoded(passkey.credential_id)]
    asked = await request(engine)
    assert (asked["rpId"], asked["userVerification"]) == ("cards.example", "required")
    assert not asked.get("allowCredentials")


async def test_adding_one_needs_the_password_again_or_a_code(engine: RestEngine):
    ann = await registered(engine)
    problem(await ann.post(f"{PATH}/register/options", {}), 403, "forbidden")
    factor = await second_factor(engine, ann)
    await engine.pool.execute("UPDATE log_ins SET proved_at = NULL")
    problem(await ann.post(f"{PATH}/register/options", {"password": PASSWORD}), 403, "second_factor_required")
    assert (await ann.post(f"{PATH}/register/options", {"code": factor.code()})).status_code == 200


async def test_a_passkey_needs_no_second_factor(engine: RestEngine):
    ann = await registered(engine)
    passkey = await added(ann)
    await second_factor(engine, ann)
    assert (await log_in(engine, passkey)).status_code == 200


WRONG = [
    Told(origin="https://evil.example"), Told(origin="http://cards.example"), Told(host="evil.example"),
    Told(flags=PRESENT), Told(flags=0), Told(kind="webauthn.other"),
]  # fmt: skip


@pytest.mark.parametrize("told", WRONG)
async def test_what_is_signed_for_another_site_or_without_its_user_is_refused(engine: RestEngine, told: Told):
    ann = await registered(engine)
    options = await creation(ann)
    body = {"credential": created(new_passkey(options), options, told)}
    problem(await ann.post(f"{PATH}/register/verify", body), 403, "passkey_invalid")
    problem(await log_in(engine, await added(ann), told), 403, "passkey_invalid")
    assert "login.failed" in await audited(engine, ann)


async def test_a_challenge_is_good_once_even_in_a_race_and_after_a_failure(engine: RestEngine):
    ann = await registered(engine)
    passkey = await added(ann)
    options = await request(engine)
    answers = [asserted(passkey, options) for _ in range(4)]
    results = await asyncio.gather(*(verify(engine, one) for one in answers))
    assert sorted(result.status_code for result in results) == [200, 409, 409, 409]
    options = await request(engine)
    problem(await verify(engine, asserted(passkey, options, Told(host="evil.example"))), 403, "passkey_invalid")
    problem(await verify(engine, asserted(passkey, options)), 409, "challenge_expired")


async def test_challenges_that_nobody_gave_or_that_are_old_are_refused(engine: RestEngine):
    ann = await registered(engine)
    passkey = await added(ann)
    problem(await log_in(engine, passkey, Told(challenge=encoded(bytes(32)))), 409, "challenge_expired")
    options = await request(engine)
    await engine.pool.execute("UPDATE log_in_challenges SET expires_at = 1")
    problem(await verify(engine, asserted(passkey, options)), 409, "challenge_expired")


async def test_a_challenge_of_one_user_or_purpose_is_of_no_use_for_another(engine: RestEngine):
    ann, bob = await registered(engine), await registered(engine)
    passkey = await added(ann)
    options = await creation(ann)
    body = {"credential": created(new_passkey(options), options)}
    problem(await bob.post(f"{PATH}/register/verify", body), 409, "challenge_expired")
    options = await creation(ann)
    problem(await verify(engine, asserted(passkey, options)), 409, "challenge_expired")
    asked = await request(engine)
    body = {"credential": created(Passkey(passkey.key, passkey.user_handle), asked)}
    problem(await ann.post(f"{PATH}/register/verify", body), 409, "challenge_expired")


@pytest.mark.parametrize("step", [0, -1])
async def test_a_count_that_stays_or_goes_back_is_refused(engine: RestEngine, step: int):
    ann = await registered(engine)
    passkey = await added(ann)
    await log_in(engine, passkey, step=5)
    problem(await log_in(engine, passkey, step=step), 403, "passkey_invalid")


async def test_two_copies_that_count_the_same_do_not_both_log_in(engine: RestEngine):
    ann = await registered(engine)
    passkey = await added(ann)
    options = [await request(engine), await request(engine)]
    passkey.count = 7
    answers = await asyncio.gather(*(verify(engine, asserted(passkey, one, step=0)) for one in options))
    assert sorted(answer.status_code for answer in answers) == [200, 403]


async def test_of_two_that_were_verified_with_the_same_count_one_is_written_down(engine: RestEngine):
    ann, passkeys = await registered(engine), engine.services.ways_in.passkeys
    new = NewPasskey(secrets.token_bytes(32), b"key", 3, "key", False)
    its = (await passkeys.add(parse_id(ann.id), new, engine.services.now_ms())).passkey_id
    counts = [(4, True), (4, False), (3, False), (0, False), (5, True)]
    assert [await passkeys.used(its, count, False, 1) for count, _ in counts] == [wanted for _, wanted in counts]


async def test_an_authenticator_that_does_not_count_may_log_in(engine: RestEngine):
    passkey = await added(await registered(engine))
    for _ in range(2):
        assert (await log_in(engine, passkey, step=0)).status_code == 200


async def test_the_passkey_of_another_user_is_not_added(engine: RestEngine):
    ann, bob = await registered(engine), await registered(engine)
    passkey = await added(ann)
    options = await creation(bob)
    body = {"credential": created(passkey, options)}
    problem(await bob.post(f"{PATH}/register/verify", body), 409, "identity_taken")
    assert (await me(engine, (await log_in(engine, passkey)).json()))["id"] == ann.id


async def test_a_passkey_that_says_it_is_somebody_elses_is_refused(engine: RestEngine):
    ann, bob = await registered(engine), await registered(engine)
    passkey, other = await added(ann), await added(bob)
    passkey.user_handle = other.user_handle
    problem(await log_in(engine, passkey), 403, "passkey_invalid")
    # With the id of bob's, and the key of ann's.
    forged = Passkey(passkey.key, other.user_handle, other.credential_id)
    problem(await log_in(engine, forged), 403, "passkey_invalid")


async def test_a_passkey_that_nobody_has_is_refused(engine: RestEngine):
    ann = await registered(engine)
    problem(await log_in(engine, new_passkey(await creation(ann))), 403, "passkey_invalid")


async def test_answers_that_can_not_be_read_are_refused(engine: RestEngine):
    ann = await registered(engine)
    passkey = await added(ann)
    for name in ("clientDataJSON", "authenticatorData", "signature", "userHandle"):
        for value in ("x", "é" * 10, encoded(b"\xff" * 40), encoded(b"[" * 3_000), encoded(b"{}"), encoded(b"[]")):
            credential = asserted(passkey, await request(engine))
            credential["response"][name] = value[:200] if name == "userHandle" else value
            problem(await verify(engine, credential), 403, "passkey_invalid")
    for value in ("x", encoded(b"\xa1"), encoded(b"\x9f" * 3_000), encoded(b"\xbf" * 3_000), encoded(b"\x00")):
        options = await creation(ann)
        credential = created(new_passkey(options), options)
        credential["response"]["attestationObject"] = value
        problem(await ann.post(f"{PATH}/register/verify", {"credential": credential}), 403, "passkey_invalid")
        await engine.pool.execute("DELETE FROM log_in_challenges")
    for missing in ("authenticatorData", "signature"):
        credential = asserted(passkey, await request(engine))
        del credential["response"][missing]
        problem(await verify(engine, credential), 403, "passkey_invalid")


async def test_passkeys_are_listed_renamed_and_deleted(engine: RestEngine):
    ann, bob = await registered(engine), await registered(engine)
    passkey = await added(ann)
    (its,) = (await ann.get(PATH)).json()["items"]
    assert (its["name"], its["used_at"], its["backed_up"]) == ("key", None, False)
    path = f"{PATH}/{its['id']}"
    for method in ("PATCH", "DELETE"):
        body = {"json": {"name": "mine"}} if method == "PATCH" else {}
        await proved(bob)
        problem(await engine.request(method, path, token=bob.token, **body), 404, "not_found")
    renamed = await engine.request("PATCH", path, json={"name": "my telephone"}, token=ann.token)
    assert renamed.json()["name"] == "my telephone"
    assert (await engine.request("DELETE", path, token=ann.token)).status_code == 204
    problem(await log_in(engine, passkey), 403, "passkey_invalid")
    assert (await ann.get(PATH)).json()["items"] == []


async def test_deleting_one_needs_the_password_within_five_minutes_or_a_code(engine: RestEngine):
    ann = await registered(engine)
    await added(ann)
    (its,) = (await ann.get(PATH)).json()["items"]
    await engine.pool.execute("UPDATE log_ins SET proved_at = proved_at - 300000, started_at = 1")
    problem(await engine.request("DELETE", f"{PATH}/{its['id']}", token=ann.token), 403, "forbidden")
    problem(await ann.post("/auth/second-factor/verify", {"password": "not the password"}), 403, "forbidden")
    problem(await engine.request("DELETE", f"{PATH}/{its['id']}", token=ann.token), 403, "forbidden")
    await proved(ann)
    factor = await second_factor(engine, ann)
    # The password is no proof any more.
    problem(await engine.request("DELETE", f"{PATH}/{its['id']}", token=ann.token), 403, "second_factor_required")
    problem(await ann.post("/auth/second-factor/verify", {"password": PASSWORD}), 403, "second_factor_required")
    code = {"X-Second-Factor": factor.code()}
    assert (await engine.request("DELETE", f"{PATH}/{its['id']}", token=ann.token, headers=code)).status_code == 204


async def test_a_proof_is_good_in_its_own_session_only(engine: RestEngine):
    ann = await registered(engine)
    await added(ann)
    (its,) = (await ann.get(PATH)).json()["items"]
    answer = await engine.request("POST", "/auth/login", json={"login": ann.name, "password": PASSWORD})
    other = answer.json()["access_token"]
    problem(await engine.request("DELETE", f"{PATH}/{its['id']}", token=other), 403, "forbidden")


async def test_nobody_has_more_than_twenty(engine: RestEngine):
    ann = await registered(engine)
    for number in range(20):
        new = NewPasskey(secrets.token_bytes(32), b"key", 0, f"key {number}", False)
        await engine.services.ways_in.passkeys.add(parse_id(ann.id), new, engine.services.now_ms())
    options = await creation(ann)
    body = {"credential": created(new_passkey(options), options)}
    problem(await ann.post(f"{PATH}/register/verify", body), 409, "passkeys_full")
