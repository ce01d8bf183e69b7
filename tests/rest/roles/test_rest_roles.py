"""Admins grant and revoke roles, moderators suspend users; both count at once."""

from gateway.rest.limits import Limits
from persistence.audit.trail import Filter
from tests.rest.identity.scene import second_factor
from tests.rest.rest_engine import USD, Person, RestEngine, rest_engine
from tests.rest.test_rest_auctions import problem


async def with_role(engine: RestEngine, *roles: str) -> Person:
    """Somebody with just these roles in their token."""
    person = await engine.person()
    token = engine.services.tokens.issue(int_id(person), person.name, roles, engine.services.now_ms() // 1000)
    return Person(engine, person.id, person.name, token)


def int_id(person: Person) -> int:
    from domain.ids import parse_id

    return parse_id(person.id)


async def fresh(person: Person) -> Person:
    """The person with the token of a refresh, in the same second."""
    user = await person.engine.services.users.by_id(int_id(person))
    assert user is not None
    now_s = person.engine.services.now_ms() // 1000
    token = person.engine.services.tokens.issue(
        user.user_id, user.username, user.roles, now_s, version=user.access_version
    )
    return Person(person.engine, person.id, person.name, token)


async def changes_are_read(engine: RestEngine) -> None:
    """As a gateway does every half second."""
    await engine.services.credentials.changes.read()


async def granted(engine: RestEngine, admin: Person, name: str) -> list[str]:
    roles: list[str] = (await admin.get(f"/admin/users/{name}/roles")).json()["roles"]
    return roles


async def test_an_admin_grants_and_revokes_and_the_trail_has_it(engine: RestEngine):
    admin, ann = await engine.person(role="admin"), await engine.person()
    path = f"/admin/users/{ann.name}/roles/moderator"
    problem(await ann.get("/admin/trades/disputes"), 403, "forbidden")
    answer = await engine.request("PUT", path, token=admin.token)
    assert (answer.status_code, "moderator" in answer.json()["roles"]) == (200, True)
    assert (await (await fresh(ann)).get("/admin/trades/disputes")).status_code == 200
    assert (await engine.request("DELETE", path, token=admin.token)).status_code == 200
    assert "moderator" not in await granted(engine, admin, ann.name)
    entries = await engine.services.audit.page(Filter(subject=ann.id), 10)
    assert [(entry.action, entry.actor_id) for entry in entries if entry.action.startswith("role.")] == [
        ("role.revoked", int_id(admin)), ("role.granted", int_id(admin))
    ]  # fmt: skip


async def test_a_revoked_role_counts_before_the_token_expires(engine: RestEngine):
    admin = await engine.person(role="admin")
    bob = await engine.person(role="moderator")
    assert (await bob.get("/admin/trades/disputes")).status_code == 200
    await engine.request("DELETE", f"/admin/users/{bob.name}/roles/moderator", token=admin.token)
    await changes_are_read(engine)
    problem(await bob.get("/admin/trades/disputes"), 401, "unauthenticated")
    problem(await (await fresh(bob)).get("/admin/trades/disputes"), 403, "forbidden")


async def test_nobody_changes_their_own_roles_and_the_last_admin_stays(engine: RestEngine):
    await engine.pool.execute("UPDATE users SET roles = array_remove(roles, 'admin')")
    admin, other = await engine.person(role="admin"), await with_role(engine, "admin")
    path = f"/admin/users/{admin.name}/roles/admin"
    problem(await engine.request("DELETE", path, token=admin.token), 403, "forbidden")
    problem(await engine.request("DELETE", path, token=other.token), 409, "last_admin")
    assert "admin" in await granted(engine, other, admin.name)


async def test_moderators_grant_nothing(engine: RestEngine):
    moderator, ann = await engine.person(role="moderator"), await engine.person()
    path = f"/admin/users/{ann.name}/roles/admin"
    problem(await engine.request("PUT", path, token=moderator.token), 403, "forbidden")
    assert "admin" not in await granted(engine, moderator, ann.name)


async def test_a_role_that_is_not_given_is_missing(engine: RestEngine):
    collector = await with_role(engine, "collector")
    terms = {"title": "x", "starting_price": USD, "duration_ms": 60_000}
    problem(await collector.post("/auctions", terms), 403, "forbidden")
    problem(await collector.post("/mints", {"copies": ["0000000000000"]}), 403, "forbidden")
    assert (await collector.post("/ledger/deposits", {"amount": USD, "currency": "USDC"})).status_code == 201


async def test_a_suspended_user_reads_and_withdraws_and_does_nothing_else(engine: RestEngine):
    moderator, ann, seller = await engine.person(role="moderator"), await engine.person(), await engine.person()
    auction = (await seller.open_auction())["id"]
    await ann.post("/ledger/deposits", {"amount": 10 * USD, "currency": "USDC"})
    done = await moderator.post(f"/admin/users/{ann.name}/suspend", {"reason": "shill bids"}, key="s")
    assert done.json()["suspension"] == {"reason": "shill bids", "until": None}
    await changes_are_read(engine)
    problem(await ann.get("/ledger/balance"), 401, "unauthenticated")
    ann = await fresh(ann)
    assert (await ann.get("/users/me")).json()["roles"] == ["suspended"]
    refused = await ann.post(f"/auctions/{auction}/bids", {"amount": 2 * USD})
    problem(refused, 403, "forbidden")
    assert refused.json()["detail"] == "this account is suspended"
    out = {"amount": 5 * USD, "currency": "USDC", "destination": "there"}
    assert (await ann.post("/ledger/withdrawals", out)).status_code == 201
    kinds = [item["kind"] for item in (await ann.get("/notifications")).json()["items"]]
    assert kinds == ["account_suspended"]
    back = await moderator.post(f"/admin/users/{ann.name}/reinstate")
    assert back.json()["suspension"] is None
    again = await (await fresh(ann)).post(f"/auctions/{auction}/bids", {"amount": 2 * USD})
    assert again.status_code == 201


async def test_a_suspension_ends_at_its_time(engine: RestEngine):
    moderator, ann = await engine.person(role="moderator"), await engine.person()
    body = {"reason": "a day off", "until": engine.services.now_ms() + 86_400_000}
    await moderator.post(f"/admin/users/{ann.name}/suspend", body)
    await engine.pool.execute("UPDATE suspensions SET until = clock_ms() - 1 WHERE user_id = $1", int_id(ann))
    assert (await (await fresh(ann)).get("/users/me")).json()["roles"] == ["collector", "minter", "seller"]
    problem(await moderator.post(f"/admin/users/{ann.name}/suspend", body | {"until": 1}), 422, "invalid_request")


async def test_moderators_suspend_neither_themselves_nor_admins(engine: RestEngine):
    moderator, admin = await engine.person(role="moderator"), await engine.person(role="admin")
    for name in (moderator.name, admin.name):
        problem(await moderator.post(f"/admin/users/{name}/suspend", {"reason": "x"}), 403, "forbidden")
    assert (await admin.post(f"/admin/users/{moderator.name}/suspend", {"reason": "x"})).status_code == 200


async def test_where_operators_need_a_second_factor_they_change_nothing_without_a_fresh_code(database_url: str):
    async with rest_engine(database_url, Limits(operators_prove=True)) as engine:
        admin, ann = await engine.person(role="admin"), await engine.person()
        path = f"/admin/users/{ann.name}/roles/moderator"
        problem(await engine.request("PUT", path, token=admin.token), 409, "second_factor_off")
        problem(await admin.post("/api-keys", {"name": "x", "scopes": ["moderate"]}), 409, "second_factor_off")
        # They may look, and act for themselves.
        assert (await admin.get(f"/admin/users/{ann.name}/roles")).status_code == 200
        assert (await admin.post("/api-keys", {"name": "x", "scopes": ["bid"]})).status_code == 201
        factor = await second_factor(engine, admin)
        problem(await engine.request("PUT", path, token=admin.token), 403, "second_factor_required")
        code = {"X-Second-Factor": factor.code()}
        assert (await engine.request("PUT", path, token=admin.token, headers=code)).status_code == 200
        made = await admin.post("/api-keys", {"name": "x", "scopes": ["moderate"]})
        bot = Person(engine, admin.id, admin.name, made.json()["key"])
        bob = await engine.person()
        assert (await bot.post(f"/admin/users/{bob.name}/suspend", {"reason": "spam"})).status_code == 200
        await engine.pool.execute("DELETE FROM second_factors")
        problem(await bot.post(f"/admin/users/{bob.name}/reinstate"), 409, "second_factor_off")


async def test_moderators_see_who_is_suspended_page_by_page(engine: RestEngine):
    moderator, ann, bob = await engine.person(role="moderator"), await engine.person(), await engine.person()
    problem(await ann.get("/admin/suspensions"), 403, "forbidden")
    for person in (ann, bob):
        await moderator.post(f"/admin/users/{person.name}/suspend", {"reason": "spam"})
    await moderator.post(f"/admin/users/{bob.name}/reinstate")
    seen: list[str] = []
    query: dict[str, str] = {"limit": "1"}
    for _ in range(50):
        page = (await moderator.get("/admin/suspensions", params=query)).json()
        seen += [item["username"] for item in page["items"] if item["suspension"]["reason"] == "spam"]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert (ann.name in seen, bob.name in seen) == (True, False)
