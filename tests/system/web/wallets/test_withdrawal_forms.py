"""Where money and cards go: to a linked wallet that is chosen, or to an address that is typed and compared."""

from collections.abc import Callable
from typing import Any

import pytest
from browsers import Person
from engines import SharedEngine, until
from playwright.sync_api import expect
from solders.keypair import Keypair
from test_accessibility import WIDTHS
from wallet_standard import StandardWallet

from tests.system.test_wallets import Chain

pytestmark = pytest.mark.timeout(400)

People = Callable[..., Person]
Name = Callable[[str], str]
Post = Callable[..., dict[str, Any]]
USD = 1_000_000
# Finality takes 32 slots of 400 ms, more on a busy machine.
WITHIN_S = 120.0


def at_withdrawals(one: Person) -> None:
    one.page.goto("/wallet?tab=withdraw")
    expect(one.page.get_by_role("heading", name="Withdraw USDC")).to_be_visible(timeout=20_000)


def test_without_a_linked_wallet_one_is_linked_first_or_an_address_is_typed_and_compared(
    engine: SharedEngine, person: People, name: Name, post: Post
):
    ann, called = person(reduced_motion="reduce"), name("typed")
    ann.expects_refusals_of("/ledger/withdrawals")
    page, chain, outside = ann.page, Chain(engine), str(Keypair().pubkey())
    page.goto("/")
    ann.register(called)
    post(called, "/ledger/deposits", {"amount": 20 * USD, "currency": "USDC"})
    wallet = StandardWallet(ann, "transactions")
    at_withdrawals(ann)
    ann.sees("You have linked no wallet yet.")
    page.get_by_label("Amount, in $").fill("5")
    page.get_by_label("To the address").fill(outside[:20])
    page.get_by_role("button", name="Withdraw", exact=True).click()
    ann.sees("This is no address of Solana")
    page.get_by_label("To the address").fill(engine_address(engine))
    page.get_by_role("button", name="Withdraw", exact=True).click()
    dialog = page.get_by_role("dialog")
    yes = dialog.get_by_role("button", name="Yes, pay it out")
    yes.click()
    assert page.evaluate("document.querySelector('dialog form').checkValidity()") is False
    dialog.get_by_role("checkbox", name="I have compared this address").check()
    yes.click()
    expect(dialog.get_by_role("alert")).to_contain_text("not of a wallet", timeout=20_000)
    ann.is_accessible()
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_have_count(0)

    page.get_by_label("To the address").fill(outside)
    page.get_by_role("button", name="Withdraw", exact=True).click()
    for shown in ("You withdraw", "None: the house pays that of the network", "At the address that you typed", outside):
        expect(dialog.get_by_text(shown)).to_be_visible()
    dialog.get_by_role("checkbox", name="I have compared this address").check()
    ann.is_accessible()
    yes.click()
    until(lambda: chain.usdc_of(outside) == 5 * USD, WITHIN_S, "all of it has arrived")

    page.get_by_role("link", name="Link a wallet").click()
    page.get_by_role("button", name="Link Test Wallet").click()
    expect(page.get_by_role("button", name=f"Unlink: {wallet.address}")).to_be_visible(timeout=30_000)
    page.get_by_role("tab", name="Withdraw").click()
    expect(page.get_by_role("radio", name=wallet.address)).to_be_checked(timeout=20_000)
    expect(page.get_by_label("To the address")).to_have_count(0)


def engine_address(engine: SharedEngine) -> str:
    """Of the mint of USDC: nobody has a wallet there."""
    state = engine.data_dir.read_state()
    assert state is not None
    return str(state.usdc_mint)


def test_the_form_fits_with_a_linked_wallet(person: People, name: Name):
    ann = person(reduced_motion="reduce")
    ann.page.goto("/")
    ann.register(name("fits"))
    wallet = StandardWallet(ann, "transactions")
    ann.page.goto("/wallet?tab=wallets")
    ann.page.get_by_role("button", name="Link Test Wallet").click()
    expect(ann.page.get_by_role("button", name=f"Unlink: {wallet.address}")).to_be_visible(timeout=30_000)
    at_withdrawals(ann)
    ann.page.get_by_role("radio", name="Another address").check()
    expect(ann.page.get_by_label("To the address")).to_be_visible()
    for width in WIDTHS:
        ann.page.set_viewport_size({"width": width, "height": 900})
        assert ann.page.evaluate("document.documentElement.scrollWidth") <= width, width
        ann.is_accessible()
