"""The account screens: second factor, passwords, profile, notifications, data."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyotp
import pytest
from browsers import PASSWORD, Person
from engines import SharedEngine, until
from playwright.sync_api import Page, Route, expect

from actors.workers.mail.mailbox import Mailbox

pytestmark = pytest.mark.timeout(400)

People = Callable[..., Person]
Name = Callable[[str], str]
NEW_PASSWORD = "a purple tractor sings"


def test_a_second_factor_is_enrolled_by_its_qr_code_and_asked_for(person: People, name: Name):
    ann, called = person(), name("factor")
    ann.expects_refusals_of("/auth/login")
    ann.page.goto("/")
    ann.register(called)
    ann.page.goto("/settings/security")
    ann.page.get_by_role("button", name="Set it up").click()
    dialog = ann.page.get_by_role("dialog")
    dialog.get_by_label("Your password").fill(PASSWORD)
    dialog.get_by_role("button", name="Next").click()
    otp = pyotp.parse_uri(read_qr(dialog.get_by_role("img").screenshot()))
    assert isinstance(otp, pyotp.TOTP)
    ann.is_accessible()
    dialog.get_by_label("The code that the app shows").fill(otp.now())
    dialog.get_by_role("button", name="Confirm").click()
    recovery = dialog.locator(".codes code").first.text_content()
    ann.is_accessible()
    dialog.get_by_role("button", name="I have kept them").click()
    ann.sees("recovery codes are left")
    ann.log_out()

    ann.log_in(called)
    ann.page.get_by_label("Code", exact=True).fill(recovery or "")
    ann.page.get_by_role("button", name="Log in", exact=True).click()
    ann.is_logged_in(called)


def read_qr(picture: bytes) -> str:
    image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE)
    return cv2.QRCodeDetector().detectAndDecode(image)[0]


def test_what_needs_a_fresh_second_factor_asks_for_it_and_goes_on(person: People, name: Name):
    ann, called = person(), name("fresh")
    ann.expects_refusals_of("/api-keys")
    ann.page.goto("/")
    ann.register(called)
    secret = enrol(ann.page)
    ann.page.goto("/settings/security")
    refuse_once(ann.page)
    ann.page.get_by_role("button", name="Make a key").click()
    ann.page.get_by_role("dialog").get_by_label("Name").fill("my bot")
    ann.page.get_by_role("dialog").get_by_role("button", name="Make a key").click()
    prompt = ann.page.get_by_role("dialog", name="Your second factor")
    prompt.get_by_label("Code").fill(secret)
    prompt.get_by_role("button", name="Confirm").click()
    expect(ann.page.locator(".secret")).to_contain_text("ece_")


def enrol(page: Page) -> str:
    """Over REST, as the page would; a recovery code."""
    secret = post(page, "/auth/second-factor", {"password": PASSWORD})["secret"]
    code = pyotp.TOTP(secret).now()
    return str(post(page, "/auth/second-factor/confirm", {"code": code})["recovery_codes"][0])


def post(page: Page, path: str, body: dict[str, str]) -> dict[str, Any]:
    """By the cookies of the page."""
    script = """async ([path, body]) => {
        const csrf = /ece_csrf=([^;]+)/.exec(document.cookie)[1]
        const headers = {'Content-Type': 'application/json', 'X-CSRF-Token': csrf}
        const answer = await fetch(`/api/v1${path}`, {method: 'POST', headers, body: JSON.stringify(body)})
        return answer.json()
    }"""
    answer: dict[str, Any] = page.evaluate(script, [path, body])
    return answer


def refuse_once(page: Page) -> None:
    """As if the last code was shown more than five minutes ago: the clock of the engine can't be turned."""
    body = '{"code": "second_factor_required", "detail": "this needs a code", "status": 403}'

    refused: list[bool] = []

    def refuse(route: Route) -> None:
        if route.request.method != "POST" or refused:
            route.fallback()
            return
        refused.append(True)
        route.fulfill(status=403, content_type="application/problem+json", body=body)

    page.route("**/api/v1/api-keys", refuse)


def test_a_forgotten_password_is_reset_by_the_mailed_link(person: People, name: Name, engine: SharedEngine):
    ann, called = person(), name("forgot")
    ann.page.goto("/")
    ann.register(called)
    ann.log_out()
    ann.page.goto("/login")
    ann.page.get_by_role("link", name="Forgot your password?").click()
    ann.page.get_by_label("E-mail").fill(f"{called}@example.org")
    ann.page.get_by_role("button", name="Send the mail").click()
    ann.sees("a mail is on its way")
    link = mailed_link(engine, called, "/password/reset#")
    ann.page.goto(link)
    expect(ann.page.get_by_label("Code from the mail")).not_to_have_value("")
    assert "#" not in ann.page.url, "the token leaves the address bar"
    ann.page.get_by_label("New password").fill(NEW_PASSWORD)
    ann.page.get_by_role("button", name="Set password").click()
    ann.sees("Your password is set")
    ann.log_in(called, NEW_PASSWORD)
    ann.is_logged_in(called)


