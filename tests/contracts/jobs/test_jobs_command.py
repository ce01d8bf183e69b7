"""`ece jobs`: what an operator sees in a terminal of 80 columns, and retries."""

import asyncio
import json

import pytest
from click.testing import Result
from typer.testing import CliRunner

from ece import cli
from ece.failure import Failure
from persistence.jobs.rows import JobRow
from persistence.jobs.store import JobStore, PutBack
from persistence.postgres.pool import close_pool, open_pool

KEY = "opened:0pc8dq3k00006"


@pytest.fixture
def dead_job(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One job whose retries have ended, and one that waits."""

    async def prepare() -> None:
        pool = await open_pool(database_url, size_max=1)
        await pool.execute("DELETE FROM jobs")
        store = JobStore(pool)
        await store.add([JobRow("update_analytics", KEY, b'{"x": 1}')])
        [job] = await store.claim({"update_analytics": 1}, "w")
        await store.put_back([PutBack(job, 0, 12, "ValueError('no such auction')", dead=True)])
        await store.add([JobRow("settle", "1")])
        await close_pool(pool)

    monkeypatch.setenv("ECE_DATABASE_URL", database_url)
    asyncio.run(prepare())


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ["jobs", *arguments], env={"COLUMNS": "80"})


@pytest.mark.usefixtures("dead_job")
def test_a_dead_job_is_listed_shown_and_retried():
    listed = run("list", "--state", "dead").stdout
    assert f"update_analytics   {KEY}" in listed
    assert "dead" in listed
    assert json.loads(run("list", "--json").stdout)["kinds"]["update_analytics"]["dead"] == 1
    shown = json.loads(run("show", "update_analytics", KEY).stdout)
    assert (shown["state"], shown["attempts"], shown["payload"]) == ("dead", 12, {"x": 1})
    assert run("retry", "update_analytics", KEY).exit_code == 0
    assert json.loads(run("show", "update_analytics", KEY).stdout)["state"] == "waiting"
    assert isinstance(run("retry", "update_analytics", KEY).exception, Failure)
    assert isinstance(run("show", "settle", "none").exception, Failure)
    assert isinstance(run("list", "--state", "lost").exception, Failure)
