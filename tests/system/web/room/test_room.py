"""The auction room beyond a plain bid: the user's own limit, a killed gateway, and why one lost."""

import os
import signal
from collections.abc import Callable

import pytest
from browsers import Person
from engines import SharedEngine
from playwright.sync_api import expect

pytestmark = pytest.mark.timeout(400)

People = Callable[..., Person]
Name = Callable[[str], str]


def bidder(person: People, called: str, auction: str) -> Person:
    one = person()
    one.page.goto(f"/auctions/{auction}")
    one.register(called)
    one.get_play_money()
    return one


def test_a_bid_above_ones_own_limit_is_sent_once_it_is_confirmed(
    person: People, name: Name, listed: Callable[..., str]
):
    auction = listed()
    ann = bidder(person, name("ann"), auction)
    ann.page.goto("/settings#bidding")
    ann.page.get_by_label("Ask above (USD)").fill("20")
    ann.page.locator("#bidding").get_by_role("button", name="Save", exact=True).click()
    expect(ann.page.get_by_text("Saved", exact=True)).to_be_visible()

    ann.page.goto(f"/auctions/{auction}")
    ann.page.get_by_label("Your maximum").fill("25")
    ann.page.get_by_role("button", name="Bid up to $25").click()
    asked = ann.page.get_by_role("dialog")
    expect(asked.get_by_text("$975.00")).to_be_visible()
    ann.is_accessible()
    ann.page.keyboard.press("Escape")
    expect(asked).to_have_count(0)
    expect(ann.page.locator(".ladder li")).to_have_count(0)
    expect(ann.page.get_by_label("Your maximum")).to_have_value("25")

    ann.page.get_by_role("button", name="Bid up to $25").click()
    asked.get_by_role("button", name="Bid up to $25").click()
    ann.sees("Your maximum is $25.00.")


def test_a_bid_during_which_the_gateway_is_killed_counts_once(
    engine: SharedEngine, person: People, name: Name, listed: Callable[..., str]
):
    ann = bidder(person, name("ann"), listed())
    ann.expects_refusals_of("/ws")
    ann.expects_refusals_of("/api/v1/")
    gateway = engine.children()["gateway"]
    # It takes the frame, and answers nobody.
    os.kill(gateway, signal.SIGSTOP)
    try:
        ann.page.get_by_label("Your maximum").fill("7.50")
        ann.page.get_by_role("button", name="Bid up to").click()
        expect(ann.page.locator(".ladder li.pending")).to_be_visible()
    finally:
        os.kill(gateway, signal.SIGKILL)
    engine.wait_until_ready()
    # No further tap: the page connects anew and sends the same key again.
    expect(ann.page.get_by_text("You lead.").first).to_be_visible(timeout=70_000)
    expect(ann.page.locator(".ladder li")).to_have_count(1)
    expect(ann.page.locator(".ladder li.own")).to_have_count(1)


def test_the_loser_goes_through_the_log_and_sees_the_rule_that_decided(
    person: People, name: Name, listed: Callable[..., str]
):
    auction = listed(buy_now_price=500_000_000, reserve_price=400_000_000)
    ann, bob = bidder(person, name("ann"), auction), bidder(person, name("bob"), auction)
    ann.bid("5")
    ann.sees("You lead.")
    bob.sees_price("$1.00")
    bob.bid("20")
    bob.sees("You lead.")
    ann.sees("You were outbid.")
    ann.tap("Bid again: $6.00")
    ann.sees_price("$6.50")
    bob.page.get_by_role("button", name="Buy now for $500").click()
    bob.tap("Yes, buy it")
    bob.sees("It’s yours")

    ann.page.get_by_role("link", name="Why did I lose?").click()
    ann.sees("Somebody bought it at once for $500.00")
    words, page = ann.page.locator(".step-words"), ann.page
    expect(words).to_contain_text("bought it for $500.00")
    page.keyboard.press("ArrowLeft")
    expect(words).to_contain_text("You bid, and bob")
    expect(words).to_contain_text("$6.00 against $20.00.")
    expect(page.locator(".step-list li.own")).to_have_count(2)
    expect(page.locator(".chart-mark")).to_have_count(2)
    page.get_by_role("slider", name="Step").focus()
    page.keyboard.press("Home")
    expect(words).to_contain_text("listed it, from $1.00")


def test_while_it_runs_the_log_hides_the_maxima_of_others(person: People, name: Name, listed: Callable[..., str]):
    auction = listed()
    ann, guest = bidder(person, name("ann"), auction), person()
    ann.bid("77")
    ann.sees("You lead.")
    guest.page.goto(f"/auctions/{auction}/log")
    guest.sees("This auction is still open")
    expect(guest.page.locator(".step-words")).to_contain_text("bid first")
    expect(guest.page.get_by_text("$77")).to_have_count(0)
    ann.page.goto(f"/auctions/{auction}/log")
    ann.sees("Up to $77.00.")
