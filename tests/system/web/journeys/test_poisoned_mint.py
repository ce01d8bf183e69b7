"""A copy that can't be minted: the reason is shown, and it is minted once its cause is gone."""

from collections.abc import Callable
from typing import Any

import pytest
from browsers import Person
from cards import Curator
from engines import SharedEngine
from playwright.sync_api import expect
from test_operation import execute

from domain.ids import parse_id

pytestmark = pytest.mark.timeout(400)

MINTED_WITHIN_MS = 120_000


def test_a_mint_that_fails_says_why_and_is_tried_again_by_its_user(
    person: Callable[..., Person],
    name: Callable[[str], str],
    engine: SharedEngine,
    curator: Curator,
    post: Callable[..., dict[str, Any]],
):
    ann, called = person(reduced_motion="reduce"), name("minter")
    ann.page.goto("/")
    ann.register(called)
    card = curator.card("Poison Toad")
    [copy] = curator.copies(card, called)
    # Nobody can ask for this; a card of before may have it.
    execute(engine, "UPDATE cards SET royalty = '[[1, 10001]]' WHERE card_id = $1", parse_id(card))
    mint = post(called, "/mints", {"copies": [copy]})["id"]

    ann.page.goto(f"/mints/{mint}")
    expect(ann.page.get_by_text("One copy could not be minted.")).to_be_visible(timeout=MINTED_WITHIN_MS)
    expect(ann.page.get_by_text("the royalties are more than the price")).to_be_visible(timeout=20_000)
    expect(ann.page.get_by_text("Failed · 0 of 1")).to_be_visible(timeout=20_000)
    ann.is_accessible()
    execute(engine, "UPDATE cards SET royalty = '[]' WHERE card_id = $1", parse_id(card))
    ann.page.get_by_role("button", name="Try these again").click()
    expect(ann.page.get_by_text("Minted · 1 of 1")).to_be_visible(timeout=MINTED_WITHIN_MS)
    expect(ann.page.get_by_text("Signature of the transaction")).to_be_visible(timeout=20_000)
    expect(ann.page.get_by_text("could not be minted")).to_have_count(0)
    expect(ann.page.get_by_text("Reason:")).to_have_count(0)
