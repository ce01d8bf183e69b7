"""Scanning cards in the browser: from a photograph to the card's page, by a file and by the camera."""

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from browsers import Person, chromium_path
from cards import Curator
from engines import SharedEngine
from PIL import Image
from playwright.sync_api import Browser, expect

from ece.demo.cards import demo_card
from ece.demo.pictures import picture
from tests.unit.actors.scanning.card_photographs import Pixels, as_jpeg, background, photograph

pytestmark = pytest.mark.timeout(400)

People = Callable[..., Person]
Name = Callable[[str], str]
SCANNED_WITHIN_MS = 60_000
CALLED = "Scanned Heron"
REFUSED = "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', 'NotAllowedError') }"


class Scene(NamedTuple):
    """A card of the catalog, and a photograph of it."""

    card: str
    photo: Pixels


@pytest.fixture(scope="module")
def scene(engine: SharedEngine, curator: Curator) -> Scene:
    content = picture(demo_card(77, 3))
    folder = engine.data_dir.media / "cards"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scan-page.webp").write_bytes(content)
    card = curator.card(CALLED, images=["/media/cards/scan-page.webp"])
    photo, _ = photograph(np.asarray(Image.open(BytesIO(content)).convert("RGBA")), 3, 20)
    curator.sees(card, as_jpeg(photo))
    return Scene(card, photo)


@pytest.fixture
def camera(browser: Browser, scene: Scene, tmp_path: Path) -> Iterator[Browser]:
    """A browser whose camera sees the card, on its side."""
    film = tmp_path / "card.mjpeg"
    film.write_bytes(2 * as_jpeg(np.ascontiguousarray(np.rot90(scene.photo)), quality=92))
    arguments = [
        "--no-sandbox", "--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={film}",
    ]  # fmt: skip
    with_camera = browser.browser_type.launch(executable_path=chromium_path(), args=arguments)
    yield with_camera
    with_camera.close()


def at_the_scanner(ann: Person, called: str) -> Person:
    ann.page.goto("/")
    ann.register(called)
    ann.page.get_by_role("link", name="Scan a card").first.click()
    expect(ann.page.get_by_role("heading", level=1)).to_have_text("Scan a card")
    return ann


def sees_the_card(ann: Person, card: str) -> None:
    """The outline and the match, which leads to the card's page."""
    expect(ann.page.get_by_text(f"It is very likely {CALLED}.")).to_be_visible(timeout=SCANNED_WITHIN_MS)
    expect(ann.page.get_by_role("heading", name="These cards look like it")).to_be_focused()
    expect(ann.page.locator(".scan-photo polygon")).to_be_visible()
    match = ann.page.locator(f".scan-matches a[href='/cards/{card}']")
    expect(match).to_contain_text("Very likely")
    match.press("Enter")
    expect(ann.page.get_by_role("heading", level=1)).to_have_text(CALLED)


def test_a_photograph_leads_to_the_page_of_its_card(person: People, name: Name, scene: Scene, tmp_path: Path):
    ann = at_the_scanner(person(), name("scan"))
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(as_jpeg(scene.photo))
    ann.page.get_by_label("Choose a picture").set_input_files(photo)
    expect(ann.page.locator(".scan-matches")).to_be_visible(timeout=SCANNED_WITHIN_MS)
    ann.is_accessible()
    sees_the_card(ann, scene.card)


def test_without_a_card_or_a_camera_there_is_a_way_on(person: People, name: Name, scene: Scene, tmp_path: Path):
    ann = person()
    ann.page.add_init_script(REFUSED)
    at_the_scanner(ann, name("none"))
    ann.page.get_by_role("button", name="Use the camera").click()
    ann.sees("This site may not use the camera.")
    table, text = tmp_path / "table.jpg", tmp_path / "text.jpg"
    table.write_bytes(as_jpeg(background(np.random.default_rng(4))))
    text.write_text("no picture")
    ann.page.get_by_label("Choose a picture").set_input_files(text)
    ann.sees("This file is no picture")
    ann.page.get_by_label("Choose a picture").set_input_files(table)
    expect(ann.page.get_by_role("heading", name="No card was recognised")).to_be_focused(timeout=SCANNED_WITHIN_MS)
    ann.page.get_by_role("button", name="Try again").click()
    expect(ann.page.get_by_role("button", name="Use the camera")).to_be_visible()


def test_the_camera_sees_a_card(engine: SharedEngine, camera: Browser, name: Name, scene: Scene):
    ann = Person(camera, engine.base_url, permissions=["camera"])
    at_the_scanner(ann, name("camera"))
    # Nothing is asked before a tap.
    assert ann.page.locator("video").count() == 0
    ann.page.get_by_role("button", name="Use the camera").click()
    shutter = ann.page.get_by_role("button", name="Scan the card")
    expect(shutter).to_be_focused(timeout=SCANNED_WITHIN_MS)
    shutter.press("Enter")
    expect(ann.page.locator("video")).to_have_count(0)
    sees_the_card(ann, scene.card)
    assert ann.errors == []
