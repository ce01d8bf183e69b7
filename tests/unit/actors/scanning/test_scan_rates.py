"""How often a card is found in photographs of it: turned, tilted, blurred, dark, with glare and noise."""

from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from actors.scanning.messages import Seen
from actors.scanning.photographs import fingerprint_of, seen_in
from ece.demo.cards import demo_card
from ece.demo.pictures import picture
from gateway.rest.scans.confidence import confidences
from tests.unit.actors.scanning.card_photographs import Pixels, as_jpeg, background, photograph

pytestmark = pytest.mark.timeout(400)

CARDS = 32
PHOTOGRAPHS = 32
SURE = 0.75


@pytest.fixture(scope="module")
def cards() -> list[bytes]:
    # As many of one set as there are: they share frames and words.
    return [picture(demo_card(1, place)) for place in range(CARDS)]


@pytest.fixture(scope="module")
def known(cards: list[bytes]) -> list[bytes]:
    return [fingerprint_of(card) for card in cards]


def pixels(card: bytes) -> Pixels:
    return np.asarray(Image.open(BytesIO(card)).convert("RGBA"))


def nearest(seen: Seen, known: list[bytes]) -> list[tuple[int, int, int]]:
    """(bits that differ, card, place) of each card, the nearest first."""
    return sorted(
        min(
            ((int.from_bytes(one.fingerprint, "big") ^ int.from_bytes(card, "big")).bit_count(), number, place)
            for place, one in enumerate(seen.places)
        )
        for number, card in enumerate(known)
    )


def test_cards_are_found_in_photographs_of_them(
    cards: list[bytes], known: list[bytes], capsys: pytest.CaptureFixture[str]
):
    first, sure, outlined, missed = 0, 0, 0, []
    for seed in range(PHOTOGRAPHS):
        number = seed % CARDS
        # Upright, on its sides, upside down, then anyhow.
        degrees = (0.0, 90.0, 180.0, 270.0)[seed % 4] if seed < PHOTOGRAPHS // 3 else None
        photo, corners = photograph(pixels(cards[number]), seed, degrees)
        seen = seen_in(as_jpeg(photo))
        ranked = nearest(seen, known)
        if ranked[0][1] != number:
            missed.append(seed)
            continue
        first += 1
        sure += confidences([distance for distance, _, _ in ranked])[0] >= SURE
        off = np.abs(np.array(seen.places[ranked[0][2]].corners) - corners).max()
        outlined += off < 25
    with capsys.disabled():
        print(f"\nscans: top 1 in {first} of {PHOTOGRAPHS}, very likely in {sure}, outline in {outlined}; {missed=}")  # noqa: T201
    assert first >= 0.9 * PHOTOGRAPHS
    assert sure >= 0.6 * PHOTOGRAPHS
    assert outlined >= 0.85 * PHOTOGRAPHS


def test_a_picture_without_a_card_is_no_confident_match(known: list[bytes]):
    chance = np.random.default_rng(5)
    for seed in range(8):
        photo = background(np.random.default_rng(seed)).copy()
        # Something that has the shape of a card, and is none.
        noise = chance.integers(0, 255, (7, 5, 3), dtype=np.uint8)
        photo[300:860, 200:600] = cv2.resize(noise, (400, 560), interpolation=cv2.INTER_CUBIC)
        ranked = nearest(seen_in(as_jpeg(photo)), known)
        assert max(confidences([distance for distance, _, _ in ranked]), default=0.0) < 0.45, seed


def test_the_picture_itself_is_found_although_it_shows_no_edge(cards: list[bytes], known: list[bytes]):
    distance, number, _ = nearest(seen_in(cards[7]), known)[0]
    assert number == 7
    assert distance < 16


def test_a_photograph_is_turned_as_its_orientation_says(cards: list[bytes], known: list[bytes]):
    photo, _ = photograph(pixels(cards[3]), 5, 0)
    turned = Image.fromarray(np.ascontiguousarray(np.rot90(photo)))
    exif = turned.getexif()
    exif[0x0112] = 6
    out = BytesIO()
    turned.save(out, "JPEG", quality=90, exif=exif)
    seen = seen_in(out.getvalue())
    assert (seen.width, seen.height) == (photo.shape[1], photo.shape[0])
    assert nearest(seen, known)[0][1] == 3


def test_confidence_needs_a_near_card_and_one_that_is_apart_from_the_others():
    assert confidences([20, 60, 70]) == [1.0, 0.0, 0.0]
    assert confidences([20, 21, 95]) == [0.62, 0.58]
    assert confidences([80, 90]) == [0.17, 0.01]
    assert confidences([92, 93]) == []
    assert confidences([]) == []
    assert confidences([20]) == [1.0]