def test_an_address_is_verified_by_the_code_of_the_mail(person: People, name: Name, engine: SharedEngine):
    ann, called = person(), name("verify")
    ann.page.goto("/")
    ann.register(called)
    code = mailed_link(engine, called, "/verify#").partition("#")[2]
    ann.page.goto("/verify")
    ann.page.get_by_label("Code from the mail").fill(code)
    ann.page.get_by_role("button", name="Verify", exact=True).click()
    ann.sees("Your address is verified")


def mailed_link(engine: SharedEngine, name: str, path: str) -> str:
    found: list[str] = []

    def came() -> bool:
        mails = Mailbox(engine.data_dir.mail).newest(f"{name}@example.org")
        found.extend(word for mail in mails for word in mail.text.split() if path in word)
        return bool(found)

    until(came, 60, f"a mail to {name} with {path}")
    return found[0]


def test_a_profile_is_changed_with_a_picture_and_followed(person: People, name: Name, tmp_path: Path):
    ann, bob, called = person(), person(), name("profile")
    picture = tmp_path / "me.png"
    cv2.imwrite(str(picture), np.full((64, 64, 3), 90, np.uint8))
    ann.page.goto("/")
    ann.register(called)
    ann.page.goto("/settings/profile")
    ann.page.get_by_label("Display name").fill("The Collector")
    ann.page.get_by_label("A few words").fill("Only first editions.")
    ann.page.get_by_role("button", name="Save").click()
    ann.sees("Saved")
    ann.page.locator("input[type=file]").set_input_files(picture)
    expect(ann.page.locator("img.avatar")).to_be_visible()

    bob.page.goto("/")
    bob.register(name("fan"))
    bob.page.goto(f"/users/{called}")
    bob.sees("The Collector")
    bob.sees("Only first editions.")
    bob.page.get_by_role("button", name="Follow", exact=True).click()
    expect(bob.page.locator(".counts div", has_text="Followers").locator("dd")).to_have_text("1")
    bob.page.reload()
    expect(bob.page.get_by_role("button", name="Following")).to_be_visible()


def test_notifications_come_live_and_are_read(person: People, name: Name, listed: Callable[..., str]):
    ann, bob, auction = person(), person(), listed()
    for one, text in ((ann, "notified"), (bob, "rival")):
        one.page.goto(f"/auctions/{auction}")
        one.register(name(text))
        one.get_play_money()
    ann.bid("5")
    ann.sees("You lead.")
    ann.page.goto("/notifications")
    expect(ann.page.get_by_role("heading", name="Notifications", exact=True)).to_be_visible()
    bob.bid("20")
    bob.sees("You lead.")
    expect(ann.page.get_by_role("link", name="Notifications, 1 unread")).to_be_visible(timeout=60_000)
    ann.sees("You were outbid:")
    ann.page.get_by_role("button", name="Mark all as read").click()
    expect(ann.page.get_by_role("link", name="Notifications", exact=True)).to_be_visible()
    expect(ann.page.locator(".unread")).to_have_count(0)


def test_preferences_of_notifications_are_kept(person: People, name: Name):
    ann = person()
    ann.page.goto("/")
    ann.register(name("prefs"))
    ann.page.goto("/settings")
    box = ann.page.get_by_label("You were outbid: Mail")
    expect(box).to_be_checked()
    with ann.page.expect_response("**/users/me/notification-preferences"):
        box.uncheck()
    ann.page.reload()
    expect(ann.page.get_by_label("You were outbid: Mail")).not_to_be_checked()


def test_data_are_exported_and_the_account_is_deleted(person: People, name: Name):
    ann = person()
    # Before the first one there is none.
    ann.expects_refusals_of("/users/me/export")
    ann.page.goto("/")
    ann.register(name("data"))
    ann.page.goto("/settings/data")
    for button in ("Make a copy", "Delete my account"):
        ann.page.get_by_role("button", name=button).click()
        dialog = ann.page.get_by_role("dialog")
        dialog.get_by_label("Your password").fill(PASSWORD)
        dialog.get_by_role("button", name=button).click()
        if button == "Make a copy":
            with ann.page.expect_download() as download:
                ann.page.get_by_role("link", name="Download").click(timeout=60_000)
            assert download.value.suggested_filename.endswith(".zip")
    expect(ann.page.get_by_role("link", name="Log in").first).to_be_visible()
