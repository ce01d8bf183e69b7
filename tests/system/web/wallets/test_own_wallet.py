"""Money between the engine and a wallet of the user's own, which signs by the Wallet Standard, in a real browser."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from browsers import Person
from cards import Curator
from engines import SharedEngine, until
from playwright.sync_api import Route, expect
from wallet_standard import StandardWallet

from tests.system.test_wallets import Chain

pytestmark = pytest.mark.timeout(400)

People = Callable[..., Person]
Name = Callable[[str], str]
USD, SOL = 1_000_000, 1_000_000_000
# Finality takes 32 slots of 400 ms, more on a busy machine.
WITHIN_S = 120.0


def linked(one: Person, wallet: StandardWallet | None = None) -> StandardWallet:
    """On the page of the wallet, which opens."""
    wallet = wallet or StandardWallet(one, "transactions")
    one.page.goto("/wallet")
    one.page.get_by_role("tab", name="Wallets").click()
    one.page.get_by_role("button", name="Link Test Wallet").click()
    expect(one.page.get_by_role("button", name=f"Unlink: {wallet.address}")).to_be_visible(timeout=30_000)
    return wallet


def test_a_wallet_deposits_and_gets_a_withdrawal_and_a_refusal_changes_nothing(
    engine: SharedEngine, person: People, name: Name
):
    ann, chain = person(), Chain(engine)
    page = ann.page
    page.goto("/")
    ann.register(name("ownwallet"))
    wallet = linked(ann)
    chain.call("requestAirdrop", wallet.address, SOL)
    chain.call("ece_airdropUsdc", wallet.address, 30 * USD)
    until(lambda: chain.usdc_of(wallet.address) == 30 * USD, WITHIN_S, "the wallet has money")
    page.get_by_role("tab", name="Deposit").click()
    page.get_by_label("USDC from your wallet").fill("12.50")
    page.get_by_role("button", name="Look at it first").click()
    dialog = page.get_by_role("dialog")
    for shown in ("$12.50", wallet.address, "SOL"):
        expect(dialog.get_by_text(shown).first).to_be_visible(timeout=30_000)
    wallet.refuses = True
    dialog.get_by_role("button", name="Sign with Test Wallet").click()
    expect(dialog.get_by_role("alert")).to_contain_text("everything is as it was", timeout=30_000)
    ann.is_accessible()
    assert chain.usdc_of(wallet.address) == 30 * USD
    wallet.refuses = False
    dialog.get_by_role("button", name="Sign with Test Wallet").click()
    expect(page.get_by_role("status").get_by_text("It has arrived.").first).to_be_visible(timeout=WITHIN_S * 1000)
    expect(page.locator(".figures .price").first).to_have_text("$12.50", timeout=30_000)
    until(lambda: chain.usdc_of(wallet.address) == 17_500_000, WITHIN_S, "the wallet has less")
    page.get_by_role("tab", name="Withdraw").click()
    page.get_by_label("Amount, in $").fill("5")
    expect(page.get_by_role("radio", name=wallet.address)).to_be_checked(timeout=20_000)
    page.get_by_role("button", name="Withdraw", exact=True).click()
    for shown in ("In your linked wallet", wallet.address):
        expect(page.get_by_role("dialog").get_by_text(shown)).to_be_visible()
    page.get_by_role("dialog").get_by_role("button", name="Yes, pay it out").click()
    until(lambda: chain.usdc_of(wallet.address) == 22_500_000, WITHIN_S, "the withdrawal is in the wallet")
    expect(page.locator(".figures .price").first).to_have_text("$7.50", timeout=30_000)


def test_a_card_that_was_withdrawn_is_brought_back(
    engine: SharedEngine, person: People, name: Name, curator: Curator, post: Callable[..., dict[str, Any]]
):
    ann, chain, called = person(), Chain(engine), name("bringsback")
    page = ann.page
    page.goto("/")
    ann.register(called)
    wallet = linked(ann)

    def get(path: str) -> dict[str, Any]:
        found: dict[str, Any] = page.evaluate("path => fetch(`/api/v1${path}`).then(answer => answer.json())", path)
        return found

    def is_at(holder: str, place: str) -> bool:
        held = get(f"/copies/{copy}/ownership")
        return (held["holder"], held["place"], held["moving"]) == (holder, place, False)

    chain.call("requestAirdrop", wallet.address, SOL)
    [copy] = curator.copies(curator.card("Homing Pigeon"), called)
    mint = post(called, "/mints", {"copies": [copy]})["id"]
    until(lambda: get(f"/mints/{mint}")["state"] == "done", WITHIN_S, "the card is minted")
    post(called, f"/wallets/cards/{copy}/withdraw", {"address": wallet.address})
    until(lambda: is_at(wallet.address, "withdrawn"), WITHIN_S, "the wallet has the card")
    page.reload()
    page.get_by_role("tab", name="Deposit").click()
    page.get_by_role("list", name="Your cards outside").get_by_role("button", name="Bring back: Homing Pigeon").click()
    dialog = page.get_by_role("dialog")
    custodial = get("/wallets")["custodial"]["address"]
    for shown in ("Homing Pigeon", wallet.address, custodial):
        expect(dialog.get_by_text(shown).first).to_be_visible(timeout=30_000)
    wallet.refuses = True
    dialog.get_by_role("button", name="Sign with Test Wallet").click()
    expect(dialog.get_by_role("alert")).to_contain_text("everything is as it was", timeout=30_000)
    assert is_at(wallet.address, "withdrawn")
    wallet.refuses = False
    dialog.get_by_role("button", name="Sign with Test Wallet").click()
    expect(page.get_by_role("status").get_by_text("It has arrived.").first).to_be_visible(timeout=WITHIN_S * 1000)
    until(lambda: is_at(custodial, "free"), WITHIN_S, "the custodial wallet has the card")
    expect(page.get_by_role("button", name="Bring back: Homing Pigeon")).to_have_count(0, timeout=30_000)


def test_a_wallet_that_signs_only_what_it_sends_deposits_on_public_chains_alone(
    engine: SharedEngine, person: People, name: Name
):
    ann, chain = person(), Chain(engine)
    page = ann.page
    page.goto("/")
    ann.register(name("sends"))
    encoding = {"encoding": "base64"}
    wallet = StandardWallet(ann, "sending", send=lambda signed: chain.call("sendTransaction", signed, encoding))
    linked(ann, wallet)
    chain.call("requestAirdrop", wallet.address, SOL)
    chain.call("ece_airdropUsdc", wallet.address, 30 * USD)
    until(lambda: chain.usdc_of(wallet.address) == 30 * USD, WITHIN_S, "the wallet has money")
    page.get_by_role("tab", name="Deposit").click()
    page.get_by_label("USDC from your wallet").fill("12.50")
    page.get_by_role("button", name="Look at it first").click()
    ann.sees("This wallet signs only what it sends itself")
    expect(page.get_by_role("dialog")).to_have_count(0)

    def on_a_public_chain(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"chain": "solana:devnet"})

    # The chain of the tests is a local one, whatever it is called.
    page.route(re.compile("/wallets/deposits/transactions$"), on_a_public_chain)
    page.get_by_role("button", name="Look at it first").click()
    page.get_by_role("dialog").get_by_role("button", name="Sign with Test Wallet").click(timeout=30_000)
    expect(page.get_by_role("status").get_by_text("It has arrived.").first).to_be_visible(timeout=WITHIN_S * 1000)
    expect(page.locator(".figures .price").first).to_have_text("$12.50", timeout=30_000)
    assert wallet.sent_to == ["solana:devnet"]
    assert chain.usdc_of(wallet.address) == 17_500_000


def test_a_linked_wallet_is_unlinked_and_then_deposits_nothing(person: People, name: Name):
    ann = person()
    ann.expects_refusals_of("/wallets/deposits/transactions")
    ann.page.goto("/")
    ann.register(name("unlinked"))
    wallet = linked(ann)
    ann.page.get_by_role("button", name=f"Unlink: {wallet.address}").click()
    ann.sees("None is linked.")
    ann.page.get_by_role("tab", name="Deposit").click()
    ann.page.get_by_label("USDC from your wallet").fill("1")
    ann.page.get_by_role("button", name="Look at it first").click()
    ann.sees("This wallet is not linked to your account")
