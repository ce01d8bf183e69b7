"""What somebody is shown before their own wallet signs a deposit."""

from collections.abc import Callable

import pytest
from browsers import Person
from engines import SharedEngine, until
from playwright.sync_api import expect
from test_accessibility import violations
from test_own_wallet import SOL, USD, WITHIN_S, linked

from tests.system.test_wallets import Chain

pytestmark = pytest.mark.timeout(400)


def test_the_dialog_before_a_deposit_has_no_violation(
    engine: SharedEngine, person: Callable[..., Person], name: Callable[[str], str]
):
    ann, chain = person(bypass_csp=True, reduced_motion="reduce"), Chain(engine)
    ann.page.goto("/")
    ann.register(name("depositor"))
    wallet = linked(ann)
    chain.call("requestAirdrop", wallet.address, SOL)
    chain.call("ece_airdropUsdc", wallet.address, 30 * USD)
    until(lambda: chain.usdc_of(wallet.address) == 30 * USD, WITHIN_S, "the wallet has money")
    ann.page.get_by_role("tab", name="Deposit").click()
    ann.page.get_by_label("USDC from your wallet").fill("12.50")
    ann.page.get_by_role("button", name="Look at it first").click()
    expect(ann.page.get_by_role("dialog").get_by_text(wallet.address)).to_be_visible(timeout=30_000)
    for theme in ("light", "dark"):
        ann.page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
        for width in (1440, 360):
            ann.page.set_viewport_size({"width": width, "height": 800})
            assert violations(ann) == [], (width, theme)
            assert ann.page.get_by_role("dialog").evaluate("box => box.scrollWidth <= box.clientWidth"), width
