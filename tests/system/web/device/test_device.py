"""The mint studio: a card from a file to its picture."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from browsers import Person
from PIL import ExifTags, Image
from playwright.sync_api import expect

pytestmark = pytest.mark.timeout(400)

People = Callable[..., Person]
Name = Callable[[str], str]


def test_a_card_is_minted_from_a_file_to_its_picture(person: People, name: Name, tmp_path: Path):
    ann = person()
    ann.page.goto("/")
    ann.register(name("minter"))
    ann.page.goto("/mints")
    picture, lies = tmp_path / "fire_dragon.jpg", Image.Exif()
    lies[ExifTags.Base.Orientation] = 6
    lies[ExifTags.Base.Artist] = "Ann Nobody"
    Image.new("RGB", (336, 240), (200, 80, 40)).save(picture, exif=lies)
    ann.page.get_by_label("Choose files").set_input_files(picture)
    expect(ann.page.get_by_label("Name", exact=True)).to_have_value("Fire dragon")
    ann.page.get_by_label("Name of the set").fill(name("My dragons "))
    ann.page.get_by_role("button", name="Mint this card").click()
    ann.page.get_by_role("link", name="Show the copies").click(timeout=40_000)
    expect(ann.page.get_by_text("Minted · 1 of 1")).to_be_visible(timeout=90_000)
    expect(ann.page.get_by_role("img", name="Fire dragon")).to_be_visible()
    expect(ann.page.get_by_text("Signature of the transaction")).to_be_visible()
    assert ann.page.evaluate("document.querySelector('img.mint-picture').naturalWidth") == 240
    served = ann.page.request.get(ann.page.evaluate("document.querySelector('img.mint-picture').src")).body()
    assert (Image.open(BytesIO(served)).size, b"Ann Nobody" in served) == ((240, 336), False)
    ann.is_accessible()
