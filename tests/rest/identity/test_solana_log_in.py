"""Sign-In With Solana over REST."""

import asyncio
import base64
from typing import Any

import httpx
import pytest
from solders.keypair import Keypair

from domain.wallets.sign_in import SignIn, message_of
from tests.rest.identity.scene import audited, failed_by, me, proved, registered, second_factor
from tests.rest.rest_engine import PASSWORD, Person, RestEngine
from tests.rest.test_rest_auctions import problem

FIELDS = {
    "domain": "domain", "statement": "statement", "uri": "uri", "version": "version", "chainId": "chain_id",
    "nonce": "nonce", "issuedAt": "issued_at", "expirationTime": "expiration_time",
}  # fmt: skip


async def challenge(engine: RestEngine, token: str | None = None) -> dict[str, Any]:
    answer = await engine.request("POST", "/auth/siws/challenge", token=token)
    assert answer.status_code == 200, answer.text
    return {FIELDS[name]: value for name, value in answer.json().items()}


def signed(pair: Keypair, message: bytes, **more: str) -> dict[str, str]:
    return {
        "address": str(pair.pubkey()),
        "message": base64.b64encode(message).decode(),
        "signature": str(pair.sign_message(message)),
    } | more


def text(pair: Keypair, fields: dict[str, Any], **changed: Any) -> bytes:
    """What a wallet makes of the input."""
    return message_of(SignIn(**(fields | {"address": str(pair.pubkey())} | changed))).encode()


async def log_in(engine: RestEngine, pair: Keypair, **more: str) -> httpx.Response:
    message = text(pair, await challenge(engine))
    return await engine.request("POST", "/auth/siws", json=signed(pair, message, **more))


async def test_the_first_log_in_makes_an_account_and_later_ones_are_the_same(engine: RestEngine):
    pair = Keypair()
    first, second = await log_in(engine, pair), await log_in(engine, pair)
    assert (first.status_code, second.status_code) == (200, 200), first.text
    one = await me(engine, first.json())
    assert one["id"] == (await me(engine, second.json()))["id"]
    assert one["username"].startswith("collector_")
    person = Person(engine, one["id"], one["username"], first.json()["access_token"])
    found = (await person.get("/auth/identities")).json()["items"]
    assert [(item["way"], item["subject"]) for item in found] == [("solana", str(pair.pubkey()))]
    assert await audited(engine, person) == [
        "user.registered", "identity.linked", "login.succeeded", "login.succeeded"
    ]  # fmt: skip


async def test_the_challenge_names_this_site(engine: RestEngine):
    fields = await challenge(engine)
    assert fields["domain"] == "cards.example"
    assert (fields["uri"], fields["version"]) == ("https://cards.example", "1")


async def test_a_new_account_has_the_name_that_is_asked_for(engine: RestEngine):
    pair = Keypair()
    done = await log_in(engine, pair, username="moon-walker")
    assert (await me(engine, done.json()))["username"] == "moon-walker"
    problem(await log_in(engine, Keypair(), username="Moon-Walker"), 409, "username_taken")


async def test_a_name_that_is_taken_leaves_the_challenge_good(engine: RestEngine):
    ann, pair = await registered(engine), Keypair()
    message = text(pair, await challenge(engine))
    taken = await engine.request("POST", "/auth/siws", json=signed(pair, message, username=ann.name))
    problem(taken, 409, "username_taken")
    assert (await engine.request("POST", "/auth/siws", json=signed(pair, message))).status_code == 200


