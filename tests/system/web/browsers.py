"""Browsers for tests: where one is installed, and what people do in it."""

import os
import shutil
import subprocess
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, WebSocketRoute, expect

ROOT = Path(__file__).parents[3]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NO_BROWSER = "NO BROWSER: these tests need Chromium. Install it (Debian: apt install chromium), or name it in CHROME."
PASSWORD = "correct horse battery"
# The server's own code for a client that was too slow: come back.
COME_BACK = 4001
BUILD_WITHIN_S = 380
AXE = ROOT / "web/node_modules/axe-core/axe.min.js"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
TAPS_MAX = 100


def chromium_path() -> str | None:
    """The Chromium that CHROME names, or one on the PATH."""
    return os.environ.get("CHROME") or next((found for name in NAMES if (found := shutil.which(name))), None)


def build_app() -> None:
    """As `scripts/up` does it: quick where nothing has changed."""
    command = [ROOT / "scripts/web", "build"]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=BUILD_WITHIN_S)
    assert done.returncode == 0, done.stderr


class Line:
    """A browser's connections to the engine, which a test can cut."""

    def __init__(self, context: BrowserContext) -> None:
        self.cut_off = False
        self._open: list[WebSocketRoute] = []
        context.route_web_socket("**/ws", self._connect)

    def _connect(self, route: WebSocketRoute) -> None:
        if self.cut_off:
            route.close(code=COME_BACK)
            return
        route.connect_to_server()
        self._open.append(route)

    def cut(self) -> None:
        self.cut_off = True
        for route in self._open:
            route.close(code=COME_BACK)
        self._open.clear()

    def mend(self) -> None:
        self.cut_off = False


class Person:
    """Someone with a browser of their own. Whatever their pages report as an error is kept."""

    def __init__(self, browser: Browser, base_url: str, **options: object) -> None:
        # A request that a service worker sees is not seen by `route`: tests of the worker allow it.
        options = {"service_workers": "block"} | options
        self.context = browser.new_context(base_url=base_url, **options)  # type: ignore[arg-type]
        self.context.set_default_timeout(20_000)
        self.line = Line(self.context)
        self.errors: list[str] = []
        self.page: Page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.expected: list[str] = []
        # What was asked for just before a log-out may be refused after it.
        self._left = False
        self.page.on("console", self._said)

    def expects_refusals_of(self, path: str) -> None:
        """The browser reports each answer that is a refusal: of this path it is what the test is about."""
        self.expected.append(path)

    def _said(self, message: ConsoleMessage) -> None:
        url = message.location["url"]
        # Of the sockets that `Line` puts in place of the browser's: they hear of a close later.
        if "WebSocket is already in CLOSING" in message.text:
            return
        if self._left and "401" in message.text:
            return
        # A wallet app is tried until it listens.
        if "WebSocket connection to 'ws://localhost:" in message.text and "/solana-wallet" in message.text:
            return
        if message.type == "error" and not any(path in url for path in self.expected):
            self.errors.append(f"{message.text} {url}")

    def register(self, name: str) -> None:
        """From the page where they are, and back to it."""
        page = self.page
        page.get_by_role("link", name="Create account").first.click()
        page.get_by_label("Username").fill(name)
        page.get_by_label("E-mail").fill(f"{name}@example.org")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Create account").click()
        self.is_logged_in(name)

    def log_in(self, name: str, password: str = PASSWORD) -> None:
        """With a password. What follows depends on the account."""
        self.page.goto("/login")
        self.page.get_by_label("Username or e-mail").fill(name)
        self.page.get_by_label("Password", exact=True).fill(password)
        self.page.get_by_role("button", name="Log in", exact=True).click()

    def is_logged_in(self, name: str) -> None:
        expect(self.page.get_by_role("button", name=f"Account of {name}").first).to_be_visible(timeout=20_000)
        self._left = False

    def log_out(self) -> None:
        self.page.get_by_role("button", name="Account of").click()
        self._left = True
        self.page.get_by_role("button", name="Log out").click()
        expect(self.page.get_by_role("link", name="Log in").first).to_be_visible()

    def get_play_money(self) -> None:
        """Offered to whoever has too little."""
        self.page.get_by_role("button", name="of play money").click()
        expect(self.page.get_by_text("$1,000.00 available")).to_be_visible()

    def bid(self, dollars: str) -> None:
        self.page.get_by_label("Your maximum").fill(dollars)
        self.tap("Bid up to")

    def tap(self, button: str) -> None:
        """Tap until it is taken: directly after a change of the price it is not, and the page says so."""
        for _ in range(TAPS_MAX):
            self.page.get_by_role("button", name=button).click()
            if self.page.get_by_text("this tap was not taken").count() == 0:
                return
        raise AssertionError(f"no tap on {button!r} was taken")

    def sees(self, text: str) -> None:
        expect(self.page.get_by_text(text).first).to_be_visible(timeout=20_000)

    def sees_price(self, price: str) -> None:
        expect(self.page.locator(".price-panel .price")).to_have_text(price, timeout=20_000)

    def violations(self) -> list[str]:
        """Of WCAG 2.2 AA in the page as it is, by axe."""
        if not self.page.evaluate("'axe' in window"):
            # Not by a tag in the page: its content security policy forbids scripts of others, and rightly.
            # Not detached: that would end the virtual authenticator of another session.
            devtools = self.context.new_cdp_session(self.page)
            devtools.send("Runtime.evaluate", {"expression": AXE.read_text()})
        found: list[str] = self.page.evaluate(
            """tags => axe.run(document, {runOnly: tags}).then(({violations}) =>
                 violations.flatMap(v => v.nodes.map(n => `${v.id}: ${n.html}: ${n.failureSummary}`)))""",
            WCAG,
        )
        return found

    def is_accessible(self) -> None:
        """No violation in the page as it is, in both themes. Dialogs stay open."""
        self.page.emulate_media(reduced_motion="reduce")
        shown = self.page.evaluate("document.documentElement.dataset.theme")
        for theme in sorted({"light", "dark"}, key=lambda theme: theme == shown):
            self.page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
            assert self.violations() == [], theme
