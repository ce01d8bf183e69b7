"""Fixtures of the tests in browsers."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from browsers import NO_BROWSER, PASSWORD, Person, build_app, chromium_path
from cards import Curator
from engines import SharedEngine
from playwright.sync_api import Browser, sync_playwright

_numbers = itertools.count(1)


# Of a module: while Playwright runs, its event loop counts as running, and no asynchronous test could.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium_path()
    if path is None:
        pytest.skip(NO_BROWSER)
    build_app()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def person(engine: SharedEngine, browser: Browser) -> Iterator[Callable[..., Person]]:
    """Makes people with browsers; at the end their pages must not have reported an error."""
    made: list[Person] = []

    def make(**options: object) -> Person:
        one = Person(browser, engine.base_url, **options)
        made.append(one)
        return one

    yield make
    errors = [error for one in made for error in one.errors]
    for one in made:
        one.context.close()
    assert errors == []


@pytest.fixture
def name() -> Callable[[str], str]:
    return lambda text: f"{text}{next(_numbers)}"


@pytest.fixture(scope="module")
def curator(engine: SharedEngine) -> Iterator[Curator]:
    with httpx.Client(base_url=f"{engine.base_url}/api/v1", timeout=30, trust_env=False) as http:
        yield Curator(http, engine)


@pytest.fixture
def listed(engine: SharedEngine) -> Callable[..., str]:
    """Lists an auction of a seller of its own; its id."""

    def post(path: str, body: dict[str, Any], token: str = "") -> Any:
        headers = {"Idempotency-Key": f"web-{next(_numbers)}", "Authorization": f"Bearer {token}"}
        url = f"{engine.base_url}/api/v1{path}"
        answer = httpx.post(url, json=body, headers=headers if token else {}, timeout=30, trust_env=False)
        assert answer.is_success, answer.text
        return answer.json()

    def list_auction(**terms: Any) -> str:
        seller = f"seller{next(_numbers)}"
        post("/auth/register", {"email": f"{seller}@example.org", "username": seller, "password": PASSWORD})
        token = post("/auth/login", {"login": seller, "password": PASSWORD})["access_token"]
        body = {"title": f"A card of {seller}", "starting_price": 1_000_000, "duration_ms": 3_600_000} | terms
        return str(post("/auctions", body, token)["id"])

    return list_auction


@pytest.fixture
def post(engine: SharedEngine) -> Callable[..., dict[str, Any]]:
    """Sends a command over REST as a user, with the password of all."""

    def send(user: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        api = f"{engine.base_url}/api/v1"
        login = {"login": user, "password": PASSWORD}
        token = httpx.post(f"{api}/auth/login", json=login, timeout=30, trust_env=False).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": f"user-{next(_numbers)}"}
        answer = httpx.post(f"{api}{path}", json=body, headers=headers, timeout=30, trust_env=False)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    return send
