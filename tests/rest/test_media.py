"""Pictures of cards over HTTP: what there is, for good, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from chain.storage.thumbnails import thumbnail
from gateway.rest.content import thumbnails
from gateway.rest.content.thumbnails import Thumbnails, ThumbnailsBusy
from tests.rest.rest_engine import RestEngine, rest_engine
from tests.rest.test_rest_auctions import problem

PICTURE = b"RIFF....WEBP"


def drawn(width: int, height: int, kind: str = "WEBP", mode: str = "RGBA", **options: Any) -> bytes:
    out = BytesIO()
    Image.new(mode, (width, height), "#00808080" if mode == "RGBA" else "teal").save(out, kind, **options)
    return out.getvalue()


LARGE, SMALL = drawn(600, 840), drawn(100, 140)
FOREVER = "public, max-age=31536000, immutable"


@pytest.fixture
async def gallery(database_url: str, tmp_path: Path) -> AsyncIterator[RestEngine]:
    """A gateway with one picture, and things beside it that are nobody's business."""
    cards = tmp_path / "media" / "cards"
    cards.mkdir(parents=True)
    (cards / "base-4-abc.webp").write_bytes(PICTURE)
    (cards / "large.webp").write_bytes(LARGE)
    (cards / "small.webp").write_bytes(SMALL)
    (cards / "secret.txt").write_text("no picture")
    (cards / ".part.webp").write_bytes(b"half a picture")
    (tmp_path / "media" / "outside.webp").write_bytes(b"not of a card")
    (cards / "link.webp").symlink_to(tmp_path / "media" / "outside.webp")
    async with rest_engine(database_url, media_dir=tmp_path / "media", content_dir=tmp_path / "content") as engine:
        yield engine


async def test_a_picture_may_be_cached_for_ever(gallery: RestEngine):
    answer = await gallery.http.get("http://ece/media/cards/base-4-abc.webp")
    assert (answer.status_code, answer.content) == (200, PICTURE)
    assert answer.headers["content-type"] == "image/webp"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    ["missing.webp", "secret.txt", ".part.webp", "link.webp", "..%2Foutside.webp", "%2e%2e%2foutside.webp", "a%00.webp",
     "BASE-4-ABC.webp", "base-4-abc.webp%0a", "base-4-abc.webp.webp", "a" * 200 + ".webp", "%5c..%5coutside.webp"],
)  # fmt: skip
async def test_nothing_else_is_handed_out(gallery: RestEngine, path: str):
    problem(await gallery.http.get(f"http://ece/media/cards/{path}"), 404, "not_found")


async def test_a_gateway_without_pictures_has_none(engine: RestEngine):
    problem(await engine.http.get("http://ece/media/cards/base-4-abc.webp"), 404, "not_found")


async def test_a_page_gets_a_picture_in_the_width_that_it_shows(gallery: RestEngine):
    answer = await gallery.http.get("http://ece/media/cards/320/large.webp")
    shown = Image.open(BytesIO(answer.content))
    assert (answer.status_code, shown.format, shown.size, shown.mode) == (200, "WEBP", (320, 448), "RGBA")
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("image/webp", FOREVER)
    assert "sandbox" in answer.headers["content-security-policy"]
    # Made once: the file may go.
    assert (await gallery.http.get("http://ece/media/cards/320/large.webp")).content == answer.content


async def test_a_picture_that_is_not_wider_is_sent_as_it_is(gallery: RestEngine):
    for width in (160, 640):
        assert (await gallery.http.get(f"http://ece/media/cards/{width}/small.webp")).content == SMALL
    assert (await gallery.http.get("http://ece/media/cards/640/large.webp")).content == LARGE


async def test_an_image_that_users_stored_is_made_smaller_too(gallery: RestEngine):
    store = gallery.services.content.store
    image, document = await store.put(drawn(400, 200, "PNG"), "image/png"), await store.put(b"{}", "application/json")
    answer = await gallery.http.get(f"http://ece/media/cards/160/{image.cid.text}")
    assert Image.open(BytesIO(answer.content)).size == (160, 80)
    problem(await gallery.http.get(f"http://ece/media/cards/160/{document.cid.text}"), 404, "not_found")


@pytest.mark.parametrize("name", ["missing.webp", "secret.txt", ".part.webp", "link.webp", "base-4-abc.webp", "a" * 59])
async def test_what_is_no_picture_has_no_smaller_one(gallery: RestEngine, name: str):
    problem(await gallery.http.get(f"http://ece/media/cards/160/{name}"), 404, "not_found")


async def test_only_some_widths_are_made(gallery: RestEngine):
    for width in ("161", "1e2", "-160", "0"):
        problem(await gallery.http.get(f"http://ece/media/cards/{width}/large.webp"), 404, "not_found")


async def test_a_gateway_with_too_much_to_do_shows_the_whole_picture(gallery: RestEngine):
    gallery.services.content.thumbnails = Thumbnails(waiting_max=0)
    answer = await gallery.http.get("http://ece/media/cards/160/large.webp")
    assert (answer.status_code, answer.headers["location"]) == (307, "/media/cards/large.webp")
    assert answer.headers["cache-control"] == "no-store"


async def test_requests_at_once_wait_for_one_that_makes_the_picture():
    reads = 0

    async def read() -> bytes:
        nonlocal reads
        reads += 1
        await asyncio.sleep(0)
        return LARGE

    made = Thumbnails(waiting_max=2)
    first, second, third = await asyncio.gather(
        *(made.get("large", 320, read) for _ in range(3)), return_exceptions=True
    )
    assert first == second
    assert isinstance(third, ThumbnailsBusy)
    assert reads == 1


async def test_thumbnails_take_no_more_memory_than_they_may(monkeypatch: pytest.MonkeyPatch):
    async def read() -> bytes:
        return LARGE

    one = len(thumbnail(LARGE, 160).content)
    made = Thumbnails(cache_bytes_max=2 * one)
    for name in ("a", "b", "a", "c"):
        await made.get(name, 160, read)
    monkeypatch.setattr(thumbnails, "thumbnail", lambda *_: pytest.fail("it was there"))
    for name in ("a", "c"):
        assert await made.get(name, 160, read) is not None
    with pytest.raises(pytest.fail.Exception):
        await made.get("b", 160, read)


def test_a_photograph_on_its_side_is_turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = thumbnail(drawn(400, 200, "JPEG", "RGB", exif=exif), 100)
    assert Image.open(BytesIO(turned.content)).size == (100, 200)


def test_an_animation_goes_on_moving():
    out, frames = BytesIO(), [Image.new("RGB", (400, 200), colour) for colour in ("teal", "navy")]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    assert thumbnail(out.getvalue(), 160) == (out.getvalue(), "image/gif")
