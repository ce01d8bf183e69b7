"""Logging in by OpenID Connect, against a provider in a process of its own."""

import asyncio
import base64
import hashlib
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from gateway.identity.openid import Provider
from tests.rest.identity.scene import audited, failed_by, me, registered, second_factor
from tests.rest.rest_engine import PASSWORD, Person, RestEngine, rest_engine
from tests.rest.test_rest_auctions import problem

SERVER = Path(__file__).parents[2] / "openid_server.py"
CLIENT, SECRET = "ece-client", "a-client-secret-of-32-characters!"
CALLBACK = "https://cards.example/api/v1/auth/oidc/own/callback"
APP = "https://app.example/in"
COOKIE = "__Secure-ece_oidc"


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    process = subprocess.Popen([sys.executable, SERVER, CLIENT, SECRET, CALLBACK], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.communicate()


@dataclass
class Scene:
    """The engine, its provider, and a browser that goes from one to the other."""

    engine: RestEngine
    issuer: str
    browser: httpx.AsyncClient

    async def misbehave(self, **wrong: Any) -> None:
        answer = await self.browser.post(f"{self.issuer}/misbehave", json=wrong)
        assert answer.status_code == 200

    async def start(self, **query: str) -> tuple[str, str]:
        """(address at the provider, cookie)."""
        answer = await self.engine.request("GET", "/auth/oidc/own/start", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()["url"], cookie_of(answer)

    async def authorized(self, url: str) -> dict[str, str]:
        """What the provider sends the browser back with."""
        answer = await self.browser.get(url)
        assert answer.status_code == 302, answer.text
        location = answer.headers["location"]
        assert location.startswith(f"{CALLBACK}?")
        return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}

    async def callback(self, query: dict[str, str], cookie: str | None) -> httpx.Response:
        headers = {} if cookie is None else {"Cookie": f"{COOKIE}={cookie}"}
        return await self.engine.request("GET", "/auth/oidc/own/callback", params=query, headers=headers)

    async def log_in(self, **query: str) -> httpx.Response:
        url, cookie = await self.start(**query)
        return await self.callback(await self.authorized(url), cookie)

    async def link(self, person: Person, **proof: str) -> httpx.Response:
        begun = await person.post("/auth/oidc/own/link", proof)
        assert begun.status_code == 200, begun.text
        return await self.callback(await self.authorized(begun.json()["url"]), cookie_of(begun))


def cookie_of(answer: httpx.Response) -> str:
    header = answer.headers["set-cookie"]
    for attribute in ("HttpOnly", "Secure", "SameSite=lax", "Max-Age=600", "Path=/api/v1/auth/oidc"):
        assert attribute in header, header
    value: str = header.split(";")[0].removeprefix(f"{COOKIE}=")
    return value


@pytest.fixture
async def scene(database_url: str, issuer: str) -> AsyncIterator[Scene]:
    providers = {"own": Provider(issuer, CLIENT, SECRET)}
    async with rest_engine(database_url, providers=providers) as engine, httpx.AsyncClient() as browser:
        scene = Scene(engine, issuer, browser)
        # Each test is about somebody of its own.
        await scene.misbehave(claims=somebody())
        yield scene
        await engine.services.ways_in.providers.stop()


def somebody(**claims: Any) -> dict[str, Any]:
    subject = secrets.token_hex(8)
    return {"sub": subject, "email": f"{subject}@provider.example"} | claims


async def test_the_first_log_in_makes_an_account_and_later_ones_are_the_same(scene: Scene):
    claims = somebody()
    await scene.misbehave(claims=claims)
    first, second = await scene.log_in(), await scene.log_in()
    assert (first.status_code, second.status_code) == (200, 200), first.text
    one = await me(scene.engine, first.json())
    assert one == await me(scene.engine, second.json())
    assert one["email"] == claims["email"]
    person = Person(scene.engine, one["id"], one["username"], first.json()["access_token"])
    (its,) = (await person.get("/auth/identities")).json()["items"]
    assert (its["way"], its["provider"], its["subject"]) == ("oidc", "own", claims["sub"])
    assert (its["email"], its["email_verified"]) == (claims["email"], True)
    assert (await audited(scene.engine, person))[:3] == ["user.registered", "identity.linked", "login.succeeded"]


async def test_browsers_are_redirected_with_all_that_the_protocol_asks_for(scene: Scene):
    # As Chromium, Firefox and Safari ask for the page of a link.
    accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    answer = await scene.engine.request("GET", "/auth/oidc/own/start", headers={"Accept": accept})
    assert answer.status_code == 302
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert query.keys() == {
        "response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge",
        "code_challenge_method",
    }  # fmt: skip
    assert query["code_challenge_method"] == ["S256"]
    assert query["redirect_uri"] == [CALLBACK]


async def test_the_providers_are_listed_without_their_secrets(scene: Scene):
    answer = await scene.engine.request("GET", "/auth/oidc")
    start = "https://cards.example/api/v1/auth/oidc/own/start"
    assert answer.json() == {"items": [{"name": "own", "start": start}]}


async def test_an_address_that_is_not_verified_is_not_the_address_of_the_account(scene: Scene):
    for verified in (False, None, "true"):
        claims = somebody(email_verified=verified)
        await scene.misbehave(claims=claims)
        one = await me(scene.engine, (await scene.log_in()).json())
        assert one["email"].endswith("@no-address.invalid")


@pytest.mark.parametrize(
    "email", ["x@provisioned.invalid", "no address", "a@b@c", "x" * 300 + "@a.example", "\u202e@a.b"]
)
async def test_an_address_that_can_not_be_is_left_out(scene: Scene, email: str):
    await scene.misbehave(claims=somebody(email=email))
    one = await me(scene.engine, (await scene.log_in()).json())
    assert one["email"].endswith("@no-address.invalid")


async def test_an_account_with_the_same_address_is_not_taken_over(scene: Scene):
    ann = await registered(scene.engine)
    await scene.misbehave(claims=somebody(email=f"{ann.name}@example.org".upper()))
    problem(await scene.log_in(), 409, "email_taken")
    assert (await ann.get("/auth/identities")).json()["items"] == []
    # Signed in, ann may link it.
    linked = await scene.link(ann, password=PASSWORD)
    assert (linked.status_code, linked.json()) == (200, {"linked": "own"})
    assert (await me(scene.engine, (await scene.log_in()).json()))["id"] == ann.id


# -- ID tokens that can't be trusted

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"claims": {"nonce": "another"}}, "nonce"),
    ({"claims": {"nonce": None}}, "nonce"),
    ({"claims": {"aud": "another-client"}}, "aud"),
    ({"claims": {"aud": ["another-client"]}}, "aud"),
    ({"claims": {"aud": None}}, "aud"),
    ({"claims": {"aud": [CLIENT, "another"]}}, "azp"),
    ({"claims": {"azp": "another-client"}}, "azp"),
    ({"claims": {"iss": "https://other.example"}}, "iss"),
    ({"claims": {"iss": None}}, "iss"),
    ({"claims": {"exp": 1_700_000_000}}, "exp"),
    ({"claims": {"exp": None}}, "exp"),
    ({"claims": {"exp": "tomorrow"}}, "exp"),
    ({"claims": {"iat": 99_999_999_999}}, "iat"),
    ({"claims": {"iat": None}}, "iat"),
    ({"claims": {"sub": None}}, "sub"),
    ({"claims": {"sub": 7}}, "sub"),
    ({"claims": {"sub": "x" * 256}}, "sub"),
    ({"claims": {"sub": "a\0b"}}, "sub"),
    ({"claims": {"at_hash": "wrong"}}, "at_hash"),
    ({"algorithm": "none"}, "algorithm"),
    ({"algorithm": "HS256"}, "algorithm"),
    ({"algorithm": "RS512"}, "algorithm"),
    ({"key": "other"}, "signature"),
    ({"kid": "unknown"}, "signature"),
    ({"token": {"access_token": "x", "token_type": "Bearer"}}, "missing"),
    ({"token": {"access_token": "x", "token_type": "Bearer", "id_token": "x" * 20_000}}, "missing"),
    ({"token": {"access_token": "x", "token_type": "Bearer", "id_token": "a.b.c"}}, "token"),
]


