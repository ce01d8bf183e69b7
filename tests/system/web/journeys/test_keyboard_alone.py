"""People without a mouse: whole ways by Tab, Enter and typing, with a focus that is seen at each stop."""

import re
from collections.abc import Callable

import pytest
from browsers import PASSWORD, Person
from cards import Curator
from playwright.sync_api import Locator, expect

pytestmark = pytest.mark.timeout(400)

People = Callable[..., Person]
Name = Callable[[str], str]

TABS_MAX = 80
# An outline, of the element itself or of the label that stands for it.
FOCUS_IS_SEEN = """element => [element, element.closest('label')].some(one => {
    if (!one) return false
    const {outlineStyle, outlineWidth} = getComputedStyle(one)
    return outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2
})"""
IS_FOCUSED = "element => element === document.activeElement"


class Keyboard:
    """The keys of somebody."""

    def __init__(self, one: Person) -> None:
        self._page = one.page

    def tab_to(self, wanted: Locator) -> None:
        """Press Tab until this has the focus."""
        expect(wanted).to_be_visible(timeout=20_000)
        for _ in range(TABS_MAX):
            self._page.keyboard.press("Tab")
            if wanted.evaluate(IS_FOCUSED):
                assert wanted.evaluate(FOCUS_IS_SEEN), f"the focus of {wanted} is not seen"
                return
        raise AssertionError(f"{TABS_MAX} presses of Tab lead to {wanted} nowhere")

    def press(self, wanted: Locator, key: str = "Enter") -> None:
        self.tab_to(wanted)
        self._page.keyboard.press(key)

    def fill(self, wanted: Locator, text: str) -> None:
        self.tab_to(wanted)
        self._page.keyboard.press("Control+a")
        self._page.keyboard.type(text)


def test_a_guest_registers_from_the_room_and_bids(person: People, name: Name, listed: Callable[..., str]):
    ann, called = person(reduced_motion="reduce"), name("keys")
    page, keys = ann.page, Keyboard(ann)
    page.goto(f"/auctions/{listed()}")
    keys.press(page.get_by_role("region", name="Your bid").get_by_role("link", name="Create account"))
    keys.fill(page.get_by_label("Username"), called)
    keys.fill(page.get_by_label("E-mail"), f"{called}@example.org")
    keys.fill(page.get_by_label("Password", exact=True), PASSWORD)
    page.keyboard.press("Enter")
    ann.is_logged_in(called)
    keys.press(page.get_by_role("button", name="of play money"))
    ann.sees("$1,000.00 available")
    keys.fill(page.get_by_label("Your maximum"), "7.50")
    keys.press(page.get_by_role("button", name="Bid up to $7.50"))
    ann.sees("You lead.")


def test_a_trade_is_proposed_and_its_withdrawal_thought_over(person: People, name: Name, curator: Curator):
    ann, ann_name, bob_name = person(reduced_motion="reduce"), name("ann"), name("bob")
    for called in (bob_name, ann_name):
        ann.page.goto("/")
        ann.register(called)
        if called == bob_name:
            ann.log_out()
    curator.copies(curator.card("Left Newt"), ann_name)
    curator.copies(curator.card("Right Newt"), bob_name)
    page, keys = ann.page, Keyboard(ann)
    page.goto("/trades/new")
    keys.fill(page.get_by_label("Username"), bob_name)
    keys.press(page.get_by_role("list", name="found").get_by_role("link", name=bob_name, exact=True))
    for card in ("Left Newt", "Right Newt"):
        keys.press(page.get_by_role("checkbox", name=card), "Space")
        expect(page.get_by_role("checkbox", name=card)).to_be_checked()
    keys.fill(page.get_by_label("A few words"), "By keyboard")
    keys.press(page.get_by_role("button", name="Send the offer"))
    ann.sees("You accepted. Waiting for")

    withdraw = page.locator(".actions").get_by_role("button", name="Withdraw", exact=True).first
    keys.press(withdraw)
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(":focus")).to_have_count(1)
    keys.tab_to(dialog.get_by_role("button", name="Withdraw", exact=True))
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(withdraw).to_be_focused()


def test_a_card_is_listed(person: People, name: Name, curator: Curator):
    ann, called = person(reduced_motion="reduce"), name("seller")
    page, keys = ann.page, Keyboard(ann)
    page.goto("/")
    ann.register(called)
    curator.copies(curator.card("Keyboard Crab"), called)
    page.goto("/sell")
    keys.press(page.get_by_role("checkbox", name="Keyboard Crab"), "Space")
    keys.fill(page.get_by_label("Starting price"), "12.50")
    # What is wrong has the focus after a press of the button.
    keys.fill(page.get_by_label("Buy-now price"), "1")
    keys.press(page.get_by_role("button", name="List it"))
    expect(page.get_by_label("Buy-now price")).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type("20")
    keys.press(page.get_by_role("button", name="List it"))
    expect(page).to_have_url(re.compile("/auctions/"), timeout=20_000)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Keyboard Crab")
