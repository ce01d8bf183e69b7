"""Linking outside wallets, and the second factor, over REST."""

import base64
from typing import Any

import httpx
import pyotp
import pytest
from solders.keypair import Keypair

from domain.wallets.second_factor import STEP_MS
from domain.wallets.sign_in import message_of, parse
from tests.rest.rest_engine import PASSWORD, USD, Person, RestEngine
from tests.rest.test_rest_auctions import problem

OUT = {"currency": "USDC", "destination": str(Keypair().pubkey())}


async def challenge(person: Person, address: object) -> dict[str, Any]:
    answer = await person.post("/wallets/challenges", {"address": str(address)})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def link(person: Person, pair: Keypair, message: bytes, key: str | None = None) -> httpx.Response:
    body = {
        "address": str(pair.pubkey()),
        "message": base64.b64encode(message).decode(),
        "signature": str(pair.sign_message(message)),
    }
    return await person.post("/wallets/links", body, key=key)


async def test_a_wallet_is_linked_by_its_signature_over_the_challenge(engine: RestEngine):
    ann, pair = await engine.person(), Keypair()
    asked = await challenge(ann, pair.pubkey())
    assert asked["message"].startswith("cards.example wants you to sign in with your Solana account:\n")
    assert f"Link this wallet to the account {ann.name}." in asked["message"]
    assert asked["input"]["nonce"] == asked["nonce"]
    assert asked["input"]["chainId"] == "solana:localnet"
    answers = [await link(ann, pair, asked["message"].encode(), key="link") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    linked = answers[0].json()
    assert linked["address"] == str(pair.pubkey())
    again = await link(ann, pair, asked["message"].encode())
    assert (again.status_code, again.json()) == (201, linked)
    listed = (await ann.get("/wallets")).json()
    assert listed["links"] == [linked]
    assert listed == (await ann.get("/wallets")).json()
    assert listed["custodial"]["address"] != str(pair.pubkey())


async def test_a_message_that_is_not_the_challenge_links_nothing(engine: RestEngine):
    ann, eve, pair = await engine.person(), await engine.person(), Keypair()
    asked = (await challenge(ann, pair.pubkey()))["message"]
    for old, new in (
        ("cards.example wants", "evil.example wants"), (ann.name, eve.name), ("https://cards", "http://cards"),
        ("localnet", "mainnet"), ("Version: 1", "Version: 2"), ("Issued At: 2", "Issued At: 3"),
    ):  # fmt: skip
        assert old in asked
        problem(await link(ann, pair, asked.replace(old, new, 1).encode()), 422, "signature_invalid")
    problem(await link(ann, pair, asked.encode() + b"\n"), 422, "signature_invalid")
    problem(await link(ann, pair, b"hello"), 422, "signature_invalid")
    problem(await link(ann, Keypair(), asked.encode()), 422, "signature_invalid")
    problem(await link(eve, pair, asked.encode()), 409, "challenge_expired")
    assert (await ann.get("/wallets")).json()["links"] == []
    assert (await link(ann, pair, asked.encode())).status_code == 201


async def test_a_challenge_for_another_address_of_the_same_user_is_refused(engine: RestEngine):
    ann, one, two = await engine.person(), Keypair(), Keypair()
    asked = parse((await challenge(ann, one.pubkey()))["message"])
    problem(await link(ann, two, message_of(asked).encode()), 422, "signature_invalid")


async def test_a_wallet_of_another_account_is_refused_until_it_is_unlinked(engine: RestEngine):
    ann, bob, pair = await engine.person(), await engine.person(), Keypair()
    assert (await link(ann, pair, (await challenge(ann, pair.pubkey()))["message"].encode())).status_code == 201
    problem(await link(bob, pair, (await challenge(bob, pair.pubkey()))["message"].encode()), 409, "wallet_taken")
    path = f"/wallets/links/{pair.pubkey()}"
    problem(await engine.request("DELETE", path, token=bob.token), 404, "not_found")
    assert (await engine.request("DELETE", path, token=ann.token)).status_code == 204
    assert (await link(bob, pair, (await challenge(bob, pair.pubkey()))["message"].encode())).status_code == 201


@pytest.mark.parametrize("address", ["0" * 40, "1" * 32, "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA", "z" * 44])
async def test_no_challenge_for_what_is_no_wallet(engine: RestEngine, address: str):
    ann = await engine.person()
    answer = await ann.post("/wallets/challenges", {"address": address})
    assert (answer.status_code, answer.json()["code"]) in [(422, "invalid_address"), (422, "invalid_request")]


async def test_wallets_need_a_user_and_a_key(engine: RestEngine):
    problem(await engine.request("GET", "/wallets"), 401, "unauthenticated")
    ann = await engine.person()
    body = {"address": str(Keypair().pubkey())}
    answer = await engine.request("POST", "/wallets/challenges", token=ann.token, json=body)
    problem(answer, 400, "idempotency_key_missing")


async def registered(engine: RestEngine, name: str) -> Person:
    body = {"email": f"{name}@example.org", "username": name, "password": PASSWORD}
    assert (await engine.request("POST", "/auth/register", json=body)).status_code == 201
    tokens = await engine.request("POST", "/auth/login", json={"login": name, "password": PASSWORD})
    me = await engine.request("GET", "/users/me", token=tokens.json()["access_token"])
    return Person(engine, me.json()["id"], name, tokens.json()["access_token"])


async def test_withdrawals_need_a_code_once_a_second_factor_is_on(engine: RestEngine):
    ann = await registered(engine, "annabel")
    assert (await ann.post("/ledger/deposits", {"amount": 50 * USD, "currency": "USDC"})).status_code == 201
    problem(await ann.post("/auth/second-factor", {"password": "not it, really"}), 403, "forbidden")
    secret = (await ann.post("/auth/second-factor", {"password": PASSWORD})).json()["secret"]
    totp, now_s = pyotp.TOTP(secret), engine.services.now_ms() // 1000
    codes = (await ann.post("/auth/second-factor/confirm", {"code": totp.at(now_s)})).json()["recovery_codes"]
    assert (await ann.get("/auth/second-factor")).json() == {"state": "on", "recovery_codes_left": 10}

    body = {**OUT, "amount": USD}
    problem(await ann.post("/ledger/withdrawals", body), 403, "second_factor_required")
    used = {"X-Second-Factor": totp.at(now_s)}
    problem(await ann.post("/ledger/withdrawals", body, headers=used), 403, "second_factor_invalid")
    good = {"X-Second-Factor": totp.at(now_s + STEP_MS // 1000)}
    made = await ann.post("/ledger/withdrawals", body, key="out", headers=good)
    assert made.status_code == 201, made.text
    # The same request again, when the code is used up, is the same withdrawal.
    again = await ann.post("/ledger/withdrawals", body, key="out", headers=good)
    assert again.json() == made.json()
    assert len((await ann.get("/ledger/withdrawals")).json()["items"]) == 1
    answer = await ann.post("/auth/second-factor/disable", {"code": codes[0]})
    assert answer.status_code == 204, answer.text


async def test_a_request_without_its_code_may_be_sent_again_with_it_under_the_same_key(engine: RestEngine):
    ann = await registered(engine, "annika")
    assert (await ann.post("/ledger/deposits", {"amount": 50 * USD, "currency": "USDC"})).status_code == 201
    secret = (await ann.post("/auth/second-factor", {"password": PASSWORD})).json()["secret"]
    now_s = engine.services.now_ms() // 1000
    await ann.post("/auth/second-factor/confirm", {"code": pyotp.TOTP(secret).at(now_s - 30)})
    body = {**OUT, "amount": USD}
    problem(await ann.post("/ledger/withdrawals", body, key="k"), 403, "second_factor_required")
    good = {"X-Second-Factor": pyotp.TOTP(secret).at(now_s + 30)}
    assert (await ann.post("/ledger/withdrawals", body, key="k", headers=good)).status_code == 201
