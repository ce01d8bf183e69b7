"""Every screen that exists: WCAG 2.2 AA by axe in both themes, no screen wider than its window, bids by keyboard."""

import itertools
import re
from collections.abc import Callable

import pytest
from browsers import ROOT, Person
from cards import Curator
from playwright.sync_api import expect

pytestmark = pytest.mark.timeout(400)

People = Callable[..., Person]
Name = Callable[[str], str]

GUEST = [
    "/", "/browse", "/cards/{card}", "/auctions/{auction}", "/auctions/{auction}/log", "/login", "/register",
    "/login/return", "/verify", "/password/forgot", "/password/reset",
]  # fmt: skip
USER = {
    "account": [
        "/notifications", "/activity", "/settings/profile", "/settings", "/settings/security", "/settings/data",
        "/users/{username}",
    ],
    "collector": [
        "/auctions/{auction}", "/auctions/{auction}/log", "/portfolio", "/wallet", "/trades", "/trades/new",
        "/trades/swaps/new", "/trades/{trade}", "/scan", "/sell", "/listings", "/mints", "/analytics",
    ],
    "staff": ["/operator", "/moderation"],
}  # fmt: skip
# Needs a chain: tests/system/web/device/test_device.py looks at it.
ELSEWHERE = {"/mints/{mint}"}
# Its screen says so.
NO_TRADE = "0" * 13
WIDTHS = (360, 768, 1440)


def check(one: Person, path: str) -> None:
    for theme in ("light", "dark"):
        one.page.evaluate("theme => localStorage.setItem('theme', theme)", theme)
        for width in WIDTHS:
            one.page.set_viewport_size({"width": width, "height": 800})
            one.page.goto(path)
            expect(one.page.get_by_role("heading", level=1)).to_be_visible()
            expect(one.page.locator("[aria-busy=true]")).to_have_count(0)
            assert one.page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
            if width != 768:
                assert one.violations() == [], (path, width, theme)


@pytest.mark.parametrize("locale", ["en-US", "de-DE"])
def test_the_screens_of_guests_have_no_violation(
    person: People, listed: Callable[..., str], curator: Curator, locale: str
):
    places = {"auction": listed(), "card": curator.card("Accessible Owl")}
    guest = person(reduced_motion="reduce", locale=locale)
    guest.page.goto("/")
    for path in GUEST:
        check(guest, path.format(**places))


@pytest.mark.parametrize("screens", USER)
def test_the_screens_of_users_have_no_violation(person: People, name: Name, listed: Callable[..., str], screens: str):
    ann, called = person(reduced_motion="reduce"), name("axe")
    for refused in ("/users/me/export", "/admin/", f"/trades/{NO_TRADE}"):
        ann.expects_refusals_of(refused)
    places = {"auction": listed(), "username": called, "trade": NO_TRADE}
    ann.page.goto("/")
    ann.register(called)
    for path in USER[screens]:
        check(ann, path.format(**places))


def test_every_screen_is_checked():
    source = (ROOT / "web/src/screens.ts").read_text()
    listed = set(re.findall(r"^ +(?:\{ )?path: '([^']+)'", source, re.MULTILINE))
    assert listed == {*GUEST, *itertools.chain(*USER.values()), *ELSEWHERE}


def test_someone_without_a_mouse_bids(person: People, name: Name, listed: Callable[..., str]):
    ann = person()
    ann.page.goto(f"/auctions/{listed()}")
    ann.register(name("keys"))
    ann.get_play_money()
    ann.page.get_by_label("Your maximum").focus()
    ann.page.keyboard.press("Control+a")
    ann.page.keyboard.type("7.50")
    ann.page.keyboard.press("Tab")
    expect(ann.page.get_by_role("button", name="Bid up to $7.50")).to_be_focused()
    ann.page.keyboard.press("Enter")
    ann.sees("You lead.")


def test_the_first_tab_leads_to_the_content(person: People):
    ann = person()
    ann.page.goto("/")
    # Before that there is nothing that takes the focus.
    expect(ann.page.get_by_role("main")).to_be_visible()
    ann.page.keyboard.press("Tab")
    expect(ann.page.get_by_role("link", name="Skip to the content")).to_be_focused()


def test_a_dialog_holds_the_focus_and_gives_it_back(person: People, name: Name):
    ann = person()
    ann.page.goto("/")
    ann.register(name("dialog"))
    ann.page.goto("/settings/security")
    opener = ann.page.get_by_role("button", name="Set it up")
    opener.focus()
    ann.page.keyboard.press("Enter")
    expect(ann.page.get_by_role("dialog").get_by_label("Your password")).to_be_focused()
    ann.page.keyboard.press("Escape")
    expect(ann.page.get_by_role("dialog")).to_have_count(0)
    expect(opener).to_be_focused()


def test_who_asked_for_less_motion_sees_none(person: People):
    ann = person(reduced_motion="reduce")
    ann.page.goto("/")
    assert ann.page.evaluate("document.getAnimations().length") == 0
