"""A trade that begins with nobody and nothing: found by name or by a card, composed, and agreed in the room."""

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from browsers import PASSWORD, Person
from cards import Curator
from engines import SharedEngine
from playwright.sync_api import Page, expect
from test_accessibility import WIDTHS

pytestmark = pytest.mark.timeout(400)

People = Callable[..., Person]
Name = Callable[[str], str]
Post = Callable[..., dict[str, Any]]
USD = 1_000_000
# What one taps, and is lower than 44 px.
LOW = """() => [...document.querySelectorAll(
    '#content :is(a, button, select, label.choice, label.pick, input:not([type=radio], [type=checkbox]))')]
  .filter(one => one.offsetParent && one.getBoundingClientRect().height < 43.9).map(one => one.outerHTML)"""


def registered(make: People, name: Name, text: str, **options: object) -> tuple[Person, str]:
    one, called = make(**options), name(text)
    one.page.goto("/")
    one.register(called)
    return one, called


def fits(one: Person) -> None:
    """At each width the page is no wider than its window, what one taps is large enough, and axe finds nothing."""
    for width in WIDTHS:
        one.page.set_viewport_size({"width": width, "height": 900})
        assert one.page.evaluate("document.documentElement.scrollWidth") <= width, width
        assert one.page.evaluate(LOW) == [], width
        one.is_accessible()


def prefers(engine: SharedEngine, user: str, method: str, path: str, body: dict[str, Any]) -> None:
    api = f"{engine.base_url}/api/v1"
    login = {"login": user, "password": PASSWORD}
    token = httpx.post(f"{api}/auth/login", json=login, timeout=30, trust_env=False).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    httpx.request(method, f"{api}{path}", json=body, headers=headers, timeout=30, trust_env=False).raise_for_status()


def sums(page: Page) -> list[tuple[str, str]]:
    lines = page.locator(".sums > div").all()
    return [(line.locator("dt").inner_text(), line.locator("dd").inner_text()) for line in lines]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_whom_one_trades_with_is_found_by_name_and_the_fee_is_seen_before_the_offer(
    person: People, name: Name, curator: Curator, post: Post, theme: str
):
    ann, ann_name = registered(person, name, "ann", reduced_motion="reduce", color_scheme=theme)
    bob, bob_name = registered(person, name, "Finder", reduced_motion="reduce")
    curator.copies(curator.card("Searching Seal"), ann_name)
    curator.copies(curator.card("Found Fox"), bob_name)
    post(ann_name, "/ledger/deposits", {"amount": 50 * USD, "currency": "USDC"})
    page = ann.page

    page.goto("/trades")
    page.get_by_role("link", name="Offer a trade").first.click()
    ann.sees("You can also begin with a card")
    page.get_by_label("Username").fill("nobody-has-this")
    ann.sees("Nobody’s name begins with “nobody-has-this”.")
    page.get_by_label("Username").fill(f"@{bob_name.lower()[:-1]}")
    users = page.get_by_role("list", name=re.compile("collectors? found"))
    found = users.get_by_role("link", name=bob_name, exact=True)
    expect(found).to_be_visible(timeout=20_000)
    fits(ann)
    found.click()

    expect(page.get_by_role("checkbox", name="Found Fox")).to_be_visible(timeout=20_000)
    ann.sees("Choose cards or enter an amount")
    page.get_by_role("button", name="Send the offer").click()
    ann.sees("Choose what each side gives")
    page.get_by_role("checkbox", name="Found Fox").check()
    page.get_by_role("checkbox", name="Searching Seal").check()
    ann.sees("No money changes hands, so there is no fee.")
    page.get_by_label("You give and money").fill("10")
    expect(page.locator(".sums")).to_contain_text("$9.75", timeout=20_000)
    assert sums(page) == [
        ("You pay", "$10.00"), ("Fee of the house (2.5%)", "-$0.25"), (f"{bob_name} gets", "$9.75"),
    ]  # fmt: skip
    fits(ann)
    page.get_by_role("button", name="Send the offer").click()
    expect(page).to_have_url(re.compile("/trades/[0-9a-v]{13}$"), timeout=20_000)
    ann.sees("You accepted. Waiting for")

    bob.page.goto("/trades")
    bob.page.get_by_role("link", name=f"Trade with {ann_name}").click()
    bob.page.get_by_role("button", name="Accept this offer").click()
    for one in (ann, bob):
        one.page.get_by_role("button", name="Confirm the trade").click()
        one.page.get_by_role("button", name="Yes, exchange").click()
    for one in (ann, bob):
        one.sees("Cards and money have changed owners.")
    bob.page.goto("/wallet")
    expect(bob.page.locator(".figures .price").first).to_have_text("$9.75", timeout=20_000)


def test_a_card_leads_to_the_offer_and_a_refusal_says_why(
    person: People, name: Name, engine: SharedEngine, curator: Curator
):
    (ann, ann_name), (_, bob_name) = registered(person, name, "ann"), registered(person, name, "bob")
    card = curator.card("Doorway Duck")
    curator.copies(card, bob_name)
    curator.copies(curator.card("Walking Wren"), ann_name)
    page = ann.page
    page.goto(f"/cards/{card}")
    page.get_by_role("link", name="Offer a trade: No. 1").click()
    expect(page.get_by_role("checkbox", name="Doorway Duck")).to_be_checked(timeout=20_000)
    page.get_by_role("checkbox", name="Walking Wren").check()
    page.get_by_label(f"{bob_name} gives and money").fill("2")
    expect(page.locator(".sums")).to_contain_text("You get", timeout=20_000)
    assert sums(page)[0] == (f"{bob_name} pays", "$2.00")

    ann.expects_refusals_of("/trades")
    prefers(engine, bob_name, "PUT", "/users/me/trade-settings", {"cool_down_ms": 0, "open_to_trade": False})
    page.get_by_role("button", name="Send the offer").click()
    ann.sees(f"{bob_name} takes no offers.")
    prefers(engine, bob_name, "PUT", "/users/me/trade-settings", {"cool_down_ms": 0, "open_to_trade": True})
    page.get_by_role("button", name="Send the offer").click()
    expect(page).to_have_url(re.compile("/trades/[0-9a-v]{13}$"), timeout=20_000)

    ann.expects_refusals_of(f"/users/{bob_name}/copies")
    prefers(engine, bob_name, "PATCH", "/users/me/preferences", {"private_collection": True})
    page.goto(f"/trades/new?with={bob_name}")
    ann.sees("This collection is private")
    page.get_by_role("link", name="Somebody else").click()
    page.get_by_label("Username").fill(ann_name)
    page.get_by_role("button", name="Next").click()
    ann.sees("You can’t trade with yourself.")
