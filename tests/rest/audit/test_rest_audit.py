"""The audit trail over REST: what leaves entries, who may read them, and that they have no secrets."""

import re
from typing import Any

from persistence.audit.checks import AuditChecks
from tests.rest.rest_engine import PASSWORD, RestEngine
from tests.rest.test_rest_auctions import problem


async def entries(engine: RestEngine, **query: Any) -> list[dict[str, Any]]:
    someone = await engine.person(role="admin")
    answer = await someone.get("/admin/audit", params=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_it_is_for_operators(engine: RestEngine):
    ann = await engine.person()
    problem(await ann.get("/admin/audit"), 403, "forbidden")
    problem(await engine.request("GET", "/admin/audit"), 401, "unauthenticated")


async def test_registering_and_logging_in_leave_entries_without_secrets(engine: RestEngine):
    body = {"email": "aud@example.org", "username": "aud", "password": PASSWORD}
    made = await engine.request("POST", "/auth/register", json=body, headers={"X-Request-Id": "first"})
    user = made.json()["user"]["id"]
    await engine.request("POST", "/auth/login", json={"login": "aud", "password": "wrong"})
    await engine.request("POST", "/auth/login", json={"login": "my password", "password": "wrong"})
    logged_in = (await engine.request("POST", "/auth/login", json={"login": "aud", "password": PASSWORD})).json()
    await engine.request("POST", "/auth/logout", json={"refresh_token": logged_in["refresh_token"]})
    own = await entries(engine, actor=user)
    assert [item["action"] for item in own] == ["logout", "login.succeeded", "login.failed", "user.registered"]
    assert (own[-1]["request_id"], own[-1]["address"], own[-1]["actor"]) == ("first", "127.0.0.1", "aud")
    (unknown, known) = await entries(engine, action="login.failed")
    assert (unknown["actor_id"], unknown["subject"], known["actor_id"]) == (None, "", user)
    everything = repr(await engine.pool.fetch("SELECT * FROM audit_entries"))
    for secret in (PASSWORD, "my password", "wrong", logged_in["refresh_token"], logged_in["access_token"]):
        assert secret not in everything


async def test_what_operators_change_is_in_the_trail_before_it_is_done(engine: RestEngine):
    boss, ann = await engine.person(role="admin"), await engine.person()
    auction = (await ann.open_auction())["id"]
    assert (await boss.post(f"/admin/auctions/{auction}/close")).status_code == 200
    problem(await boss.post("/admin/jobs/settle/nothing/retry"), 404, "not_found")
    items = await entries(engine, actor=boss.id)
    assert [(item["action"], item["subject"]) for item in items] == [
        ("operator.retry", "settle"), ("operator.close_auction", auction),
    ]  # fmt: skip
    assert items[0]["details"] == {"kind": "settle", "key": "nothing"}


async def test_withdrawals_and_decisions_on_them_leave_entries(engine: RestEngine):
    ann, boss = await engine.person(), await engine.person(role="admin")
    await ann.post("/ledger/deposits", {"amount": 2_000_000_000, "currency": "USDC"})
    body = {"amount": 1_500_000_000, "currency": "USDC", "destination": "there"}
    asked = (await ann.post("/ledger/withdrawals", body)).json()
    if asked["state"] == "requested":
        await boss.post(f"/admin/withdrawals/{asked['id']}/reject", {"reason": "odd"})
    items = await entries(engine, subject=asked["id"])
    assert [item["action"] for item in items][-1] == "withdrawal.requested"
    assert items[-1]["details"] == {"amount": 1_500_000_000, "currency": "USDC", "destination": "there"}
    if asked["state"] == "requested":
        assert [item["action"] for item in items][:2] == ["withdrawal.decided", "operator.reject_withdrawal"]
        assert items[0]["details"]["reason"] == "odd"


async def test_pages_follow_each_other_and_times_limit_them(engine: RestEngine):
    for n in range(5):
        await engine.request("POST", "/auth/login", json={"login": f"nobody{n}", "password": "x"})
    someone = await engine.person(role="admin")
    first = (await someone.get("/admin/audit", params={"action": "login.failed", "limit": 2})).json()
    cursor = first["next_cursor"]
    second = (await someone.get("/admin/audit", params={"action": "login.failed", "limit": 2, "cursor": cursor})).json()
    ids = [item["id"] for item in first["items"] + second["items"]]
    assert (len(ids), ids) == (4, sorted(ids, reverse=True))
    newest = first["items"][0]["at"]
    assert await entries(engine, since=newest + 1, action="login.failed") == []
    assert all(item["at"] < newest for item in await entries(engine, until=newest))
    problem(await someone.get("/admin/audit", params={"actor": "nobody"}), 422, "invalid_request")
    assert re.fullmatch("[0-9a-v]{13}", ids[0])


async def test_operators_see_the_last_check_of_the_trail(engine: RestEngine):
    boss, ann = await engine.person(role="admin"), await engine.person()
    problem(await ann.get("/admin/audit/check"), 403, "forbidden")
    await AuditChecks(engine.pool).run(7)
    assert (await boss.get("/admin/audit/check")).json() == {"at": 7, "findings": []}
