"""A new build of the client while a page of the last one is open, and the browser's offer to install it."""

import os
import re
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn
from browsers import ROOT, Person
from engines import until
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect

from gateway.http import problems
from gateway.web.pages import web_router

pytestmark = pytest.mark.timeout(400)

People = Callable[..., Person]
Name = Callable[[str], str]
CONTROLLED = "navigator.serviceWorker.controller !== null"
VERSIONS = "caches.keys().then(names => names.filter(name => name.startsWith('shell-')))"
NEWS = "There is a new version of this app."
LOSES = "What you have typed on this page will be lost."
# The end of the name of a cache, as the build writes it into the worker.
VERSION = re.compile(r"(?<![0-9a-f])[0-9a-f]{16}(?![0-9a-f])")
# As the browser would, when it finds the app worth installing.
OFFER = """() => {
    const offer = new Event('beforeinstallprompt', {cancelable: true})
    offer.prompt = async () => { document.documentElement.dataset.prompted = 'yes' }
    dispatchEvent(offer)
    return offer.defaultPrevented
}"""


class Site:
    """The pages of the client alone, from a copy of its build: the gateway's own routes, without an engine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        app = FastAPI()
        problems.install(app)
        app.include_router(web_router(folder))
        config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none")
        self._server = uvicorn.Server(config)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]})
        self._thread.start()

    def publish(self, version: str) -> None:
        """Another build in the place of the last one: another worker, which is how browsers know."""
        worker = self._folder / "service-worker.js"
        source = worker.read_text("utf-8")
        assert VERSION.search(source)
        worker.write_text(VERSION.sub(version, source), "utf-8")
        for packed in self._folder.glob("service-worker.js.*"):
            packed.unlink()
        # The gateway reads a build again when its document is another.
        index = self._folder / "index.html"
        after_ns = index.stat().st_mtime_ns + 1_000_000_000
        os.utime(index, ns=(after_ns, after_ns))

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        self._listener.close()


@pytest.fixture
def site(browser: Browser, tmp_path: Path) -> Iterator[Site]:
    one = Site(Path(shutil.copytree(ROOT / "web/dist", tmp_path / "dist")))
    yield one
    one.close()


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """The log-in of a browser whose pages the first worker has."""
    context = browser.new_context(base_url=site.url, service_workers="allow")
    context.set_default_timeout(30_000)
    page = context.new_page()
    page.goto("/login")
    until(lambda: page.evaluate(CONTROLLED), 60, "the worker has the page")
    yield page
    context.close()


def new_build(site: Site, page: Page, version: str) -> None:
    """Publish it, and have the browser look, as it does by itself after a while."""
    site.publish(version)
    page.evaluate("navigator.serviceWorker.ready.then(one => one.update()).then(() => undefined)")
    expect(page.get_by_text(NEWS)).to_be_visible(timeout=60_000)


def test_a_new_version_waits_until_somebody_agrees_and_then_has_the_page(site: Site, page: Page):
    expect(page.get_by_text(NEWS)).to_have_count(0)
    first = page.evaluate(VERSIONS)
    assert len(first) == 1
    new_build(site, page, "b" * 16)
    # Both are there; the page is still one of the first.
    assert sorted(page.evaluate(VERSIONS)) == sorted([*first, f"shell-{'b' * 16}"])
    page.evaluate("window.before = true")
    with page.expect_event("load"):
        page.get_by_role("button", name="Reload").click()
    assert page.evaluate("window.before === undefined")
    expect(page.get_by_label("Username or e-mail")).to_be_visible(timeout=60_000)
    until(lambda: page.evaluate(VERSIONS) == [f"shell-{'b' * 16}"], 60, "the files of the first version are gone")
    expect(page.get_by_text(NEWS)).to_have_count(0)


def test_what_somebody_has_typed_is_not_lost_without_asking(site: Site, page: Page):
    name = page.get_by_label("Username or e-mail")
    name.fill("somebody")
    new_build(site, page, "c" * 16)
    expect(name).to_have_value("somebody")
    page.get_by_role("button", name="Reload").click()
    expect(page.get_by_text(LOSES)).to_be_visible()
    page.get_by_role("button", name="Later").click()
    expect(page.get_by_text(NEWS)).to_be_visible()
    expect(name).to_have_value("somebody")
    page.get_by_role("button", name="Reload").click()
    page.get_by_role("button", name="Reload anyway").click()
    expect(name).to_have_value("", timeout=60_000)
    until(lambda: page.evaluate(VERSIONS) == [f"shell-{'c' * 16}"], 60, "the new version has the page")


def test_the_offer_to_install_waits_in_the_settings_and_is_good_once(person: People, name: Name):
    ann = person()
    ann.page.goto("/")
    ann.register(name("installs"))
    ann.page.goto("/settings")
    expect(ann.page.get_by_text("To install it, choose")).to_be_visible(timeout=20_000)
    assert ann.page.evaluate(OFFER), "the browser shows no banner of its own"
    ann.page.get_by_role("button", name="Install the app").click()
    expect(ann.page.locator("html")).to_have_attribute("data-prompted", "yes")
    expect(ann.page.get_by_role("button", name="Install the app")).to_have_count(0)
