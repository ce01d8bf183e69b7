"""The mint studio: a card from a file to its picture."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from browsers import Person
from playwright.sync_api import expect
from test_accessibility import violations

pytestmark = pytest.mark.timeout(400)

People = Callable[..., Person]
Name = Callable[[str], str]


def test_a_card_is_minted_from_a_file_to_its_picture(person: People, name: Name, tmp_path: Path):
    ann = person(bypass_csp=True)
    ann.page.goto("/")
    ann.register(name("minter"))
    ann.page.goto("/mints")
    picture = tmp_path / "fire_dragon.png"
    cv2.imwrite(str(picture), np.full((336, 240, 3), (40, 80, 200), np.uint8))
    ann.page.get_by_label("Choose files").set_input_files(picture)
    expect(ann.page.get_by_label("Name", exact=True)).to_have_value("Fire dragon")
    ann.page.get_by_label("Name of the set").fill(name("My dragons "))
    ann.page.get_by_role("button", name="Mint this card").click()
    ann.page.get_by_role("link", name="Show the copies").click(timeout=40_000)
    expect(ann.page.get_by_text("Minted · 1 of 1")).to_be_visible(timeout=90_000)
    expect(ann.page.get_by_role("img", name="Fire dragon")).to_be_visible()
    expect(ann.page.get_by_text("Signature of the transaction")).to_be_visible()
    assert ann.page.evaluate("document.querySelector('img.mint-picture').naturalWidth") == 240
    assert violations(ann) == []
