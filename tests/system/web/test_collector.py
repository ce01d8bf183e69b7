"""Collectors trade, see what they own, and what happened to their money, in real browsers on a real engine."""

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from browsers import PASSWORD, Person
from engines import SharedEngine, until
from playwright.sync_api import expect

pytestmark = pytest.mark.timeout(400)

People = Callable[..., Person]
Name = Callable[[str], str]
Post = Callable[..., dict[str, Any]]
_numbers = itertools.count(1)


@pytest.fixture
def copy_of(engine: SharedEngine, post: Post) -> Callable[[str, str], str]:
    """Makes a card with this name and one copy of it for a user; the id of the copy."""
    operator = f"curator{next(_numbers)}"
    user = {"email": f"{operator}@example.org", "username": operator, "password": PASSWORD}
    httpx.post(f"{engine.base_url}/api/v1/auth/register", json=user, timeout=30, trust_env=False).raise_for_status()
    environment = {**os.environ, "ECE_DATA_DIR": str(engine.data_dir.path)}
    command = [sys.executable, "-m", "ece.cli", "roles", "grant", operator, "admin"]
    subprocess.run(command, env=environment, check=True, timeout=60)

    def make(owner: str, card: str) -> str:
        code = f"web{next(_numbers)}"
        body = {"set": code, "number": "1", "name": card, "rarity": "rare"}
        post(operator, "/admin/catalog/cards", body)
        found = httpx.get(f"{engine.base_url}/api/v1/catalog/cards", params={"set": code}, trust_env=False).json()
        made = post(operator, f"/admin/catalog/cards/{found['items'][0]['id']}/copies", {"count": 1, "owner": owner})
        return str(made["copies"][0])

    return make


def registered(make: People, name: Name, text: str, **options: object) -> tuple[Person, str]:
    one, called = make(**options), name(text)
    one.page.goto("/")
    one.register(called)
    return one, called


def test_two_browsers_negotiate_a_trade_until_it_is_executed(
    person: People, name: Name, copy_of: Callable[[str, str], str], post: Post
):
    ann, ann_name = registered(person, name, "ann")
    bob, bob_name = registered(person, name, "bob", reduced_motion="reduce")
    copy_of(ann_name, "Sunfish"), copy_of(bob_name, "Moonfish")
    post(ann_name, "/ledger/deposits", {"amount": 50_000_000, "currency": "USDC"})

    ann.page.goto(f"/users/{bob_name}")
    ann.page.get_by_role("link", name="Offer a trade").click()
    ann.page.get_by_role("checkbox", name="Sunfish").check()
    ann.page.get_by_role("checkbox", name="Moonfish").check()
    ann.page.get_by_label("A few words").fill("Mine for yours?")
    ann.page.get_by_role("button", name="Send the offer").click()
    ann.sees("You accepted. Waiting for")

    bob.page.goto("/trades")
    expect(bob.page.get_by_text("Your turn")).to_be_visible(timeout=20_000)
    bob.page.get_by_role("link", name=f"Trade with {ann_name}").click()
    bob.sees("Mine for yours?")
    ann.sees("here now")
    message = bob.page.get_by_label("Message")

    def typing_is_seen() -> bool:
        # A signal may be lost: whoever types goes on.
        message.press_sequentially("a")
        return ann.page.get_by_text(f"{bob_name} is typing").is_visible()

    until(typing_is_seen, 20, "the other one sees that somebody types")
    message.fill("Add a dollar")
    message.press("Enter")
    expect(ann.page.get_by_role("list", name="Messages").get_by_text("Add a dollar")).to_be_visible()
    bob.is_accessible()

    bob.page.get_by_role("button", name="Make a counter-offer").click()
    bob.page.get_by_label(f"{ann_name} gives and money").fill("1")
    bob.is_accessible()
    bob.page.get_by_role("button", name="Send the counter-offer").click()
    ann.sees("waits for your answer")
    bob.page.get_by_role("link", name="All trades").click()
    bob.sees(f"Waiting for {ann_name}")
    bob.page.get_by_role("link", name=f"Trade with {ann_name}").click()
    expect(ann.page.locator(".side-money")).to_have_text("$1.00")
    ann.page.get_by_role("button", name="Accept this offer").click()
    for one in (ann, bob):
        one.page.get_by_role("button", name="Confirm the trade").click()
        one.page.get_by_role("button", name="Yes, exchange").click()
    for one in (ann, bob):
        one.sees("Cards and money have changed owners.")
    ann.page.get_by_role("link", name="To your portfolio").click()
    expect(ann.page.get_by_role("list", name="Your cards").get_by_text("Moonfish", exact=True)).to_be_visible()


