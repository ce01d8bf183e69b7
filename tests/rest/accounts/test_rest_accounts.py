"""Exports of one's data and the deletion of an account, over REST, with the jobs that do the work."""

import csv
import io
import json
import zipfile
from functools import partial
from typing import Any

import msgspec
import pytest

from actors.workers.accounts import EXPORT_BYTES_MAX, DeleteUsers, ExportUsers
from domain.ids import id_text, parse_id
from persistence.accounts.collecting import BY_HAND, user_data
from persistence.accounts.deletions import NAME_HELD_MS, Deletions
from persistence.accounts.exports import KEPT_MS, Exports
from persistence.accounts.personal_tables import PERSONAL, REMOVED
from persistence.ledger.faucet import fund
from tests.contracts.analytics.market_rows import make_cards, make_copy, settle
from tests.job_runs import run_due
from tests.rest.profiles.test_rest_profiles import send
from tests.rest.rest_engine import PASSWORD, Person, RestEngine
from tests.rest.test_rest_auctions import problem

USD = 1_000_000
BODY = {"password": PASSWORD}
DAY_MS = 24 * 3600 * 1000


async def user(engine: RestEngine, name: str) -> Person:
    """Somebody with a password, who has logged in."""
    body = {"email": f"{name}@example.org", "username": name, "password": PASSWORD}
    registered = await engine.request("POST", "/auth/register", json=body)
    assert registered.status_code == 201, registered.text
    return Person(engine, registered.json()["user"]["id"], name, (await tokens(engine, name))["access_token"])


