"""A session of cookies, in real browsers on a real engine."""

from collections.abc import Callable

import httpx
import pytest
from browsers import PASSWORD, Person
from engines import SharedEngine
from playwright.sync_api import expect

pytestmark = pytest.mark.timeout(400)

People = Callable[..., Person]
Name = Callable[[str], str]


def test_a_reload_stays_logged_in_and_no_script_can_read_a_token(person: People, name: Name):
    ann, called = person(), name("stay")
    ann.page.goto("/")
    ann.register(called)
    ann.page.reload()
    ann.is_logged_in(called)
    expect(ann.page.locator(".latency.up")).to_be_visible()
    readable = ann.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    hidden = [one["value"] for one in ann.context.cookies() if one.get("httpOnly")]
    assert len(hidden) == 2, "there are an access and a refresh cookie"
    assert not any(value in readable for value in hidden)


def test_a_log_out_in_one_tab_is_one_in_the_other(person: People, name: Name):
    ann = person()
    ann.page.goto("/")
    ann.register(name("tabs"))
    other = ann.context.new_page()
    other.goto("/settings")
    expect(other.get_by_role("heading", name="Settings")).to_be_visible()
    ann.log_out()
    expect(other.get_by_role("heading", name="Welcome back")).to_be_visible()
    assert ann.context.cookies() == []


def test_a_log_in_in_one_tab_is_one_in_the_other(person: People, name: Name):
    ann, called = person(), name("both")
    ann.page.goto("/")
    ann.register(called)
    ann.log_out()
    other = ann.context.new_page()
    other.goto("/")
    ann.log_in(called)
    expect(other.get_by_role("button", name=f"Account of {called}")).to_be_visible()


def test_a_session_that_is_ended_elsewhere_ends_in_an_open_page(person: People, name: Name):
    laptop, phone, called = person(), person(), name("ended")
    laptop.expects_refusals_of("/api/")
    laptop.page.goto("/")
    laptop.register(called)
    phone.log_in(called)
    phone.is_logged_in(called)
    phone.page.goto("/settings/security")
    phone.page.get_by_role("button", name="Log out all others").click()
    phone.sees("All other devices are logged out.")
    expect(laptop.page.get_by_role("link", name="Log in").first).to_be_visible(timeout=20_000)
    phone.is_logged_in(called)


def test_cookies_that_have_expired_are_renewed_and_the_socket_begins_anew(person: People, name: Name):
    ann, called = person(), name("renew")
    ann.page.goto("/")
    ann.register(called)
    before = {one["name"]: one["value"] for one in ann.context.cookies()}
    # The browser drops the access cookie when it expires; what the page remembers is as old.
    ann.context.clear_cookies(name="ece_access")
    ann.page.evaluate(
        "localStorage.session = JSON.stringify({...JSON.parse(localStorage.session), renewAt: Date.now() - 1})"
    )
    ann.page.reload()
    ann.is_logged_in(called)
    expect(ann.page.locator(".balance")).to_have_text("Available $0.00")
    after = {one["name"]: one["value"] for one in ann.context.cookies()}
    assert after["ece_refresh"] != before["ece_refresh"]


def test_a_screen_of_an_account_asks_a_guest_to_log_in_and_comes_back(person: People, name: Name):
    ann, called = person(), name("back")
    ann.page.goto("/")
    ann.register(called)
    ann.log_out()
    ann.page.goto("/notifications")
    ann.page.get_by_label("Username or e-mail").fill(called)
    ann.page.get_by_label("Password", exact=True).fill(PASSWORD)
    ann.page.get_by_role("button", name="Log in", exact=True).click()
    expect(ann.page.get_by_role("heading", name="Notifications", exact=True)).to_be_visible()


def test_a_german_browser_has_german_and_a_choice_is_kept(person: People, name: Name):
    ann = person(locale="de-DE")
    ann.page.goto("/register")
    expect(ann.page.get_by_role("heading", name="Konto erstellen")).to_be_visible()
    assert ann.page.locator("html").get_attribute("lang") == "de"
    ann.page.get_by_label("Benutzername").fill(called := name("deutsch"))
    ann.page.get_by_label("E-Mail").fill(f"{called}@example.org")
    ann.page.get_by_label("Passwort", exact=True).fill(PASSWORD)
    ann.page.get_by_role("button", name="Konto erstellen").click()
    expect(ann.page.locator(".balance")).to_contain_text("0,00\u00a0$")
    ann.page.goto("/settings")
    ann.page.get_by_label("Sprache").select_option("en")
    expect(ann.page.get_by_role("heading", name="Settings")).to_be_visible()
    ann.page.reload()
    expect(ann.page.get_by_role("heading", name="Settings")).to_be_visible()


def test_another_sites_page_cannot_act_by_the_cookies(person: People, name: Name, engine: SharedEngine):
    ann = person()
    ann.page.goto("/")
    ann.register(name("csrf"))
    cookies = {one["name"]: one["value"] for one in ann.context.cookies()}
    answer = httpx.post(
        f"{engine.base_url}/api/v1/auth/logout", json={}, cookies=cookies, headers={"Origin": "http://evil.example"},
        timeout=30, trust_env=False,
    )  # fmt: skip
    assert answer.json()["code"] == "csrf_failed"
