"""A trade that a party disputes, up to its reversal, in the browsers of both parties and of two moderators."""

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from browsers import Person
from cards import Curator
from engines import SharedEngine
from playwright.sync_api import Locator, expect
from test_operation import logged_in_as

pytestmark = pytest.mark.timeout(400)

People = Callable[..., Person]
Name = Callable[[str], str]
Post = Callable[..., dict[str, Any]]

# In the order in which it was said.
COURSE = [
    re.compile("^Not the card of the picture"),
    "It is the same card",
    "I see no difference",
    "Look at the corner",
    "The corner is bent",
]


def registered(make: People, name: Name, text: str, **options: object) -> tuple[Person, str]:
    one, called = make(**options), name(text)
    one.page.goto("/")
    one.register(called)
    return one, called


def user_id(engine: SharedEngine, name: str) -> str:
    return str(httpx.get(f"{engine.base_url}/api/v1/users/{name}", timeout=30, trust_env=False).json()["id"])


def confirmed_trade(engine: SharedEngine, post: Post, curator: Curator, ann: str, bob: str) -> str:
    """A card of Ann for one of Bob; both have confirmed it."""
    [hers], [his] = (
        curator.copies(curator.card(card), owner) for card, owner in (("Pufferfish", ann), ("Pipefish", bob))
    )
    users = {name: user_id(engine, name) for name in (ann, bob)}
    legs = [
        {"giver": users[giver], "receiver": users[receiver], "copies": [copy], "money": 0}
        for giver, receiver, copy in ((ann, bob, hers), (bob, ann, his))
    ]
    offered = post(ann, "/trades", {"legs": legs})
    trade = str(offered["id"])
    agreed = post(bob, f"/trades/{trade}/accept", {"hash": offered["hash"]})
    for name in (ann, bob):
        post(name, f"/trades/{trade}/confirm", {"hash": agreed["hash"]})
    return trade


def says(one: Person, button: str, words: dict[str, str], submit: str) -> None:
    """In the dialog that the button opens."""
    one.page.get_by_role("button", name=button).click()
    dialog = one.page.get_by_role("dialog")
    for label, text in words.items():
        dialog.get_by_label(label).fill(text)
    dialog.get_by_role("button", name=submit, exact=True).click()
    expect(dialog).to_have_count(0, timeout=20_000)


def dispute_of(one: Person, *names: str) -> Locator:
    """Opened from the list of a moderator."""
    one.page.goto("/moderation")
    one.page.get_by_role("tab", name="Disputes").click()
    one.page.get_by_role("button", name=f"Look at it: Trade of {', '.join(names)}").click()
    return one.page.get_by_role("dialog")


def decides(one: Person, dialog: Locator, decision: str, reason: str) -> None:
    dialog.get_by_label(decision).check()
    dialog.get_by_label("Reason").first.fill(reason)
    dialog.get_by_role("button", name="Decide").click()
    one.sees("The decision is recorded.")
    expect(dialog).to_have_count(0)


def test_a_dispute_goes_over_an_appeal_to_a_reversal_that_both_see(
    person: People, name: Name, engine: SharedEngine, curator: Curator, post: Post
):
    ann, ann_name = registered(person, name, "ann", reduced_motion="reduce")
    bob, bob_name = registered(person, name, "bob")
    trade = confirmed_trade(engine, post, curator, ann_name, bob_name)
    for one in (ann, bob):
        one.page.goto(f"/trades/{trade}")
        one.sees("Cards and money have changed owners.")

    complaint = {"What happened": "Not the card of the picture", "Evidence": "https://pictures.example/1"}
    says(ann, "Dispute the trade", complaint, "Send the dispute")
    bob.sees(f"Disputed by {ann_name}")
    bob.sees("https://pictures.example/1")
    says(bob, "Respond", {"What you say": "It is the same card"}, "Respond")
    ann.sees("It is the same card")
    ann.is_accessible()

    first, second = person(reduced_motion="reduce"), person()
    for moderator in (first, second):
        logged_in_as(engine, moderator, name("moderator"), "moderator")
    dialog = dispute_of(first, ann_name, bob_name)
    for words in (*complaint.values(), "It is the same card"):
        expect(dialog.get_by_text(words)).to_be_visible()
    first.is_accessible()
    decides(first, dialog, "Reject: the trade stands", "I see no difference")
    for one in (ann, bob):
        one.sees("A moderator decided that the trade stands.")
        one.sees("I see no difference")

    says(ann, "Appeal the decision", {"Why the decision is wrong": "Look at the corner"}, "Appeal the decision")
    bob.sees(f"{ann_name} appeals")
    dialog = dispute_of(second, ann_name, bob_name)
    expect(dialog.get_by_text("Look at the corner")).to_be_visible()
    decides(second, dialog, "Uphold: the trade is reversed", "The corner is bent")
    for one in (ann, bob):
        one.sees("The corner is bent")
        one.sees("It was reversed: everybody has back what was theirs.")
        said = one.page.locator(".course dd")
        expect(said).to_have_text(COURSE)
    ann.page.goto("/portfolio")
    cards = ann.page.get_by_role("list", name="Your cards")
    expect(cards.get_by_text("Pufferfish", exact=True)).to_be_visible()
    expect(cards.get_by_text("Pipefish", exact=True)).to_have_count(0)