@pytest.mark.parametrize(("wrong", "reason"), WRONG)
async def test_an_id_token_that_is_wrong_is_refused(scene: Scene, wrong: dict[str, Any], reason: str):
    await scene.misbehave(**wrong)
    answer = await scene.log_in()
    problem(answer, 403, "id_token_invalid")
    assert answer.json()["reason"] == reason
    assert "access_token" not in answer.text


async def test_new_keys_of_the_provider_are_found(scene: Scene):
    assert (await scene.log_in()).status_code == 200
    provider = scene.engine.services.ways_in.providers.named("own")
    assert provider is not None
    provider._clock_s = lambda: 1e12  # a long time later
    provider._metadata = (1e12, provider._metadata[1])  # type: ignore[index]
    await scene.misbehave(rotate=True)
    assert (await scene.log_in()).status_code == 200


async def test_the_answer_of_another_provider_is_refused(scene: Scene):
    for issuer in ("https://other.example", None):
        url, cookie = await scene.start()
        query = await scene.authorized(url)
        query = {name: value for name, value in query.items() if name != "iss"} | (
            {} if issuer is None else {"iss": issuer}
        )
        answer = await scene.callback(query, cookie)
        problem(answer, 403, "id_token_invalid")
        assert answer.json()["reason"] == "iss"


