"""REST calls of the Python client: typed answers, safe retries, fresh tokens. The transport is the bad network."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from ece_client import Balance, Client, ConnectionLost, Options, OutcomeUnknown, Refused, UnexpectedAnswer, register
from ece_client.auth import PasswordTokens
from ece_client.rest import Rest

URL = "http://engine"
BALANCE = {"currency": "USDC", "decimals": 6, "posted": 7, "pending": 2, "available": 5, "new_field": 1}
DEPOSIT = {"id": "d1", "state": "posted", "source": "faucet", "amount": 5, "currency": "USDC", "at": 1, "notice": "x"}
SHORT = Options(command_deadline_s=0.3)

Handler = Callable[[httpx.Request], httpx.Response]


def client(handler: Handler, **arguments: Any) -> Client:
    return Client(URL, live=False, transport=httpx.MockTransport(handler), **arguments)


def problem(status: int, code: str, **fields: Any) -> httpx.Response:
    return httpx.Response(status, json={"code": code, "title": code, "status": status, **fields})


async def test_an_answer_is_typed_and_unknown_fields_are_ignored():
    async with client(lambda _: httpx.Response(200, json={"balances": [BALANCE]})) as mine:
        assert await mine.wallet.balance() == Balance("USDC", 6, 7, 2, 5)


async def test_an_answer_of_another_form_is_told():
    async with client(lambda _: httpx.Response(200, json={"balances": [{"currency": 1}]})) as mine:
        with pytest.raises(UnexpectedAnswer):
            await mine.wallet.balance()


async def test_a_problem_is_a_refusal_with_its_code_fields_and_status():
    async with client(lambda _: problem(409, "insufficient_funds", available=1, required=2)) as mine:
        with pytest.raises(Refused) as refused:
            await mine.auctions.create("t", 1, 2)
    assert (refused.value.code, refused.value.status, refused.value.details["required"]) == (
        "insufficient_funds", 409, 2
    )  # fmt: skip


async def test_a_post_of_unknown_outcome_is_sent_again_with_the_same_key():
    requests: list[httpx.Request] = []

    def flaky(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        match len(requests):
            case 1:
                raise httpx.ReadError("reset")
            case 2:
                return problem(503, "unavailable", retry_after_ms=1)
            case 3:
                return httpx.Response(502, text="bad gateway")
            case 4:
                return problem(409, "still_running", retry_after_ms=1)
        return httpx.Response(201, json=DEPOSIT)

    async with client(flaky) as mine:
        assert (await mine.wallet.deposit(5)).id == "d1"
    assert len({request.headers["Idempotency-Key"] for request in requests}) == 1
    assert len({request.content for request in requests}) == 1
    assert len(requests) == 5


async def test_another_call_has_another_key():
    keys: list[str] = []

    def note(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        return httpx.Response(201, json=DEPOSIT)

    async with client(note) as mine:
        await mine.wallet.deposit(5)
        await mine.wallet.deposit(5)
        await mine.wallet.deposit(5, key="mine")
    assert len(set(keys)) == 3
    assert keys[2] == "mine"


async def test_at_the_deadline_an_unknown_outcome_tells_its_key_and_an_unreachable_engine_itself():
    def reset(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("reset")

    def unreachable(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    async with client(reset, options=SHORT) as mine:
        with pytest.raises(OutcomeUnknown) as unknown:
            await mine.wallet.deposit(5, key="mine")
    assert unknown.value.key == "mine"
    async with client(unreachable, options=SHORT) as mine:
        with pytest.raises(ConnectionLost):
            await mine.wallet.deposit(5)


@pytest.mark.parametrize("status", [500, 502, 504, 520, 524])
async def test_a_proxy_that_failed_does_not_say_that_nothing_happened(status: int):
    def proxy(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, text="<html>the origin has not answered</html>")

    async with client(proxy, options=SHORT) as mine:
        with pytest.raises(OutcomeUnknown) as unknown:
            await mine.wallet.deposit(5, key="mine")
    assert unknown.value.key == "mine"


async def test_all_pages_of_a_list_are_read():
    def pages(request: httpx.Request) -> httpx.Response:
        cursor = request.url.params.get("cursor")
        code = cursor or "a"
        return httpx.Response(
            200, json={"items": [{"code": code, "name": code}], "next_cursor": None if cursor else "b"}
        )

    async with client(pages) as mine:
        assert [one.code async for one in mine.catalog.sets()] == ["a", "b"]


class Accounts:
    """Logs in one user, refreshes once each, and takes only the newest access token."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.number = 0
        self.life_s = 900
        self.session_ended = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1")
        if not path.startswith("/auth/"):
            if request.headers.get("Authorization") != f"Bearer a{self.number}":
                return problem(401, "unauthenticated")
            return httpx.Response(200, json={"balances": [BALANCE]})
        self.calls.append(path.removeprefix("/auth/"))
        body = json.loads(request.content)
        if path == "/auth/refresh" and (self.session_ended or body["refresh_token"] != f"r{self.number}"):
            return problem(401, "unauthenticated")
        if path == "/auth/login" and body != {"login": "bob", "password": "pw"}:
            return problem(401, "unauthenticated")
        self.number += 1
        return httpx.Response(200, json={
            "access_token": f"a{self.number}", "refresh_token": f"r{self.number}", "expires_in": self.life_s,
            "token_type": "bearer",
        })  # fmt: skip


