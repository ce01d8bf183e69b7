"""Pictures of cards over HTTP: what there is, for good, and nothing else."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.rest.rest_engine import RestEngine, rest_engine
from tests.rest.test_rest_auctions import problem

PICTURE = b"RIFF....WEBP"


@pytest.fixture
async def gallery(database_url: str, tmp_path: Path) -> AsyncIterator[RestEngine]:
    """A gateway with one picture, and things beside it that are nobody's business."""
    cards = tmp_path / "media" / "cards"
    cards.mkdir(parents=True)
    (cards / "base-4-abc.webp").write_bytes(PICTURE)
    (cards / "secret.txt").write_text("no picture")
    (cards / ".part.webp").write_bytes(b"half a picture")
    (tmp_path / "media" / "outside.webp").write_bytes(b"not of a card")
    (cards / "link.webp").symlink_to(tmp_path / "media" / "outside.webp")
    async with rest_engine(database_url, media_dir=tmp_path / "media") as engine:
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