# -- states, codes, cookies


async def test_a_state_is_good_once_even_in_a_race(scene: Scene):
    url, cookie = await scene.start()
    query = await scene.authorized(url)
    answers = await asyncio.gather(*(scene.callback(query, cookie) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]


async def test_a_code_that_was_used_is_refused_by_the_provider(scene: Scene):
    url, cookie = await scene.start()
    used = await scene.authorized(url)
    assert (await scene.callback(used, cookie)).status_code == 200
    url, cookie = await scene.start()
    fresh = await scene.authorized(url)
    problem(await scene.callback(fresh | {"code": used["code"]}, cookie), 403, "provider_refused")


async def test_a_code_of_another_log_in_is_refused(scene: Scene):
    """PKCE: the verifier is of this log-in."""
    (url, _), (other, cookie) = await scene.start(), await scene.start()
    stolen, own = await scene.authorized(url), await scene.authorized(other)
    problem(await scene.callback(own | {"code": stolen["code"]}, cookie), 403, "provider_refused")


@pytest.mark.parametrize("cookie", [None, "", "another", "x" * 5_000])
async def test_another_browser_can_not_end_a_log_in(scene: Scene, cookie: str | None):
    url, _ = await scene.start()
    problem(await scene.callback(await scene.authorized(url), cookie), 409, "challenge_expired")


async def test_states_that_are_not_known_or_of_another_provider_are_refused(scene: Scene):
    _, cookie = await scene.start()
    for state in ({}, {"state": ""}, {"state": "x"}, {"state": "ü\u0000"}):
        answer = await scene.callback({"code": "x"} | state, cookie)
        problem(answer, 409, "challenge_expired")
    problem(await scene.engine.request("GET", "/auth/oidc/other/callback"), 404, "not_found")


async def test_a_user_who_says_no_is_told_so(scene: Scene):
    url, cookie = await scene.start()
    state = parse_qs(urlsplit(url).query)["state"][0]
    before = await failed_by(scene.engine, "own")
    answer = await scene.callback({"state": state, "error": "access_denied"}, cookie)
    problem(answer, 403, "provider_refused")
    assert await failed_by(scene.engine, "own") == before + 1


# -- providers that do not answer


@pytest.mark.parametrize("wrong", [{"size": 300_000}, {"status": 500}, {"status": 302}, {"token": []}, {"token": "x"}])
async def test_a_provider_that_answers_nonsense_is_unavailable(scene: Scene, wrong: dict[str, Any]):
    await scene.misbehave(**wrong)
    answer = await scene.log_in()
    assert answer.status_code in (403, 503), answer.text
    assert answer.json()["code"] in ("provider_unavailable", "provider_refused", "id_token_invalid")


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://other.example"}, {"authorization_endpoint": "https://other.example/"}, {"jwks_uri": 7},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
)  # fmt: skip
async def test_metadata_of_another_issuer_are_refused(scene: Scene, metadata: dict[str, Any]):
    await scene.misbehave(metadata=metadata)
    problem(await scene.engine.request("GET", "/auth/oidc/own/start"), 503, "provider_unavailable")


async def test_no_request_leaves_the_endpoints_of_the_issuer(scene: Scene):
    """An issuer on this machine may not send the engine elsewhere, nor may one elsewhere send it to this machine."""
    await scene.misbehave(metadata={"token_endpoint": "https://other.example/token"})
    problem(await scene.log_in(), 503, "provider_unavailable")


async def test_a_provider_that_is_not_there_is_unavailable(database_url: str):
    providers = {"own": Provider("http://127.0.0.1:9", CLIENT, SECRET)}
    async with rest_engine(database_url, providers=providers) as engine:
        problem(await engine.request("GET", "/auth/oidc/own/start"), 503, "provider_unavailable")