def test_a_trade_that_is_declined_ends_for_both_and_is_no_business_of_others(
    person: People, name: Name, copy_of: Callable[[str, str], str]
):
    (ann, _), (bob, bob_name) = registered(person, name, "ann"), registered(person, name, "bob")
    copy = copy_of(bob_name, "Starfish")
    ann.page.goto(f"/trades/new?copy={copy}")
    ann.page.get_by_label("You give and money").fill("3")
    expect(ann.page.get_by_role("checkbox", name="Starfish")).to_be_checked()
    ann.page.get_by_role("button", name="Send the offer").click()
    ann.sees("You accepted. Waiting for")
    address = ann.page.url
    bob.page.goto(address)
    bob.page.get_by_role("button", name="Decline").click()
    bob.is_accessible()
    bob.page.get_by_role("dialog").get_by_role("button", name="Decline").click()
    for one in (ann, bob):
        one.sees("It was declined.")
    eve, _ = registered(person, name, "eve")
    eve.page.goto(address)
    eve.sees("There is no such trade")


def test_what_was_bought_is_in_the_portfolio_and_its_price_in_the_ledger(
    person: People, name: Name, copy_of: Callable[[str, str], str], post: Post
):
    (ann, _), (_, seller) = registered(person, name, "ann"), registered(person, name, "seller")
    copy = copy_of(seller, "Lanternfish")
    terms = {"title": "A lanternfish", "format": "english", "starting_price": 1_000_000, "buy_now_price": 8_000_000}
    auction = post(seller, "/auctions", terms | {"duration_ms": 3_600_000, "copies": [copy]})["id"]

    ann.page.goto(f"/auctions/{auction}")
    ann.get_play_money()
    ann.page.get_by_role("button", name="Buy now for $8").click()
    ann.tap("Yes, buy it")
    ann.sees("The card is in your collection.")
    ann.page.goto("/portfolio")
    row = ann.page.get_by_role("list", name="Your cards").get_by_role("listitem")
    expect(row).to_contain_text("Lanternfish")
    expect(row).to_contain_text("paid $8.00")
    expect(row.get_by_role("link", name="Sell")).to_have_attribute("href", f"/sell?copy={copy}")

    ann.page.goto("/wallet")
    ann.sees("$992.00")
    entries = ann.page.get_by_role("list", name="Ledger")
    expect(entries.get_by_text("-$")).not_to_have_count(0)
    entries.get_by_role("button", name="Receipt: Sale").first.click()
    expect(ann.page.get_by_role("dialog")).to_contain_text("You bought")
    ann.is_accessible()


def test_a_deposit_is_an_entry_of_the_ledger_and_the_address_is_shown(person: People, name: Name):
    ann, _ = registered(person, name, "ann")
    ann.page.goto("/wallet")
    ann.sees("No entries yet")
    ann.page.get_by_role("tab", name="Deposit").click()
    expect(ann.page.get_by_role("img", name="QR code of your deposit address")).to_be_visible()
    assert 32 <= len(ann.page.locator(".own-address code").inner_text()) <= 44
    ann.page.get_by_role("button", name="of play money").click()
    ann.page.get_by_role("tab", name="Ledger").click()
    expect(ann.page.get_by_role("list", name="Ledger").get_by_role("listitem")).to_contain_text("+$1,000.00")
