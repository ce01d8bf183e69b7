"""The screens of operators and moderators, and a user's analytics."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from browsers import PASSWORD, Person
from engines import SharedEngine
from playwright.sync_api import expect

pytestmark = pytest.mark.timeout(400)

People = Callable[..., Person]
Name = Callable[[str], str]


def execute(engine: SharedEngine, statement: str, *values: object) -> None:
    """In a thread of its own: Playwright's event loop runs in this one."""

    async def run() -> None:
        connection = await asyncpg.connect(engine.database_url)
        try:
            await connection.execute(statement, *values)
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, run()).result(timeout=30)


def logged_in_as(engine: SharedEngine, one: Person, called: str, role: str) -> None:
    one.page.goto("/")
    one.register(called)
    one.log_out()
    execute(engine, "UPDATE users SET roles = roles || $2::text WHERE username = $1", called, role)
    one.log_in(called)
    one.is_logged_in(called)


def test_an_operator_retries_a_failed_job_and_others_are_told_no(person: People, name: Name, engine: SharedEngine):
    ann, bob, key = person(), person(), name("broken")
    execute(
        engine,
        "INSERT INTO jobs (kind, key, run_at, dead, attempts, error)"
        " VALUES ('of_a_test', $1, 0, true, 12, 'no mailbox')",
        key,
    )
    logged_in_as(engine, ann, name("operator"), "admin")
    ann.page.goto("/operator")
    ann.sees("no mailbox")
    expect(ann.page.get_by_role("table", name="Hosts")).to_be_visible()
    ann.page.get_by_role("button", name=f"Retry: of_a_test {key}").click()
    ann.sees("The job runs again.")
    expect(ann.page.get_by_role("button", name=f"Retry: of_a_test {key}")).to_have_count(0)
    execute(engine, "DELETE FROM jobs WHERE kind = 'of_a_test'")

    bob.expects_refusals_of("/admin/status")
    bob.page.goto("/")
    bob.register(name("nobody"))
    bob.page.goto("/operator")
    bob.sees("This page is for the staff")


def test_a_moderator_suspends_a_user_whose_bid_is_then_refused(
    person: People, name: Name, engine: SharedEngine, listed: Callable[..., str]
):
    ann, bob, auction = person(), name("spammer"), listed()
    answer(engine, "/auth/register", {"email": f"{bob}@example.org", "username": bob, "password": PASSWORD})
    assert bid_of(engine, bob, auction) == "insufficient_funds"
    logged_in_as(engine, ann, name("moderator"), "moderator")
    ann.page.goto("/moderation")
    ann.page.get_by_label("Username").fill(bob)
    ann.page.get_by_role("button", name="Look up").click()
    ann.page.get_by_label("Reason").fill("Spam in trades")
    ann.page.get_by_role("button", name="Suspend", exact=True).click()
    ann.sees(f"{bob} is suspended.")
    assert bid_of(engine, bob, auction) == "forbidden"


def bid_of(engine: SharedEngine, user: str, auction: str) -> str:
    """The code of its refusal."""
    token = answer(engine, "/auth/login", {"login": user, "password": PASSWORD})["access_token"]
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": f"bid-{token[-40:]}"}
    return str(answer(engine, f"/auctions/{auction}/bids", {"amount": 5_000_000}, headers)["code"])


def answer(
    engine: SharedEngine, path: str, body: dict[str, Any], headers: dict[str, str] | None = None
) -> dict[str, Any]:
    url = f"{engine.base_url}/api/v1{path}"
    members: dict[str, Any] = httpx.post(url, json=body, headers=headers, timeout=30, trust_env=False).json()
    return members


def test_analytics_are_shown_by_day_and_exported(person: People, name: Name, engine: SharedEngine):
    ann, called = person(), name("figures")
    ann.page.goto("/")
    ann.register(called)
    execute(
        engine,
        "INSERT INTO auction_bidders (auction_id, ended_day, user_id, day, bids)"
        " SELECT 1, today, user_id, today, 7 FROM users, (SELECT clock_ms() / 86400000 AS today) AS t"
        " WHERE username = $1",
        called,
    )
    ann.page.goto("/analytics")
    expect(ann.page.get_by_role("table", name="Analytics").locator("td[data-head=Bids]")).to_have_text("7")
    chart = ann.page.get_by_role("application")
    chart.focus()
    ann.page.keyboard.press("ArrowLeft")
    expect(chart.locator(".u-legend")).to_contain_text("7")
    with ann.page.expect_download() as download:
        ann.page.get_by_role("button", name="Export CSV").click()
    rows = Path(download.value.path()).read_text().splitlines()
    assert rows[0].startswith("day,bids,auctions,wins,spent_USDC")
    assert rows[1].split(",")[1:3] == ["7", "1"]
