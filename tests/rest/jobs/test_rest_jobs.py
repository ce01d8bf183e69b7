"""Background jobs over REST: what operators see, and retries."""

import pytest

from persistence.jobs.rows import JobRow
from persistence.jobs.store import JobStore, PutBack
from persistence.placement.directory import HostAddress
from persistence.postgres.errors import StoreUnavailable
from tests.rest.rest_engine import RestEngine
from tests.rest.test_rest_auctions import problem


async def dead_job(engine: RestEngine, key: str) -> None:
    """A job whose retries have ended."""
    store = JobStore(engine.pool)
    await store.add([JobRow("mail", key, b'{"to": "ann"}')])
    for job in await store.claim({"mail": 100}, "w"):
        await store.put_back([PutBack(job, 0, 5, "no such mailbox", dead=True)])


async def test_an_operator_sees_dead_jobs_and_retries_them(engine: RestEngine):
    operator = await engine.person(role="admin")
    await dead_job(engine, "1")
    await dead_job(engine, "2")
    await JobStore(engine.pool).add([JobRow("mail", "3")])
    page = (await operator.get("/admin/jobs", params={"kind": "mail", "state": "dead", "limit": 1})).json()
    [first] = page["items"]
    assert (first["key"], first["state"], first["attempts"], first["error"]) == ("1", "dead", 5, "no such mailbox")
    assert first["payload"] == {"to": "ann"}
    cursor = page["next_cursor"]
    rest = (await operator.get("/admin/jobs", params={"kind": "mail", "state": "dead", "cursor": cursor})).json()
    assert [job["key"] for job in rest["items"]] == ["2"]
    problem(await operator.get("/admin/jobs", params={"cursor": cursor}), 400, "invalid_cursor")

    assert (await operator.post("/admin/jobs/mail/1/retry", key="again")).status_code == 200
    # The same request once more has the same answer.
    assert (await operator.post("/admin/jobs/mail/1/retry", key="again")).status_code == 200
    shown = (await operator.get("/admin/jobs/mail/1")).json()
    assert (shown["state"], shown["attempts"]) == ("waiting", 0)
    problem(await operator.post("/admin/jobs/mail/1/retry"), 404, "not_found")
    problem(await operator.get("/admin/jobs/mail/none"), 404, "not_found")


async def test_an_operator_discards_a_dead_job_once_and_the_trail_has_it(engine: RestEngine):
    operator = await engine.person(role="admin")
    await dead_job(engine, "thrown-away")
    path = "/admin/jobs/mail/thrown-away"
    for _ in range(2):
        assert (await operator.post(f"{path}/discard", key="throw")).status_code == 200
    problem(await operator.get(path), 404, "not_found")
    await JobStore(engine.pool).add([JobRow("mail", "waits")])
    problem(await operator.post("/admin/jobs/mail/waits/discard"), 404, "not_found")
    trail = (await operator.get("/admin/audit", params={"action": "job.discarded"})).json()["items"]
    assert [entry["subject"] for entry in trail] == ["mail thrown-away"]


async def test_the_state_of_the_engine_has_hosts_jobs_and_sessions_and_is_for_operators(engine: RestEngine):
    operator, ann = await engine.person(role="admin"), await engine.person()
    problem(await ann.get("/admin/status"), 403, "forbidden")
    await engine.services.directory.register("host-1", "127.0.0.1", 1, 5, "here")
    await dead_job(engine, "of the state")
    shown = (await operator.get("/admin/status")).json()
    [host] = shown["hosts"]
    assert (host["id"], host["node"], host["alive_at"], host["slots"]) == ("host-1", "here", 5, 0)
    assert [one["kind"] for one in shown["jobs"] if one["dead"]] == ["mail"]
    assert (shown["sessions"], shown["has_chain"], shown["parts"]) == (0, True, {})


async def test_what_cannot_be_read_for_the_state_of_the_engine_is_null(
    engine: RestEngine, monkeypatch: pytest.MonkeyPatch
):
    async def away() -> list[HostAddress]:
        raise StoreUnavailable("no answer")

    operator = await engine.person(role="admin")
    monkeypatch.setattr(engine.services.directory, "hosts", away)
    shown = (await operator.get("/admin/status")).json()
    assert (shown["hosts"], shown["sessions"]) == (None, 0)


async def test_jobs_are_for_operators(engine: RestEngine):
    ann = await engine.person()
    problem(await ann.get("/admin/jobs"), 403, "forbidden")
    problem(await ann.get("/admin/jobs/mail/1"), 403, "forbidden")
    problem(await ann.post("/admin/jobs/mail/1/retry"), 403, "forbidden")


async def test_metrics_say_how_many_jobs_there_are(engine: RestEngine):
    await engine.pool.execute("DELETE FROM jobs")
    await dead_job(engine, "9")
    engine.app.state.stored_metrics[0]._read_at = 0.0
    text = (await engine.http.get("http://ece/metrics")).text
    assert 'ece_jobs{kind="mail",state="dead"} 1.0' in text
    assert 'ece_jobs{kind="mail",state="waiting"} 0.0' in text
    assert 'ece_jobs_oldest_due_seconds{kind="mail"} 0.0' in text