async def tokens(engine: RestEngine, login: str) -> dict[str, Any]:
    answer = await engine.request("POST", "/auth/login", json={"login": login, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def exported(person: Person) -> zipfile.ZipFile:
    """A new export, downloaded."""
    asked = await person.post("/users/me/export", BODY)
    assert asked.status_code == 202, asked.text
    await run_due(person.engine.pool, export_job(person.engine))
    state = (await person.get("/users/me/export")).json()
    assert state["state"] == "ready", state
    answer = await person.get(f"/users/me/export/{state['id']}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert answer.headers["cache-control"] == "no-store"
    assert len(answer.content) == state["size"]
    return zipfile.ZipFile(io.BytesIO(answer.content))


def rows(archive: zipfile.ZipFile, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(archive.read(f"{name}.json"))
    return found


def export_job(engine: RestEngine, bytes_max: int = EXPORT_BYTES_MAX) -> ExportUsers:
    return ExportUsers(Exports(engine.pool), partial(user_data, engine.pool, None), engine.services.now_ms, bytes_max)


async def deleted(engine: RestEngine) -> None:
    """As the worker does when the grace is over."""
    await engine.pool.execute("UPDATE jobs SET run_at = 0 WHERE kind = 'delete_user'")
    await run_due(engine.pool, DeleteUsers(Deletions(engine.pool), lambda: engine.services.now_ms() + 15 * DAY_MS))


async def test_an_export_has_everything_about_its_user_and_no_secrets(engine: RestEngine):
    ann, bob = await user(engine, "ann_export"), await user(engine, "bob_export")
    await send(ann, "PATCH", "/users/me/profile", {"bio": "Cards of Kanto"})
    await send(ann, "PUT", f"/users/me/following/{bob.name}")
    await fund(engine.pool, [parse_id(ann.id)], engine.services.now_ms())
    auction = await bob.open_auction()
    assert (await ann.post(f"/auctions/{auction['id']}/bids", {"amount": 7 * USD})).status_code == 201
    await engine.pool.execute(
        "UPDATE auctions SET leader_id = $1 WHERE auction_id = $2", parse_id(ann.id), parse_id(auction["id"])
    )
    archive = await exported(ann)
    files = {f"{table.export}.json" for name, table in PERSONAL.items() if table.export and name not in BY_HAND}
    assert set(archive.namelist()) == files | {"README.txt", "bids.json", "ledger.csv"}
    [account] = rows(archive, "account")
    assert (account["user_id"], account["username"], account["email"]) == (ann.id, ann.name, "ann_export@example.org")
    assert rows(archive, "profile")[0]["bio"] == "Cards of Kanto"
    assert [(one["follower_id"], one["followed_id"]) for one in rows(archive, "follows")] == [(ann.id, bob.id)]
    assert [(one["auction_id"], one["amount"]) for one in rows(archive, "bids")] == [(auction["id"], 7 * USD)]
    assert "user.registered" in {one["action"] for one in rows(archive, "audit")}
    entries = list(csv.DictReader(io.StringIO(archive.read("ledger.csv").decode())))
    assert entries
    assert sum(int(entry["amount"]) for entry in entries) > 0
    stored = await engine.pool.fetchrow("SELECT password_hash FROM users WHERE user_id = $1", parse_id(ann.id))
    assert stored is not None
    everything = b"".join(archive.read(name) for name in archive.namelist()).decode()
    assert stored["password_hash"] not in everything
    assert "bob_export@example.org" not in everything


async def test_every_file_is_explained(engine: RestEngine):
    archive = await exported(await user(engine, "readme"))
    readme = archive.read("README.txt").decode()
    assert [name for name in archive.namelist() if name not in readme and name != "README.txt"] == []


async def test_an_export_is_its_users_alone_and_expires(engine: RestEngine):
    ann, bob = await user(engine, "ann_alone"), await user(engine, "bob_alone")
    await exported(ann)
    export = (await ann.get("/users/me/export")).json()["id"]
    problem(await bob.get(f"/users/me/export/{export}"), 404, "not_found")
    problem(await bob.get("/users/me/export"), 404, "not_found")
    await Exports(engine.pool).forget_expired(engine.services.now_ms() + KEPT_MS)
    problem(await ann.get(f"/users/me/export/{export}"), 404, "not_found")
    assert await engine.pool.fetchval("SELECT count(*) FROM user_export_pages") == 0


async def test_an_export_needs_the_password_and_is_made_once(engine: RestEngine):
    ann = await user(engine, "ann_once")
    problem(await ann.post("/users/me/export", {"password": "not it, really"}), 403, "forbidden")
    first, again = [(await ann.post("/users/me/export", BODY)).json()["id"] for _ in range(2)]
    assert first == again
    assert await engine.pool.fetchval("SELECT count(*) FROM jobs WHERE key = $1", first) == 1


async def test_an_export_that_is_too_large_fails_and_another_may_be_asked_for(engine: RestEngine):
    ann = await user(engine, "ann_large")
    await ann.post("/users/me/export", BODY)
    await run_due(engine.pool, export_job(engine, bytes_max=100))
    assert (await ann.get("/users/me/export")).json()["state"] == "failed"
    await exported(ann)


async def test_a_deleted_account_leaves_its_id_and_nothing_that_says_who_it_was(engine: RestEngine):
    ann, bob = await user(engine, "ann_gone"), await user(engine, "bob_stays")
    await send(ann, "PATCH", "/users/me/profile", {"bio": "Cards of Kanto"})
    await send(ann, "PUT", f"/users/me/following/{bob.name}")
    await send(bob, "PUT", f"/users/me/following/{ann.name}")
    await send(bob, "PUT", f"/users/me/mutes/{ann.name}")
    [card] = await make_cards(engine.pool, 1)
    copy = await make_copy(engine.pool, card, parse_id(ann.id), 1)
    await settle(engine.pool, [copy], parse_id(bob.id), 5 * USD, engine.services.now_ms())
    await exported(ann)
    asked = await ann.post("/users/me/deletion", BODY)
    assert asked.status_code == 202, asked.text
    await deleted(engine)
    new_name = f"deleted-{ann.id}"
    profile = (await bob.get(f"/users/{new_name}")).json()
    assert (profile["id"], profile["bio"], profile["counts"]["sales"]) == (ann.id, None, 1)
    assert (await bob.get("/users", params={"q": "deleted"})).json()["items"] == []
    row = await engine.pool.fetchrow("SELECT * FROM users WHERE user_id = $1", parse_id(ann.id))
    assert row is not None
    assert "ann_gone" not in str(dict(row))
    assert row["password_hash"] is None
    for name, table in PERSONAL.items():
        if table.deletion == REMOVED:
            for column in table.columns:
                left = await engine.pool.fetchval(f"SELECT count(*) FROM {name} WHERE {column} = $1", parse_id(ann.id))
                assert left == 0, (name, column)
    answer = await engine.request("POST", "/auth/login", json={"login": "ann_gone", "password": PASSWORD})
    problem(answer, 401, "unauthenticated")
    acts = await engine.pool.fetch("SELECT action FROM audit_entries WHERE subject = $1 ORDER BY entry_id", ann.id)
    assert [one["action"] for one in acts][-2:] == ["account.deletion_requested", "account.deleted"]


async def test_what_a_deleted_account_was_logged_in_with_ends_also_on_open_sockets(engine: RestEngine):
    ann = await user(engine, "ann_bot")
    made = await ann.post("/api-keys", {"name": "bot", "scopes": ["account.read", "bid"]})
    credentials = engine.services.credentials
    # As a socket has them from its hello on.
    by_key, by_token = [await credentials.identity(one, None) for one in (made.json()["key"], ann.token)]
    assert (await ann.post("/users/me/deletion", BODY)).status_code == 202
    await deleted(engine)
    await credentials.changes.read()
    assert credentials.changes.is_revoked(by_key)
    assert credentials.changes.is_stale(by_token)
    # Also where a log-in has read the user just before.
    assert credentials.changes.is_stale(msgspec.structs.replace(by_token, session="another"))


async def test_the_name_of_a_deleted_account_is_nobody_elses_for_a_year(engine: RestEngine):
    ann = await user(engine, "ann_name")
    await ann.post("/users/me/deletion", BODY)
    await deleted(engine)
    body = {"email": "eve@example.org", "username": "Ann_narne", "password": PASSWORD}
    problem(await engine.request("POST", "/auth/register", json=body), 409, "username_taken")
    await Deletions(engine.pool).forget_names(engine.services.now_ms() + NAME_HELD_MS + 16 * DAY_MS)
    assert (await engine.request("POST", "/auth/register", json=body)).status_code == 201


async def test_a_log_in_within_the_grace_keeps_the_account(engine: RestEngine):
    ann = await user(engine, "ann_back")
    pair = await tokens(engine, ann.name)
    due = (await ann.post("/users/me/deletion", BODY)).json()["due_at"]
    assert (await ann.get("/users/me/deletion")).json() == {"due_at": due, "blockers": []}
    refreshed = await engine.request("POST", "/auth/refresh", json={"refresh_token": pair["refresh_token"]})
    problem(refreshed, 401, "unauthenticated")
    await tokens(engine, ann.name)
    assert (await ann.get("/users/me/deletion")).json()["due_at"] is None
    await deleted(engine)
    assert (await ann.get("/users/me")).json()["username"] == ann.name


async def test_nothing_is_deleted_before_it_is_due(engine: RestEngine):
    ann = await user(engine, "ann_early")
    await ann.post("/users/me/deletion", BODY)
    job = DeleteUsers(Deletions(engine.pool), engine.services.now_ms)
    await engine.pool.execute(
        "UPDATE jobs SET run_at = 0 WHERE kind = 'delete_user' AND key LIKE $1 || ':%'", str(parse_id(ann.id))
    )
    [claimed] = await engine.services.jobs.claim({job.kind: 1}, "test")
    [later] = await job.run([claimed])
    assert 13 * DAY_MS < later.delay_ms <= 14 * DAY_MS
    assert (await ann.get("/users/me")).json()["username"] == ann.name


@pytest.mark.parametrize("blocker", ["funds", "copies", "auctions"])
async def test_an_account_with_something_to_settle_is_not_deleted(engine: RestEngine, blocker: str):
    ann = await user(engine, f"ann_{blocker}")
    number = parse_id(ann.id)

    async def block() -> None:
        if blocker == "funds":
            await fund(engine.pool, [number], engine.services.now_ms())
        elif blocker == "copies":
            [card] = await make_cards(engine.pool, 1)
            await make_copy(engine.pool, card, number, 1)
        else:
            await ann.open_auction()

    key = await ann.post("/users/me/deletion", BODY)
    assert key.status_code == 202
    await block()
    assert (await ann.get("/users/me/deletion")).json()["blockers"] == [blocker]
    # What came meanwhile blocks the job, too.
    carried_out = Deletions(engine.pool)
    await engine.pool.execute(
        "UPDATE jobs SET run_at = 0 WHERE kind = 'delete_user' AND key LIKE $1 || ':%'", str(number)
    )
    [claimed] = await engine.services.jobs.claim({"delete_user": 1}, "test")
    assert await carried_out.carry_out(claimed, engine.services.now_ms() + 15 * DAY_MS) > 0
    await tokens(engine, ann.name)
    refused = problem(await ann.post("/users/me/deletion", BODY), 409, "account_in_use")
    assert refused["blockers"] == [blocker]


async def test_a_deletion_needs_the_password_of_its_user(engine: RestEngine):
    ann = await user(engine, "ann_sure")
    problem(await ann.post("/users/me/deletion", {"password": "not it, really"}), 403, "forbidden")
    assert (await ann.get("/users/me/deletion")).json()["due_at"] is None
    body = {"email": "x@example.org", "username": f"deleted-{id_text(1)}", "password": PASSWORD}
    problem(await engine.request("POST", "/auth/register", json=body), 422, "invalid_request")
