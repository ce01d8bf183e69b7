"""API keys of bots over REST: what they permit, from where, and how they end."""

from typing import Any

import pyotp

from domain.ids import parse_id
from gateway.identity.api_keys import key_hash
from tests.rest.rest_engine import USD, Person, RestEngine
from tests.rest.test_rest_auctions import problem

DEPOSIT = {"amount": 10 * USD, "currency": "USDC"}


async def new_key(owner: Person, *scopes: str, **more: Any) -> tuple[dict[str, Any], Person]:
    """A new key, and its owner with the key for a token."""
    answer = await owner.post("/api-keys", {"name": "bot", "scopes": list(scopes)} | more)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    return made, Person(owner.engine, owner.id, owner.name, made["key"])


async def test_a_key_does_what_its_scopes_say_and_nothing_else(engine: RestEngine):
    ann, seller = await engine.person(), await engine.person()
    auction = (await seller.open_auction())["id"]
    made, bot = await new_key(ann, "bid", "account.read")
    assert (made["prefix"], made["key"][:4], len(made["key"])) == (made["key"][:12], "ece_", 47)
    assert (await bot.get("/users/me")).json()["username"] == ann.name
    assert (await bot.post(f"/auctions/{auction}/bids", {"amount": 2 * USD})).status_code == 201
    problem(await bot.post("/ledger/deposits", DEPOSIT), 403, "forbidden")
    out = {"amount": USD, "currency": "USDC", "destination": "there"}
    problem(await bot.post("/ledger/withdrawals", out), 403, "forbidden")


async def test_no_key_reaches_what_protects_the_account(engine: RestEngine):
    admin = await engine.person(role="admin")
    _, bot = await new_key(admin, "account.read", "account.write", "withdraw", "moderate", "jobs.manage")
    for method, path in (
        ("GET", "/api-keys"), ("POST", "/api-keys"), ("DELETE", "/api-keys/0000000000000"),
        ("POST", "/auth/second-factor"), ("POST", "/auth/second-factor/verify"),
        ("POST", "/auth/second-factor/disable"),
        ("GET", "/sessions"), ("DELETE", "/sessions"), ("DELETE", "/sessions/" + "0" * 32),
        ("POST", "/wallets/links"), ("DELETE", "/wallets/links/" + "1" * 32),
        ("PUT", f"/admin/users/{admin.name}/roles/admin"),
    ):  # fmt: skip
        problem(await engine.request(method, path, token=bot.token, key="k", json={}), 403, "forbidden")
    refused = await admin.post("/api-keys", {"name": "x", "scopes": ["roles.manage"]})
    problem(refused, 422, "invalid_request")


async def test_nobody_gives_a_key_more_than_they_may_do_themselves(engine: RestEngine):
    ann = await engine.person()
    answer = await ann.post("/api-keys", {"name": "x", "scopes": ["bid", "moderate"]})
    problem(answer, 403, "forbidden")
    assert answer.json()["detail"].endswith("moderate")
    _, bot = await new_key(ann, "mint", "account.read")
    await engine.services.roles.revoke(parse_id(ann.id), "minter")
    await engine.services.credentials.changes.read()
    # The key is as good as the roles of its owner are now.
    problem(await bot.post("/mints", {"copies": ["0000000000000"]}), 403, "forbidden")


async def test_only_a_hash_of_a_key_is_stored_and_the_list_shows_its_beginning(engine: RestEngine):
    ann = await engine.person()
    made, bot = await new_key(ann, "account.read")
    rows = await engine.pool.fetch("SELECT * FROM api_keys WHERE key_id = $1", parse_id(made["id"]))
    assert rows[0]["key_hash"] == key_hash(made["key"])
    everything = repr(rows) + repr(await engine.pool.fetch("SELECT details, subject FROM audit_entries"))
    assert made["key"] not in everything
    assert (await bot.get("/users/me")).status_code == 200
    (listed,) = (await ann.get("/api-keys")).json()["items"]
    assert listed == {name: value for name, value in made.items() if name != "key"} | {
        "last_used_at": listed["last_used_at"]
    }
    assert abs(listed["last_used_at"] - engine.services.now_ms()) < 60_000


