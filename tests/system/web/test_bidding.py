"""People bid against each other in real browsers, on a real engine."""

from collections.abc import Callable

import pytest
from browsers import Person
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.timeout(400)

USD = 1_000_000
People = Callable[..., Person]
Name = Callable[[str], str]


def test_two_browsers_bid_against_each_other(person: People, name: Name, listed: Callable[..., str]):
    auction, ann, bob = listed(), person(), person(viewport={"width": 360, "height": 780}, has_touch=True)
    ann.page.goto("/")
    ann.page.get_by_role("button", name="Newest").click()
    ann.page.locator(f"a[href='/auctions/{auction}']").click()
    bob.page.goto(f"/auctions/{auction}")
    for one, text in ((ann, "ann"), (bob, "bob")):
        one.register(name(text))
        one.get_play_money()

    ann.bid("5")
    ann.sees("You lead.")
    bob.sees_price("$1.00")
    bob.bid("3")
    bob.sees("You were outbid")
    ann.sees_price("$3.25")
    bob.bid("20")
    bob.sees("You lead.")
    ann.sees("You were outbid.")
    expect(ann.page.locator(".ladder li.own")).to_have_count(1)

    ann.tap("Bid again: $6.00")
    ann.sees_price("$6.50")
    bob.sees_price("$6.50")
    bob.sees("You lead.")


def test_the_end_is_told_to_winner_and_loser(person: People, name: Name, listed: Callable[..., str]):
    auction, ann, bob = listed(reserve_price=50 * USD, buy_now_price=80 * USD), person(), person()
    for one, text in ((ann, "ann"), (bob, "bob")):
        one.page.goto(f"/auctions/{auction}")
        one.register(name(text))
        one.get_play_money()
    ann.bid("5")
    ann.sees("You lead.")
    ann.sees("Reserve not met")
    bob.sees_price("$1.00")
    bob.page.get_by_role("button", name="Buy now for $80").click()
    bob.tap("Yes, buy it")
    bob.sees("It’s yours")
    ann.sees("Not this time")
    ann.sees_price("$80.00")


def test_a_refusal_keeps_the_amount_and_says_why(person: People, name: Name, listed: Callable[..., str]):
    ann = person()
    ann.page.goto(f"/auctions/{listed()}")
    ann.register(name("ann"))
    ann.bid("7.50")
    ann.sees("You have $0.00 available.")
    expect(ann.page.get_by_label("Your maximum")).to_have_value("7.50")
    expect(ann.page.locator(".ladder li")).to_have_count(0)


def test_while_the_connection_is_cut_bidding_is_off_and_nothing_is_missed(
    person: People, name: Name, listed: Callable[..., str]
):
    auction, ann, bob = listed(), person(), person()
    for one, text in ((ann, "ann"), (bob, "bob")):
        one.page.goto(f"/auctions/{auction}")
        one.register(name(text))
        one.get_play_money()
    ann.bid("5")
    ann.sees("You lead.")
    mark(ann.page)

    ann.line.cut()
    ann.sees("Connection lost. Prices are as of")
    expect(ann.page.get_by_role("button", name="Raise to")).to_be_disabled()
    bob.sees_price("$1.00")
    bob.bid("20")
    bob.sees("You lead.")

    ann.line.mend()
    ann.sees("You were outbid.")
    ann.sees_price("$5.50")
    expect(ann.page.get_by_text("Connection lost.")).to_have_count(0)
    expect(ann.page.locator(".ladder li")).to_have_count(2)
    assert ann.page.evaluate("window.untouched"), "the page was not loaded again"


def mark(page: Page) -> None:
    page.evaluate("window.untouched = true")


def test_a_page_that_is_none_and_an_auction_that_is_none_say_so(person: People):
    ann = person()
    ann.page.goto("/auctions/0000000000000")
    ann.sees("There is no such auction")


@pytest.mark.parametrize("width", [360, 768, 1440])
@pytest.mark.parametrize("path", ["/", "/register", "/login", "auction"])
def test_no_page_is_wider_than_the_screen(person: People, listed: Callable[..., str], width: int, path: str):
    auction, ann = listed(starting_price=123_456_780_000), person(viewport={"width": width, "height": 800})
    ann.page.goto(f"/auctions/{auction}" if path == "auction" else path)
    expect(ann.page.get_by_role("heading", level=1)).to_be_visible()
    assert ann.page.evaluate("document.documentElement.scrollWidth") <= width
