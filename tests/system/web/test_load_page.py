"""Locust's page, as somebody uses it who starts a load test by hand."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest
from engines import SharedEngine, until
from playwright.sync_api import Browser, expect

READY_WITHIN_S, RUNS_WITHIN_MS, STOPS_WITHIN_S = 120, 60_000, 60
TIMEOUT_S = 400


@pytest.fixture
def bench(engine: SharedEngine) -> Iterator[subprocess.Popen[str]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ECE_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "ece.cli", "bench", "locust", "--web", "--url", engine.base_url, "--users", "11"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    yield process
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        process.wait(STOPS_WITHIN_S)
    for pipe in (process.stdout, process.stderr):
        assert pipe is not None
        pipe.close()


def address_of_the_page(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if "page" in line and (found := re.search(r"http://127\.0\.0\.1:\d+", line)):
            return found.group(0)
    raise AssertionError("it ended without a page")


@pytest.mark.timeout(TIMEOUT_S)
def test_a_load_test_is_started_on_the_page_and_bids_are_counted(bench: subprocess.Popen[str], browser: Browser):
    url = address_of_the_page(bench)
    page = browser.new_page()
    elsewhere: list[str] = []
    page.on("request", lambda request: None if request.url.startswith(url) else elsewhere.append(request.url))

    def is_there() -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(url).is_success
        return False

    until(is_there, READY_WITHIN_S, "the page is there")
    page.goto(url)
    expect(page.get_by_label("Number of users")).to_have_value("11")
    page.get_by_role("button", name="Start", exact=False).click()
    row = page.get_by_role("row").filter(has=page.get_by_role("cell", name="bid", exact=True))
    expect(row.get_by_role("cell", name=re.compile(r"^[1-9][0-9]+$")).first).to_be_visible(timeout=RUNS_WITHIN_MS)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("STOPPED")).to_be_visible(timeout=RUNS_WITHIN_MS)
    page.close()
    assert [other for other in elsewhere if not other.startswith(("data:", "blob:"))] == []

    bench.send_signal(signal.SIGINT)
    assert bench.stdout is not None
    report = bench.stdout.read()
    assert bench.wait(STOPS_WITHIN_S) in (0, 1)
    assert re.search(r"ack bid +[1-9]", report), report
