"""Wallet apps of an Android phone, by the Mobile Wallet Adapter protocol, in Chromium as a phone's."""

from collections.abc import Callable, Iterator

import pytest
from browsers import Person
from engines import SharedEngine, until
from playwright.sync_api import expect
from wallet_app import PHONE, WalletApp

from tests.system.test_wallets import USD, Chain

pytestmark = pytest.mark.timeout(400)

People = Callable[..., Person]
Name = Callable[[str], str]
SOL = 1_000_000_000
# Finality takes 32 slots of 400 ms, more on a busy machine.
WITHIN_S = 120.0


@pytest.fixture
def ann(person: People) -> Person:
    return person(**PHONE)


@pytest.fixture
def app(ann: Person) -> Iterator[WalletApp]:
    made = WalletApp(ann)
    yield made
    assert made.faults == []


def test_a_wallet_app_is_linked_and_signs_a_deposit(engine: SharedEngine, ann: Person, app: WalletApp, name: Name):
    page, chain = ann.page, Chain(engine)
    page.goto("/register")
    ann.register(name("phone"))
    page.goto("/wallet")
    page.get_by_role("tab", name="Wallets").click()
    page.get_by_role("button", name="Link Wallet app").click()
    expect(page.get_by_role("button", name=f"Unlink: {app.address}")).to_be_visible(timeout=60_000)
    # One visit of the app: it says who it is, and signs the text of the server.
    assert app.sessions == [["authorize", "authorize"]]
    assert app.identities[0]["uri"] == engine.base_url

    chain.call("requestAirdrop", app.address, SOL)
    chain.call("ece_airdropUsdc", app.address, 30 * USD)
    until(lambda: chain.usdc_of(app.address) == 30 * USD, WITHIN_S, "the wallet has money")
    # After a reload the app is asked for an account again.
    page.reload()
    page.get_by_role("tab", name="Deposit").click()
    page.get_by_label("USDC from your wallet").fill("12.50")
    page.get_by_role("button", name="Look at it first").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text(app.address).first).to_be_visible(timeout=60_000)
    app.refuses = True
    dialog.get_by_role("button", name="Sign with Wallet app").click()
    expect(dialog.get_by_role("alert")).to_contain_text("everything is as it was", timeout=60_000)
    app.refuses = False
    dialog.get_by_role("button", name="Sign with Wallet app").click()
    expect(page.get_by_role("status").get_by_text("It has arrived.").first).to_be_visible(timeout=WITHIN_S * 1000)
    until(lambda: chain.usdc_of(app.address) == 17_500_000, WITHIN_S, "the wallet has less")
    # Whoever signs within three seconds of that does so in the same session.
    asked = [method for session in app.sessions[1:] for method in session]
    assert asked == ["authorize", *["authorize", "sign_transactions"] * 2]


@pytest.mark.parametrize("signs_in", [True, False], ids=["by sign-in", "by a message"])
def test_a_wallet_app_logs_in(ann: Person, signs_in: bool):
    app = WalletApp(ann, signs_in)
    ann.page.goto("/login")
    ann.page.get_by_role("button", name="Log in with Wallet app").click()
    ann.is_logged_in("collector_")
    assert app.sessions == [["authorize"] if signs_in else ["authorize", "sign_messages"]]
    assert app.faults == []


def test_a_session_that_the_app_ends_is_not_waited_for(ann: Person, app: WalletApp):
    app.hangs_up = True
    ann.page.goto("/login")
    ann.page.get_by_role("button", name="Log in with Wallet app").click()
    ann.sees("The wallet app has ended the connection. Nothing was signed.")
    app.hangs_up = False
    ann.page.get_by_role("button", name="Log in with Wallet app").click()
    ann.is_logged_in("collector_")


def test_a_phone_without_a_wallet_app_says_so_and_names_another_way(ann: Person):
    ann.page.goto("/login")
    ann.page.get_by_role("button", name="Log in with Wallet app").click()
    ann.sees("No wallet app has opened.")
    expect(ann.page.get_by_role("link", name="Open in Phantom")).to_be_visible()


def test_a_computer_has_no_wallet_apps(person: People):
    bob = person()
    bob.page.goto("/login")
    expect(bob.page.get_by_role("button", name="Log in", exact=True)).to_be_visible()
    assert (
        bob.page.evaluate("fetch('/').then(answer => answer.headers.get('content-security-policy'))").count("ws:") == 0
    )
    expect(bob.page.get_by_role("button", name="Log in with Wallet app")).to_have_count(0)
