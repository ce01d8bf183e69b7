"""Profiles, preferences, follows and what followers are notified of, over REST on the real PostgreSQL."""

from typing import Any

import pytest

from actors.workers.notify import NotifyFollowers, NotifyUsers
from persistence.notifications import followers
from persistence.notifications.alerts import Alerts
from persistence.notifications.followers import FollowerAlerts
from persistence.profiles import follows
from tests.job_runs import run_due
from tests.rest.rest_engine import Person, RestEngine
from tests.rest.test_rest_auctions import problem


async def send(person: Person, method: str, path: str, body: Any = None) -> Any:
    return await person.engine.request(method, path, token=person.token, json=body)


async def kinds_of(person: Person) -> list[str]:
    return [item["kind"] for item in (await person.get("/notifications")).json()["items"]]


async def notify(engine: RestEngine) -> None:
    now_ms = engine.services.now_ms
    for job in (
        NotifyUsers(Alerts(engine.pool), now_ms, lambda *_: None),
        NotifyFollowers(FollowerAlerts(engine.pool), now_ms, lambda *_: None),
    ):
        await run_due(engine.pool, job)


async def test_a_profile_is_public_and_changes_field_by_field(engine: RestEngine):
    ann, bob = await engine.person(), await engine.person()
    changed = await send(ann, "PATCH", "/users/me/profile", {"display_name": " Ann  of Kanto ", "bio": "Cards"})
    assert changed.status_code == 200, changed.text
    await send(ann, "PATCH", "/users/me/profile", {"bio": None})
    seen = (await bob.get(f"/users/{ann.name}")).json()
    assert (seen["id"], seen["username"], seen["display_name"], seen["bio"]) == (ann.id, ann.name, "Ann of Kanto", None)
    assert seen["counts"] == {"copies": 0, "followers": 0, "following": 0, "trades": 0, "sales": 0}


async def test_users_are_found_by_the_beginning_of_their_names(engine: RestEngine):
    ann = await engine.person()
    await send(ann, "PATCH", "/users/me/profile", {"display_name": "Ann of Kanto"})
    bob = await engine.person()
    for name in ("Zed-9", "zed_Zero", "Zedx", "other_zed"):
        await engine.services.users.create(name, f"{name}@example.org", "x")

    async def found(person: Person, part: str, **query: int) -> list[str]:
        answer = await person.get("/users", params={"q": part, **query})
        assert answer.status_code == 200, answer.text
        return [item["username"] for item in answer.json()["items"]]

    assert await found(bob, "ZED") == ["Zed-9", "zed_Zero", "Zedx"]
    assert await found(bob, "zed_") == ["zed_Zero"]
    assert await found(bob, "zed", limit=1) == ["Zed-9"]
    assert await found(bob, "nobody") == []
    [item] = (await bob.get("/users", params={"q": ann.name})).json()["items"]
    assert item == {"id": ann.id, "username": ann.name, "display_name": "Ann of Kanto", "avatar": None}
    assert ann.name not in await found(ann, ann.name)
    assert (await engine.request("GET", "/users?q=zed")).status_code == 401
    for part in ("z", "z%", "a b", "\u0130x"):
        problem(await bob.get("/users", params={"q": part}), 422, "invalid_request")


async def test_names_of_the_house_and_of_others_and_unknown_images_are_refused(engine: RestEngine):
    ann = await engine.person()
    await engine.services.users.create("mike_of_kanto", "mike@kanto.example", "x")
    path = "/users/me/profile"
    problem(await send(ann, "PATCH", path, {"display_name": "Supp0rt"}), 422, "invalid_request")
    problem(await send(ann, "PATCH", path, {"display_name": "M1ke_of_Kanto"}), 409, "username_taken")
    problem(await send(ann, "PATCH", path, {"avatar": "bafkreinothing"}), 422, "invalid_request")


async def test_preferences_have_defaults_and_types(engine: RestEngine):
    ann, bob = await engine.person(), await engine.person()
    path = "/users/me/preferences"
    changed = await send(ann, "PATCH", path, {"time_zone": "Europe/Berlin", "private_collection": True})
    assert changed.json() == {
        "locale": "en", "time_zone": "Europe/Berlin", "currency": "USDC", "private_collection": True,
        "private_follows": False, "private_wins": False, "quiet_from": None, "quiet_until": None,
        "confirm_bids_above": 100_000_000,
    }  # fmt: skip
    assert (await bob.get(f"/users/{ann.name}")).json()["counts"]["copies"] is None
    problem(await bob.get(f"/users/{ann.name}/copies"), 403, "forbidden")
    assert (await ann.get(f"/users/{ann.name}/copies")).status_code == 200
    problem(await send(ann, "PATCH", path, {"time_zone": "Mars/Base"}), 422, "invalid_request")
    problem(await send(ann, "PATCH", path, {"confirm_bids_above": -1}), 422, "invalid_request")
    never = await send(ann, "PATCH", path, {"confirm_bids_above": None})
    assert (never.json()["confirm_bids_above"], never.json()["time_zone"]) == (None, "Europe/Berlin")


async def test_follows_are_listed_and_a_block_ends_them_both_ways(engine: RestEngine):
    ann, bob = await engine.person(), await engine.person()
    for one, other in ((ann, bob), (bob, ann), (ann, bob)):
        assert (await send(one, "PUT", f"/users/me/following/{other.name}")).status_code == 204
    assert [item["username"] for item in (await ann.get("/users/me/followers")).json()["items"]] == [bob.name]
    assert [item["username"] for item in (await ann.get("/users/me/following")).json()["items"]] == [bob.name]
    await send(ann, "PUT", f"/users/me/blocks/{bob.name}")
    assert (await bob.get("/users/me/following")).json()["items"] == []
    assert (await ann.get("/users/me/following")).json()["items"] == []
    problem(await send(bob, "PUT", f"/users/me/following/{ann.name}"), 403, "user_blocked")
    problem(await send(ann, "PUT", f"/users/me/following/{ann.name}"), 422, "invalid_request")


async def test_nobody_follows_too_many(engine: RestEngine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(follows, "FOLLOWING_MAX", 1)
    ann, bob, cid = [await engine.person() for _ in range(3)]
    assert (await send(ann, "PUT", f"/users/me/following/{bob.name}")).status_code == 204
    problem(await send(ann, "PUT", f"/users/me/following/{cid.name}"), 409, "follows_full")


async def test_what_a_seller_lists_notifies_all_followers_once_page_by_page(
    engine: RestEngine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(followers, "FOLLOWERS_PAGE", 2)
    seller, *fans = [await engine.person() for _ in range(6)]
    for fan in fans:
        await send(fan, "PUT", f"/users/me/following/{seller.name}")
    await send(fans[3], "PUT", f"/users/me/mutes/{seller.name}")
    off = {"kinds": {"seller_listed": {"in_app": False, "email": False}}}
    assert (await send(fans[4], "PATCH", "/users/me/notification-preferences", off)).status_code == 200
    await seller.open_auction(title="Shiny")
    await notify(engine)
    assert [await kinds_of(fan) for fan in fans] == [["seller_listed"]] * 3 + [[], []]
