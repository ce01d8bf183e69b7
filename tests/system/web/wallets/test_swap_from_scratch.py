"""A card leaves for its owner's wallet, and is swapped for money of another wallet: proposed and signed in browsers."""

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from browsers import Person
from cards import Curator
from engines import SharedEngine, until
from playwright.sync_api import expect
from test_accessibility import WIDTHS
from wallet_standard import StandardWallet

from tests.system.test_wallets import Chain

pytestmark = pytest.mark.timeout(500)

People = Callable[..., Person]
Name = Callable[[str], str]
Post = Callable[..., dict[str, Any]]
USD = 1_000_000
# Finality takes 32 slots of 400 ms, more on a busy machine.
WITHIN_S = 120.0


def linked(make: People, called: str) -> tuple[Person, StandardWallet]:
    """Somebody with a wallet of their own."""
    one = make(reduced_motion="reduce")
    one.page.goto("/")
    one.register(called)
    wallet = StandardWallet(one, "transactions")
    one.page.goto("/wallet?tab=wallets")
    one.page.get_by_role("button", name="Link Test Wallet").click()
    expect(one.page.get_by_role("button", name=f"Unlink: {wallet.address}")).to_be_visible(timeout=30_000)
    return one, wallet


def ownership(engine: SharedEngine, copy: str) -> dict[str, Any]:
    answer = httpx.get(f"{engine.base_url}/api/v1/copies/{copy}/ownership", timeout=30, trust_env=False)
    found: dict[str, Any] = answer.json()
    return found if answer.is_success else {}


def test_a_card_is_withdrawn_to_a_linked_wallet_and_swapped_for_money_of_another(
    engine: SharedEngine, person: People, name: Name, curator: Curator, post: Post
):
    ann_name, bob_name, chain = name("ann"), name("bob"), Chain(engine)
    (ann, hers), (bob, his) = linked(person, ann_name), linked(person, bob_name)
    [copy] = curator.copies(curator.card("Travelling Tern"), ann_name)
    post(ann_name, "/mints", {"copies": [copy]})
    until(lambda: ownership(engine, copy), WITHIN_S, "the card is minted")
    ann.page.goto("/portfolio")
    ann.page.get_by_role("button", name="Withdraw", exact=True).click()
    dialog = ann.page.get_by_role("dialog")
    expect(dialog.get_by_role("radio", name=hers.address)).to_be_checked(timeout=20_000)
    dialog.get_by_role("button", name="Next").click()
    expect(dialog.get_by_text("In your linked wallet")).to_be_visible()
    dialog.get_by_role("button", name="Withdraw", exact=True).click()
    expect(dialog).to_have_count(0, timeout=20_000)
    until(lambda: ownership(engine, copy).get("holder") == hers.address, WITHIN_S, "the card is in the wallet")

    chain.call("ece_airdropUsdc", his.address, 10 * USD)
    until(lambda: chain.usdc_of(his.address) == 10 * USD, WITHIN_S, "the other wallet has money")
    bob.page.goto("/trades?tab=swaps")
    bob.page.get_by_role("link", name="Propose a swap").click()
    bob.page.get_by_label("Username").fill(ann_name)
    bob.page.get_by_role("list", name=re.compile("found")).get_by_role("link", name=ann_name, exact=True).click()
    bob.page.get_by_role("checkbox", name="Travelling Tern").check()
    bob.page.get_by_label("You give and money").fill("10")
    expect(bob.page.locator(".sums")).to_contain_text(f"{ann_name} gets", timeout=20_000)
    expect(bob.page.get_by_text(hers.address)).to_be_visible()
    for width in WIDTHS:
        bob.page.set_viewport_size({"width": width, "height": 900})
        assert bob.page.evaluate("document.documentElement.scrollWidth") <= width, width
        bob.is_accessible()
    fee = bob.page.locator(".sums dd").nth(1).inner_text()
    assert re.fullmatch(r"-\$0\.\d\d", fee)
    bob.page.get_by_role("button", name="Propose a swap").click()
    bob.sees(f"Swap with {ann_name}")

    ann.page.goto("/trades?tab=swaps")
    for one in (bob, ann):
        one.page.get_by_role("button", name="Sign with Test Wallet").click(timeout=WITHIN_S * 1000)
        one.sees("Signed.")
    for one in (ann, bob):
        swaps = one.page.get_by_role("list", name="Between wallets")
        expect(swaps.get_by_text("Done", exact=True)).to_be_visible(timeout=WITHIN_S * 1000)
    until(lambda: ownership(engine, copy).get("holder") == his.address, WITHIN_S, "the card has changed wallets")
    assert chain.usdc_of(hers.address) == 10 * USD - round(float(fee.removeprefix("-$")) * USD)
    assert chain.usdc_of(his.address) == 0


def test_who_has_linked_no_wallet_is_told_to_link_one(person: People, name: Name):
    ann = person()
    ann.page.goto("/")
    ann.register(name("unlinked"))
    ann.page.goto("/trades/swaps/new")
    ann.sees("Link a wallet first")
    ann.page.get_by_role("link", name="Link a wallet").click()
    expect(ann.page.get_by_role("heading", name="Your own wallets")).to_be_visible(timeout=20_000)