@pytest.mark.parametrize("known", [False, True])
async def test_a_nonce_is_good_once_even_in_a_race(engine: RestEngine, known: bool):
    pair = Keypair()
    if known:
        await log_in(engine, pair)
    body = signed(pair, text(pair, await challenge(engine)))
    answers = await asyncio.gather(*(engine.request("POST", "/auth/siws", json=body) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    problem(await engine.request("POST", "/auth/siws", json=body), 409, "challenge_expired")


async def test_a_wallet_that_registers_twice_at_the_same_moment_has_one_account(engine: RestEngine):
    pair = Keypair()
    answers = await asyncio.gather(*(log_in(engine, pair) for _ in range(4)))
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({(await me(engine, answer.json()))["id"] for answer in answers}) == 1


CHANGES = [
    {"domain": "evil.example"}, {"uri": "https://evil.example"}, {"statement": "Give me all."}, {"version": "2"},
    {"chain_id": "solana:mainnet"}, {"issued_at": "2020-01-01T00:00:00.000Z"}, {"not_before": "2020-01-01T00:00:00Z"},
    {"expiration_time": "2099-01-01T00:00:00.000Z"}, {"request_id": "1"}, {"resources": ("https://evil.example",)},
    {"expiration_time": None}, {"statement": None},
]  # fmt: skip


@pytest.mark.parametrize("changed", CHANGES)
async def test_a_text_with_another_field_is_refused(engine: RestEngine, changed: dict[str, Any]):
    pair = Keypair()
    message = text(pair, await challenge(engine), **changed)
    problem(await engine.request("POST", "/auth/siws", json=signed(pair, message)), 422, "signature_invalid")


async def test_a_nonce_of_nobody_is_refused(engine: RestEngine):
    pair = Keypair()
    for changed in ({"nonce": "f" * 32}, {"nonce": None}):
        message = text(pair, await challenge(engine), **changed)
        problem(await engine.request("POST", "/auth/siws", json=signed(pair, message)), 409, "challenge_expired")


@pytest.mark.parametrize(
    "broken",
    [
        lambda message: message.replace(b"\nNonce: ", b"\nNonce: 1\nNonce: "),
        lambda message: message.replace(b"\nVersion: 1", b"").replace(b"URI: ", b"Version: 1\nURI: "),
        lambda message: message + b"\n",
        lambda message: message + b"\nColour: red",
        lambda message: message.replace(b"\n\n", b"\n\n\n"),
        lambda message: message.replace(b"URI: ", b"uri: "),
        lambda message: message + b"\xff",
        lambda message: b"hello",
    ],
)
async def test_a_text_that_is_not_as_it_has_to_be_is_refused(engine: RestEngine, broken: Any):
    pair = Keypair()
    message = broken(text(pair, await challenge(engine)))
    problem(await engine.request("POST", "/auth/siws", json=signed(pair, message)), 422, "signature_invalid")


async def test_a_signature_of_another_wallet_or_over_other_bytes_is_refused(engine: RestEngine):
    pair, other = Keypair(), Keypair()
    message = text(pair, await challenge(engine))
    good = signed(pair, message)
    for changed in (
        {"signature": str(other.sign_message(message))}, {"signature": str(pair.sign_message(message + b" "))},
        {"address": str(other.pubkey())}, {"signature": "1" * 64}, {"message": good["message"] + "!"},
    ):  # fmt: skip
        problem(await engine.request("POST", "/auth/siws", json=good | changed), 422, "signature_invalid")
    assert (await engine.request("POST", "/auth/siws", json=good)).status_code == 200


async def test_an_expired_challenge_is_refused_and_the_failure_recorded(engine: RestEngine):
    pair = Keypair()
    message = text(pair, await challenge(engine))
    await engine.pool.execute("UPDATE log_in_challenges SET expires_at = 1")
    before = await failed_by(engine, "solana")
    problem(await engine.request("POST", "/auth/siws", json=signed(pair, message)), 409, "challenge_expired")
    assert await failed_by(engine, "solana") == before + 1


async def test_who_has_a_second_factor_is_asked_for_it(engine: RestEngine):
    pair = Keypair()
    tokens = (await log_in(engine, pair)).json()
    one = await me(engine, tokens)
    factor = await second_factor(engine, Person(engine, one["id"], one["username"], ""))
    answer = await log_in(engine, pair)
    problem(answer, 401, "second_factor_required")
    body = {"challenge": answer.json()["challenge"], "code": factor.code()}
    done = await engine.request("POST", "/auth/second-factor/login", json=body)
    assert (await me(engine, done.json()))["id"] == one["id"]
    assert (await log_in(engine, pair, code=factor.code())).status_code == 200


# -- linking


async def link(engine: RestEngine, person: Person, pair: Keypair, **proof: str) -> httpx.Response:
    message = text(pair, await challenge(engine, person.token))
    return await person.post("/auth/siws/link", signed(pair, message, **proof))


async def test_a_linked_wallet_logs_in_to_that_account(engine: RestEngine):
    ann, pair = await registered(engine), Keypair()
    assert (await link(engine, ann, pair, password=PASSWORD)).status_code == 204
    assert (await me(engine, (await log_in(engine, pair)).json()))["id"] == ann.id


async def test_linking_needs_the_password_again(engine: RestEngine):
    ann, pair = await registered(engine), Keypair()
    problem(await link(engine, ann, pair), 403, "forbidden")
    problem(await link(engine, ann, pair, password="not the password"), 403, "forbidden")
    await second_factor(engine, ann)
    problem(await link(engine, ann, pair, password=PASSWORD), 403, "second_factor_required")


async def test_a_text_that_logs_in_does_not_link_and_the_other_way_round(engine: RestEngine):
    ann, bob, pair = await registered(engine), await registered(engine), Keypair()
    for asked_by, used_by in ((None, ann.token), (bob.token, ann.token), (ann.token, None)):
        message = text(pair, await challenge(engine, asked_by))
        proof = {} if used_by is None else {"password": PASSWORD}
        path = "/auth/siws" if used_by is None else "/auth/siws/link"
        answer = await engine.request("POST", path, json=signed(pair, message, **proof), token=used_by)
        problem(answer, 409, "challenge_expired")


async def test_a_wallet_of_another_account_is_not_linked(engine: RestEngine):
    ann, pair = await registered(engine), Keypair()
    await log_in(engine, pair)
    problem(await link(engine, ann, pair, password=PASSWORD), 409, "identity_taken")


async def test_the_last_way_in_stays(engine: RestEngine):
    pair, second = Keypair(), Keypair()
    tokens = (await log_in(engine, pair)).json()
    one = await me(engine, tokens)
    person = Person(engine, one["id"], one["username"], tokens["access_token"])
    (only,) = (await person.get("/auth/identities")).json()["items"]
    refused = await engine.request("DELETE", f"/auth/identities/{only['id']}", token=person.token)
    problem(refused, 409, "last_way_in")
    # Without a password the log-in of a moment ago is the proof.
    assert (await link(engine, person, second)).status_code == 204
    gone = await engine.request("DELETE", f"/auth/identities/{only['id']}", token=person.token)
    assert gone.status_code == 204
    assert (await me(engine, (await log_in(engine, pair)).json()))["id"] != person.id
    assert "identity.unlinked" in await audited(engine, person)


async def test_of_two_ways_that_are_unlinked_at_the_same_moment_one_stays(engine: RestEngine):
    pair, second = Keypair(), Keypair()
    tokens = (await log_in(engine, pair)).json()
    one = await me(engine, tokens)
    person = Person(engine, one["id"], one["username"], tokens["access_token"])
    await link(engine, person, second)
    items = (await person.get("/auth/identities")).json()["items"]
    answers = await asyncio.gather(
        *(engine.request("DELETE", f"/auth/identities/{item['id']}", token=person.token) for item in items)
    )
    assert sorted(answer.status_code for answer in answers) == [204, 409]


async def test_without_a_password_an_old_log_in_is_no_proof(engine: RestEngine):
    tokens = (await log_in(engine, Keypair())).json()
    one = await me(engine, tokens)
    person = Person(engine, one["id"], one["username"], tokens["access_token"])
    await engine.pool.execute("UPDATE log_ins SET started_at = started_at - 300000")
    problem(await link(engine, person, Keypair()), 403, "forbidden")
    (its,) = (await person.get("/auth/identities")).json()["items"]
    problem(await engine.request("DELETE", f"/auth/identities/{its['id']}", token=person.token), 403, "forbidden")


async def test_nobody_unlinks_what_is_not_theirs(engine: RestEngine):
    ann, bob = await registered(engine), await registered(engine)
    await link(engine, ann, Keypair(), password=PASSWORD)
    (its,) = (await ann.get("/auth/identities")).json()["items"]
    await proved(bob)
    problem(await engine.request("DELETE", f"/auth/identities/{its['id']}", token=bob.token), 404, "not_found")


async def test_who_has_no_password_is_nobody_that_replays_may_act_as(engine: RestEngine):
    done = await log_in(engine, Keypair(), username="no-password-here")
    assert done.status_code == 200
    with pytest.raises(Exception, match="belongs to somebody"):
        await engine.services.users.provision(["no-password-here"])
