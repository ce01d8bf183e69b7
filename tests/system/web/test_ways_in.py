"""Ways to log in beside a password, in a real browser: a passkey, a wallet of the Wallet Standard, a provider."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from browsers import PASSWORD, ROOT, Person
from engines import Up
from playwright.sync_api import Browser, expect
from wallet_standard import StandardWallet

pytestmark = pytest.mark.timeout(400)

Name = Callable[[str], str]
CLIENT, SECRET = "browser-tests", "a secret of the browser tests"


class Named(Up):
    """With a provider at this address."""

    issuer = ""


@pytest.fixture(scope="module")
def named() -> Iterator[Named]:
    """An engine at a name, which passkeys need, with a provider."""
    with (
        tempfile.TemporaryDirectory(prefix="ece-ways-", ignore_cleanup_errors=True) as home,
        closing(Named(Path(home), ECE_BCRYPT_COST="4")) as up,
    ):
        up.url = f"http://localhost:{up.port}"
        callback = f"{up.url}/api/v1/auth/oidc/acme/callback"
        command = [sys.executable, str(ROOT / "tests/openid_server.py"), CLIENT, SECRET, callback]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as provider:
            assert provider.stdout is not None
            up.issuer = f"http://127.0.0.1:{int(provider.stdout.readline())}"
            acme = {"issuer": up.issuer, "client_id": CLIENT, "client_secret": SECRET}
            up.set(ECE_PUBLIC_URL=up.url, ECE_OIDC_PROVIDERS=json.dumps({"acme": acme}))
            try:
                up.start()
                up.wait_until_ready()
                yield up
            finally:
                provider.kill()


@pytest.fixture
def ann(named: Named, browser: Browser) -> Iterator[Person]:
    one = Person(browser, named.url)
    yield one
    one.context.close()
    assert one.errors == []


def with_authenticator(ann: Person) -> None:
    devtools = ann.context.new_cdp_session(ann.page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def add_passkey(ann: Person) -> None:
    ann.page.goto("/settings/security")
    ann.page.get_by_role("button", name="Add a passkey").click()
    dialog = ann.page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("telephone")
    ann.is_accessible()
    dialog.get_by_label("Your password").fill(PASSWORD)
    dialog.get_by_role("button", name="Add a passkey").click()
    ann.sees("telephone")


def log_in_anew(ann: Person, called: str) -> None:
    """A session that has proved nothing yet: sensitive acts ask for the password again."""
    ann.log_out()
    ann.log_in(called)
    ann.is_logged_in(called)


def prove(ann: Person, what: str, password: str = PASSWORD) -> None:
    dialog = ann.page.get_by_role("dialog")
    dialog.get_by_label("Your password").fill(password)
    dialog.get_by_role("button", name=what).click()


def test_a_passkey_is_added_and_logs_in(ann: Person, name: Name):
    with_authenticator(ann)
    ann.page.goto("/")
    ann.register(called := name("passkey"))
    add_passkey(ann)
    ann.log_out()
    ann.page.goto("/login")
    ann.page.get_by_role("button", name="Log in with a passkey").click()
    ann.is_logged_in(called)


def test_a_passkey_that_was_removed_does_not_log_in(ann: Person, name: Name):
    with_authenticator(ann)
    ann.page.goto("/")
    ann.register(called := name("unkeyed"))
    add_passkey(ann)
    log_in_anew(ann, called)
    ann.page.goto("/settings/security")
    ann.page.get_by_role("button", name="Remove: telephone").click()
    prove(ann, "Remove")
    ann.sees("You have none yet.")
    ann.log_out()
    ann.expects_refusals_of("/auth/passkeys/login")
    ann.page.goto("/login")
    ann.page.get_by_role("button", name="Log in with a passkey").click()
    expect(ann.page.get_by_role("alert").locator(".fault")).to_be_visible(timeout=20_000)
    expect(ann.page.get_by_role("button", name="Log in with a passkey")).to_be_visible()


@pytest.mark.parametrize("features", ["signIn", "signMessage"])
def test_a_wallet_logs_in_and_is_known_again(ann: Person, features: str):
    StandardWallet(ann, features)
    for _ in range(2):
        ann.page.goto("/login")
        ann.page.get_by_role("button", name="Log in with Test Wallet").click()
        ann.is_logged_in("collector_")
        ann.log_out()


def test_a_wallet_is_linked_and_then_logs_in(ann: Person, name: Name):
    StandardWallet(ann, "signIn")
    ann.page.goto("/")
    ann.register(called := name("linked"))
    ann.page.goto("/settings/security")
    ann.page.get_by_role("button", name="Link Test Wallet").click()
    ann.page.get_by_role("dialog").get_by_label("Your password").fill(PASSWORD)
    ann.page.get_by_role("dialog").get_by_role("button", name="Link").click()
    ann.sees("Solana wallet")
    ann.log_out()
    ann.page.goto("/login")
    ann.page.get_by_role("button", name="Log in with Test Wallet").click()
    ann.is_logged_in(called)


def test_the_last_way_to_log_in_cannot_be_removed(ann: Person):
    StandardWallet(ann, "signIn")
    ann.expects_refusals_of("/auth/identities/")
    ann.page.goto("/login")
    ann.page.get_by_role("button", name="Log in with Test Wallet").click()
    ann.is_logged_in("collector_")
    ann.page.goto("/settings/security")
    unlink = ann.page.get_by_role("button", name="Unlink: Solana wallet")
    unlink.click()
    # There is no password: the log-in just now counts.
    ann.page.get_by_role("dialog").get_by_role("button", name="Unlink").click()
    ann.sees("This is the last way to log in to your account: it stays.")
    ann.page.reload()
    expect(unlink).to_be_visible()


def test_a_provider_logs_in_and_leads_back(ann: Person):
    ann.page.goto("/login?next=%2Fnotifications")
    ann.page.get_by_role("button", name="Log in with acme").click()
    ann.is_logged_in("collector_")
    expect(ann.page.get_by_role("heading", name="Notifications", exact=True)).to_be_visible()
    assert "login_code" not in ann.page.url


def test_a_provider_is_linked_and_unlinked(named: Named, ann: Person, name: Name):
    called = name("provided")
    # Somebody whom this engine does not know yet.
    claims = {"sub": called, "email": f"{called}@provider.example"}
    httpx.post(f"{named.issuer}/misbehave", json={"claims": claims}, trust_env=False)
    ann.page.goto("/")
    ann.register(called)
    ann.page.goto("/settings/security")
    ann.page.get_by_role("button", name="Link acme").click()
    prove(ann, "Link")
    unlink = ann.page.get_by_role("button", name="Unlink: acme")
    expect(unlink).to_be_visible(timeout=20_000)
    ann.log_out()
    ann.page.goto("/login")
    ann.page.get_by_role("button", name="Log in with acme").click()
    ann.is_logged_in(called)
    ann.page.goto("/settings/security")
    unlink.click()
    ann.expects_refusals_of("/auth/second-factor/verify")
    prove(ann, "Unlink", "not the password")
    ann.sees("this is not your password")
    expect(unlink).to_have_count(1)
    prove(ann, "Unlink")
    expect(unlink).to_have_count(0)
    ann.log_out()
    # It is somebody else to this engine from now on.
    ann.page.goto("/login")
    ann.page.get_by_role("button", name="Log in with acme").click()
    ann.is_logged_in("collector_")