async def test_it_logs_in_once_and_keeps_the_token():
    accounts = Accounts()
    async with client(accounts, login="bob", password="pw") as mine:
        await mine.wallet.balance()
        await mine.wallet.balance()
    assert accounts.calls == ["login"]


async def test_a_token_is_refreshed_before_it_expires():
    accounts = Accounts()
    accounts.life_s = 0
    async with client(accounts, login="bob", password="pw") as mine:
        await mine.wallet.balance()
        await mine.wallet.balance()
    assert accounts.calls == ["login", "refresh"]


async def test_a_refused_token_is_refreshed_and_where_the_log_in_was_ended_it_logs_in_again():
    accounts = Accounts()
    async with client(accounts, login="bob", password="pw") as mine:
        await mine.wallet.balance()
        accounts.session_ended = True
        accounts.number += 1
        await mine.wallet.balance()
    assert accounts.calls == ["login", "refresh", "login"]


async def test_a_wrong_password_is_refused_at_once():
    accounts = Accounts()
    async with client(accounts, login="bob", password="wrong") as mine:
        with pytest.raises(Refused) as refused:
            await mine.wallet.balance()
    assert (refused.value.code, accounts.calls) == ("unauthenticated", ["login"])


async def test_many_calls_at_once_refresh_once():
    accounts = Accounts()
    rest = Rest(URL, None, Options(), httpx.MockTransport(accounts))
    tokens = PasswordTokens(rest, "bob", "pw")
    first = await tokens.access_token()
    assert (await tokens.renew(first.text)).text == "a2"
    assert (await tokens.renew(first.text)).text == "a2"
    assert accounts.calls == ["login", "refresh"]
    await rest.close()


async def test_passwords_and_tokens_are_in_no_text():
    accounts = Accounts()
    rest = Rest(URL, None, Options(), httpx.MockTransport(accounts))
    tokens = PasswordTokens(rest, "bob", "pw-secret")
    assert "pw-secret" not in repr(tokens)
    await rest.close()
    accounts = Accounts()
    rest = Rest(URL, None, Options(), httpx.MockTransport(accounts))
    token = await PasswordTokens(rest, "bob", "pw").access_token()
    assert token.text not in f"{token!r} {token}"
    await rest.close()


@pytest.mark.parametrize("credentials", [{"login": "bob"}, {"login": "bob", "password": "pw", "token": "t"}])
def test_credentials_are_of_one_kind(credentials: dict[str, str]):
    with pytest.raises(ValueError, match="either"):
        Client(URL, **credentials)


async def test_registering_where_nobody_is_fails_at_once():
    with pytest.raises(ConnectionLost):
        await register("http://127.0.0.1:9", email="a@example.org", username="ann", password="correct horse")