async def test_metadata_and_keys_are_fetched_once(scene: Scene):
    for _ in range(3):
        assert (await scene.log_in()).status_code == 200
    before = (await scene.browser.get(f"{scene.issuer}/requests")).json()
    assert (await scene.log_in()).status_code == 200
    after = (await scene.browser.get(f"{scene.issuer}/requests")).json()[len(before) :]
    assert after == ["/authorize", "/token", "/requests"]


# -- the app's page


def pkce() -> tuple[str, str]:
    verifier = secrets.token_urlsafe(32)
    digest = hashlib.sha256(verifier.encode()).digest()
    return verifier, base64.urlsafe_b64encode(digest).decode().rstrip("=")


async def test_an_app_gets_a_code_that_is_good_once_with_its_verifier(scene: Scene):
    verifier, challenge = pkce()
    answer = await scene.log_in(return_to=APP, code_challenge=challenge)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{APP}?login_code=")
    code = parse_qs(urlsplit(answer.headers["location"]).query)["login_code"][0]
    body = {"login_code": code, "verifier": verifier}
    done = await scene.engine.request("POST", "/auth/oidc/token", json=body)
    assert (await me(scene.engine, done.json()))["username"].startswith("collector_")
    problem(await scene.engine.request("POST", "/auth/oidc/token", json=body), 409, "challenge_expired")


async def test_a_code_is_of_no_use_without_its_verifier(scene: Scene):
    verifier, challenge = pkce()
    answer = await scene.log_in(return_to=APP, code_challenge=challenge)
    code = parse_qs(urlsplit(answer.headers["location"]).query)["login_code"][0]
    for tried in (pkce()[0], verifier):
        body = {"login_code": code, "verifier": tried}
        problem(await scene.engine.request("POST", "/auth/oidc/token", json=body), 409, "challenge_expired")


async def test_only_pages_that_the_operator_has_set_are_returned_to(scene: Scene):
    _, challenge = pkce()
    for page in (
        "https://evil.example/",
        APP + "/",
        APP + "?x=1",
        "https://app.example/in@evil.example",
        "//evil.example",
    ):
        query = {"return_to": page, "code_challenge": challenge}
        problem(await scene.engine.request("GET", "/auth/oidc/own/start", params=query), 422, "invalid_request")
    problem(
        await scene.engine.request("GET", "/auth/oidc/own/start", params={"return_to": APP}), 422, "invalid_request"
    )


async def test_the_page_is_told_what_went_wrong(scene: Scene):
    await scene.misbehave(claims={"nonce": "another"})
    answer = await scene.log_in(return_to=APP, code_challenge=pkce()[1])
    assert (answer.status_code, answer.headers["location"]) == (303, f"{APP}?error=id_token_invalid")


# -- second factor, linking


async def test_who_has_a_second_factor_is_asked_for_it(scene: Scene):
    tokens = (await scene.log_in()).json()
    one = await me(scene.engine, tokens)
    factor = await second_factor(scene.engine, Person(scene.engine, one["id"], one["username"], ""))
    answer = await scene.log_in()
    problem(answer, 401, "second_factor_required")
    body = {"challenge": answer.json()["challenge"], "code": factor.code()}
    done = await scene.engine.request("POST", "/auth/second-factor/login", json=body)
    assert (await me(scene.engine, done.json()))["id"] == one["id"]


async def test_an_account_of_somebody_else_is_not_linked(scene: Scene):
    ann = await registered(scene.engine)
    await scene.log_in()
    problem(await scene.link(ann, password=PASSWORD), 409, "identity_taken")


async def test_linking_needs_the_password_again_and_the_same_browser(scene: Scene):
    ann = await registered(scene.engine)
    problem(await ann.post("/auth/oidc/own/link", {}), 403, "forbidden")
    begun = await ann.post("/auth/oidc/own/link", {"password": PASSWORD})
    query = await scene.authorized(begun.json()["url"])
    problem(await scene.callback(query, "another"), 409, "challenge_expired")
    assert (await ann.get("/auth/identities")).json()["items"] == []


async def test_an_account_that_is_unlinked_logs_in_no_more(scene: Scene):
    ann = await registered(scene.engine)
    await scene.link(ann, password=PASSWORD)
    (its,) = (await ann.get("/auth/identities")).json()["items"]
    gone = await scene.engine.request("DELETE", f"/auth/identities/{its['id']}", token=ann.token)
    assert gone.status_code == 204
    assert (await me(scene.engine, (await scene.log_in()).json()))["id"] != ann.id
