"""The service worker: push messages, and what is shown without a network."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from browsers import Person
from engines import until
from playwright.sync_api import expect

pytestmark = pytest.mark.timeout(400)

People = Callable[..., Person]
Name = Callable[[str], str]
SHOWN = """() => navigator.serviceWorker.ready.then(one => one.getNotifications())
    .then(all => all.map(({title, body, data}) => ({title, body, page: data.page})))"""


def with_worker(person: People, **options: Any) -> Person:
    ann = person(service_workers="allow", **options)
    ann.page.goto("/")
    until(lambda: ann.page.evaluate("navigator.serviceWorker.controller !== null"), 30, "the worker has the page")
    return ann


def deliver(one: Person, message: dict[str, Any]) -> None:
    """As a push service would, by the DevTools protocol."""
    devtools = one.context.new_cdp_session(one.page)
    found: list[str] = []
    devtools.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda event: found.extend(entry["registrationId"] for entry in event["registrations"]),
    )
    devtools.send("ServiceWorker.enable")
    one.page.evaluate("navigator.serviceWorker.ready.then(() => undefined)")
    origin = one.page.evaluate("location.origin")
    until(lambda: one.page.evaluate("1") and found, 10, "the worker is registered")
    devtools.send(
        "ServiceWorker.deliverPushMessage",
        {"origin": origin, "registrationId": found[-1], "data": json.dumps(message)},
    )


def test_a_push_message_is_shown_in_words_of_the_language(person: People, name: Name):
    ann = with_worker(person, locale="de-DE", permissions=["notifications"])
    message = {"kind": "outbid", "text": "You were outbid: Pikachu", "subject": "Pikachu", "total": 1, "tag": "a",
               "about": {"auction": "0paeqifrs0003"}}  # fmt: skip
    told = "async () => (await (await caches.match('/locale', {cacheName: 'settings'}))?.text()) ?? null"
    until(lambda: ann.page.evaluate(told), 10, "the worker knows the language")
    deliver(ann, message)
    until(lambda: ann.page.evaluate(SHOWN), 10, "the message is shown")
    assert ann.page.evaluate(SHOWN) == [
        {"title": "Sie wurden überboten", "body": "Pikachu", "page": "/auctions/0paeqifrs0003"}
    ]


def test_a_page_is_shown_without_a_network_with_the_time_of_what_it_shows(person: People, name: Name):
    ann = with_worker(person)
    ann.register(name("offline"))
    ann.page.goto("/mints")
    ann.sees("Nothing is minted yet")
    ann.context.set_offline(True)
    ann.line.cut()
    ann.page.goto("/mints")
    ann.sees("Nothing is minted yet")
    ann.sees("Offline. What you see is as of")
    ann.errors.clear()  # the browser reports each request without a network
    ann.context.set_offline(False)
    ann.line.mend()
    expect(ann.page.get_by_text("Offline. What you see")).to_have_count(0, timeout=40_000)
    ann.errors.clear()
