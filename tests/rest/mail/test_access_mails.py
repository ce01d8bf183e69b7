"""Users are mailed when a way to log in, a second factor or an API key came or went, and asked for their factor."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from domain.ids import parse_id
from persistence.identity.api_keys import REMINDED_BEFORE_MS, ApiKeys
from persistence.identity.identities import Claim
from persistence.identity.passkeys import NewPasskey, Passkeys
from tests.rest.identity.scene import registered, second_factor
from tests.rest.mail.mailing import Post
from tests.rest.rest_engine import PASSWORD, Person, RestEngine
from tests.rest.test_rest_auctions import problem

NOW = 1_800_000_000_000
DAY_MS = 86_400_000
SUBJECT = "How you log in was changed"


async def an_api_key(engine: RestEngine, person: Person) -> Callable[[], Awaitable[Any]]:
    answer = await person.post("/api-keys", {"name": "bot", "scopes": ["account.read"]})
    assert answer.status_code == 201, answer.text
    return lambda: engine.request("DELETE", f"/api-keys/{answer.json()['id']}", token=person.token)


async def a_second_factor(engine: RestEngine, person: Person) -> Callable[[], Awaitable[Any]]:
    factor = await second_factor(engine, person)
    return lambda: person.post("/auth/second-factor/disable", {"code": factor.code()})


async def a_passkey(engine: RestEngine, person: Person) -> Callable[[], Awaitable[Any]]:
    passkeys, user = Passkeys(engine.pool), parse_id(person.id)
    added = await passkeys.add(user, NewPasskey(person.name.encode(), b"key", 0, "Phone", False), NOW)
    return lambda: passkeys.remove(user, added.passkey_id)


async def an_identity(engine: RestEngine, person: Person) -> Callable[[], Awaitable[Any]]:
    identities, user = engine.services.ways_in.identities, parse_id(person.id)
    claim = Claim("oidc", "https://issuer.example", person.name, "own")
    await identities.link(user, claim, NOW)
    # Linked already: nothing changes.
    await identities.link(user, claim, NOW)
    [linked] = await identities.of(user)
    return lambda: identities.unlink(user, linked.identity_id)


@pytest.mark.parametrize("add", [an_api_key, a_second_factor, a_passkey, an_identity])
async def test_a_user_is_mailed_when_one_is_added_and_when_it_is_removed(engine: RestEngine, post: Post, add: Any):
    person = await registered(engine)

    async def mailed() -> list[str]:
        return [mail.text for mail in await post.mails(f"{person.name}@example.org") if mail.subject == SUBJECT]

    remove = await add(engine, person)
    [text] = await mailed()
    assert f"Hello {person.name}" in text
    assert "/settings/security" in text
    await remove()
    assert len(await mailed()) == 2


async def test_a_log_in_from_another_device_is_mailed_and_one_from_a_known_device_is_not(
    engine: RestEngine, post: Post
):
    person = await registered(engine)

    async def logs_in(user_agent: str) -> int:
        body = {"login": person.name, "password": PASSWORD}
        answer = await engine.request("POST", "/auth/login", json=body, headers={"User-Agent": user_agent})
        assert answer.status_code == 200, answer.text
        mails = await post.mails(f"{person.name}@example.org")
        return sum(mail.subject == "A log-in from another device" for mail in mails)

    firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:{0}.0) Gecko/20100101 Firefox/{0}.0"
    assert await logs_in(firefox.format(128)) == 1
    # Another version is no other device.
    assert await logs_in(firefox.format(129)) == 1
    assert await logs_in("curl/8.5.0") == 2
    # Who has no session left is told nothing: there is nothing to compare with.
    await engine.services.sessions.end_others(parse_id(person.id), None)
    assert await logs_in("another/1.0") == 2


async def test_the_owner_of_an_api_key_that_expires_soon_is_mailed_once(engine: RestEngine, post: Post):
    person, keys = await registered(engine), ApiKeys(engine.pool)
    lives_ms = {"first": 90 * DAY_MS, "second": 90 * DAY_MS, "short": 10 * DAY_MS, "revoked": 90 * DAY_MS}
    made = {}
    for name, lives in lives_ms.items():
        body = {"name": name, "scopes": ["account.read"], "expires_in_ms": lives}
        made[name] = (await person.post("/api-keys", body)).json()
    await engine.request("DELETE", f"/api-keys/{made['revoked']['id']}", token=person.token)
    expires_at = made["first"]["expires_at"]

    async def mailed() -> int:
        mails = await post.mails(f"{person.name}@example.org")
        return sum(mail.subject == "An API key expires soon" for mail in mails)

    for at, expected in ((made["short"]["expires_at"] - 1, 0), (expires_at - REMINDED_BEFORE_MS - 60_000, 0)):
        await keys.remind(at)
        assert await mailed() == expected
    for at in (expires_at - REMINDED_BEFORE_MS + 60_000, expires_at - 60_000):
        await keys.remind(at)
        assert await mailed() == 1


async def test_a_reset_password_does_not_take_the_second_factor_away(engine: RestEngine, post: Post):
    person = await registered(engine)
    factor, address = await second_factor(engine, person), f"{person.name}@example.org"
    await post.mails(address)
    await engine.request("POST", "/auth/password/forgot", json={"email": address})
    body = {"token": await post.token(address), "new_password": "another horse altogether"}
    assert (await engine.request("POST", "/auth/password/reset", json=body)).status_code == 204
    login = {"login": person.name, "password": body["new_password"]}
    problem(await engine.request("POST", "/auth/login", json=login), 401, "second_factor_required")
    answer = await engine.request("POST", "/auth/login", json=login | {"code": factor.code()})
    assert answer.status_code == 200, answer.text
