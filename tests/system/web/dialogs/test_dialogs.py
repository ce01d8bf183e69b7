"""Dialogs, a menu and the 3D viewer: WCAG 2.2 AA by axe in both themes, and never wider than the window."""

from collections.abc import Callable
from typing import Any

import pyotp
import pytest
from browsers import PASSWORD, Person
from cards import Curator
from engines import SharedEngine
from playwright.sync_api import Locator, expect
from test_accessibility import violations
from test_account import refuse_once
from test_operation import execute, logged_in_as

pytestmark = pytest.mark.timeout(400)

People = Callable[..., Person]
Name = Callable[[str], str]
Listed = Callable[..., str]
OVERFLOW = """part => {
    const {left, right} = part.getBoundingClientRect()
    return left < 0 || right > innerWidth || part.scrollWidth > part.clientWidth
}"""


def inspect(one: Person, part: Locator) -> None:
    """Raises AssertionError where axe finds something on the page as it is now, or the part is too wide."""
    for theme in ("light", "dark"):
        one.page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
        for width in (1440, 360):
            one.page.set_viewport_size({"width": width, "height": 800})
            expect(part).to_be_visible()
            assert not part.evaluate(OVERFLOW), (part, width)
            assert violations(one) == [], (part, width, theme)
    one.page.set_viewport_size({"width": 1440, "height": 800})


def opened(one: Person, button: str | Locator) -> Locator:
    """The dialog that a button opens, inspected."""
    found = one.page.get_by_role("button", name=button, exact=True) if isinstance(button, str) else button
    found.click()
    dialog = one.page.get_by_role("dialog")
    inspect(one, dialog)
    return dialog


def closed(one: Person, dialog: Locator) -> None:
    one.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


@pytest.fixture
def member(person: People, name: Name) -> Callable[..., tuple[Person, str]]:
    """Someone who is logged in, and may be looked at by axe; and their name."""

    def make(**options: Any) -> tuple[Person, str]:
        one, called = person(bypass_csp=True, reduced_motion="reduce", **options), name("dialogs")
        one.page.goto("/")
        one.register(called)
        return one, called

    return make


Member = Callable[..., tuple[Person, str]]


def test_the_dialogs_of_an_account(member: Member):
    ann, _ = member()
    ann.expects_refusals_of("/api-keys")
    ann.expects_refusals_of("/users/me/export")
    ann.page.goto("/settings/security")
    dialog = opened(ann, "Set it up")
    dialog.get_by_label("Your password").fill(PASSWORD)
    dialog.get_by_role("button", name="Next").click()
    dialog.get_by_text("I can’t scan it").click()
    secret = (dialog.locator("code.secret").text_content() or "").replace(" ", "")
    inspect(ann, dialog)
    dialog.get_by_label("The code that the app shows").fill(pyotp.TOTP(secret).now())
    dialog.get_by_role("button", name="Confirm").click()
    expect(dialog.locator(".codes code").first).to_be_visible()
    inspect(ann, dialog)
    recovery = dialog.locator(".codes code").first.text_content() or ""
    dialog.get_by_role("button", name="I have kept them").click()
    closed(ann, opened(ann, "Turn it off"))

    refuse_once(ann.page)
    dialog = opened(ann, "Make a key")
    dialog.get_by_label("Name").fill("my bot")
    dialog.get_by_role("button", name="Make a key").click()
    prompt = ann.page.get_by_role("dialog", name="Your second factor")
    inspect(ann, prompt)
    prompt.get_by_label("Code").fill(recovery)
    prompt.get_by_role("button", name="Confirm").click()
    expect(dialog.locator("code.secret")).to_be_visible()
    inspect(ann, dialog)
    dialog.get_by_role("button", name="I have kept it").click()

    ann.page.goto("/settings/data")
    closed(ann, opened(ann, "Make a copy"))
    closed(ann, opened(ann, "Delete my account"))


def test_the_menu_of_an_account(member: Member):
    ann, called = member()
    ann.page.get_by_role("button", name=f"Account of {called}").click()
    inspect(ann, ann.page.locator(".menu"))


def test_the_confirmation_of_a_bid_and_the_receipt_of_money(member: Member, listed: Listed):
    ann, _ = member()
    auction = listed()
    ann.page.goto(f"/auctions/{auction}")
    ann.get_play_money()
    ann.page.goto("/settings#bidding")
    ann.page.get_by_label("Ask above (USD)").fill("5")
    ann.page.locator("#bidding").get_by_role("button", name="Save", exact=True).click()
    ann.sees("Saved")
    ann.page.goto(f"/auctions/{auction}")
    ann.bid("12")
    dialog = ann.page.get_by_role("dialog", name="Bid up to $12?")
    inspect(ann, dialog)
    closed(ann, dialog)

    ann.page.goto("/wallet")
    closed(ann, opened(ann, ann.page.get_by_role("button", name="Receipt: ").first))


def test_the_question_before_an_auction_is_cancelled(member: Member, curator: Curator, post: Callable[..., Any]):
    ann, called = member()
    copies = curator.copies(curator.card("Withdrawn Wren"), called)
    terms = {"title": "A wren", "starting_price": 1_000_000, "duration_ms": 3_600_000, "copies": copies}
    post(called, "/auctions", terms)
    curator.sees_listed(called, 1)
    ann.page.goto("/listings")
    closed(ann, opened(ann, "Cancel A wren"))


def test_the_question_before_a_job_is_discarded(person: People, name: Name, engine: SharedEngine):
    ann, key = person(bypass_csp=True, reduced_motion="reduce"), name("hopeless")
    execute(
        engine,
        "INSERT INTO jobs (kind, key, run_at, dead, attempts, error)"
        " VALUES ('of_a_dialog', $1, 0, true, 12, 'no mailbox')",
        key,
    )
    logged_in_as(engine, ann, name("operator"), "admin")
    ann.page.goto("/operator")
    closed(ann, opened(ann, ann.page.get_by_role("button", name=f"Discard: of_a_dialog {key}")))
    execute(engine, "DELETE FROM jobs WHERE kind = 'of_a_dialog'")


def test_a_card_in_3d(person: People, curator: Curator):
    ann = person(bypass_csp=True, reduced_motion="reduce")
    ann.page.goto(f"/cards/{curator.card('Turning Teal')}")
    ann.page.get_by_role("button", name="Turn it in 3D").click()
    inspect(ann, ann.page.get_by_role("group", name="Turning Teal in 3D, front in view"))