async def test_a_revoked_key_is_refused_as_soon_as_the_gateway_has_read_that(engine: RestEngine):
    ann, bob = await engine.person(), await engine.person()
    made, bot = await new_key(ann, "account.read")
    assert (await bot.get("/users/me")).status_code == 200
    path = f"/api-keys/{made['id']}"
    problem(await engine.request("DELETE", path, token=bob.token), 404, "not_found")
    assert (await engine.request("DELETE", path, token=ann.token)).status_code == 204
    await engine.services.credentials.changes.read()
    problem(await bot.get("/users/me"), 401, "unauthenticated")
    problem(await engine.request("DELETE", path, token=ann.token), 404, "not_found")
    assert (await ann.get("/api-keys")).json()["items"] == []


async def test_an_expired_key_and_an_invented_one_are_refused(engine: RestEngine):
    ann = await engine.person()
    made, bot = await new_key(ann, "account.read")
    await engine.pool.execute("UPDATE api_keys SET expires_at = 1 WHERE key_id = $1", parse_id(made["id"]))
    problem(await bot.get("/users/me"), 401, "unauthenticated")
    for key in ("ece_", "ece_" + "x" * 43, made["key"] + "x", "ece_" + "é" * 43):
        answer = await engine.request("GET", "/users/me", headers={"Authorization": f"Bearer {key}".encode()})
        problem(answer, 401, "unauthenticated")


async def test_a_key_is_good_from_its_networks_only(engine: RestEngine):
    ann = await engine.person()
    _, here = await new_key(ann, "account.read", networks=["127.0.0.0/8"])
    _, elsewhere = await new_key(ann, "account.read", networks=["203.0.113.0/24", "2001:db8::/32"])
    assert (await here.get("/users/me")).status_code == 200
    problem(await elsewhere.get("/users/me"), 401, "unauthenticated")
    wrong = {"name": "x", "scopes": ["bid"], "networks": ["10.0.0.1/8"]}
    problem(await ann.post("/api-keys", wrong), 422, "invalid_request")


async def test_nobody_has_more_than_25_keys(engine: RestEngine):
    ann = await engine.person()
    for _ in range(25):
        await new_key(ann, "bid")
    problem(await ann.post("/api-keys", {"name": "x", "scopes": ["bid"]}), 409, "api_keys_full")


async def with_factor(engine: RestEngine, person: Person) -> pyotp.TOTP:
    """The person's second factor, confirmed with the code before this one."""
    check, now_ms = engine.services.wallets.second_factor, engine.services.now_ms()
    totp = pyotp.TOTP((await check.begin(parse_id(person.id), person.name, now_ms)).secret)
    await check.confirm(parse_id(person.id), totp.at(now_ms // 1000 - 30), now_ms)
    return totp


async def test_who_has_a_second_factor_shows_it_to_make_a_key_and_not_again_for_five_minutes(engine: RestEngine):
    ann = await engine.person()
    totp, body = await with_factor(engine, ann), {"name": "x", "scopes": ["bid"]}
    problem(await ann.post("/api-keys", body), 403, "second_factor_required")
    wrong = await ann.post("/api-keys", body, headers={"X-Second-Factor": "000000"})
    problem(wrong, 403, "second_factor_invalid")
    code = totp.at(engine.services.now_ms() // 1000)
    assert (await ann.post("/api-keys", body, headers={"X-Second-Factor": code})).status_code == 201
    assert (await ann.post("/api-keys", body)).status_code == 201
    # Another session of the same user has shown nothing.
    token = engine.services.tokens.issue(parse_id(ann.id), ann.name, ("collector",), engine.services.now_ms() // 1000)
    problem(await Person(engine, ann.id, ann.name, token).post("/api-keys", body), 403, "second_factor_required")
    await engine.pool.execute("UPDATE second_factor_proofs SET at = at - 300000")
    problem(await ann.post("/api-keys", body), 403, "second_factor_required")


async def test_a_session_shows_its_second_factor_for_what_follows(engine: RestEngine):
    ann = await engine.person()
    problem(await ann.post("/auth/second-factor/verify", {"code": "123456"}), 409, "second_factor_off")
    totp = await with_factor(engine, ann)
    code = totp.at(engine.services.now_ms() // 1000)
    assert (await ann.post("/auth/second-factor/verify", {"code": code})).status_code == 204
    problem(await ann.post("/auth/second-factor/verify", {"code": code}), 403, "second_factor_invalid")
    assert (await ann.post("/api-keys", {"name": "x", "scopes": ["withdraw"]})).status_code == 201
