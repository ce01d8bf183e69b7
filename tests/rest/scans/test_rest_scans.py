"""A card by a photograph of it, over HTTP: from its picture in the catalog to a match, and what is refused."""

import asyncio
import zlib
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from job_runs import run_due
from PIL import Image

from actors.content.pictures import CardPictures
from actors.scanning.scanner import ScanTooSlow
from actors.workers.pictures import FingerprintPictures
from ece.demo.cards import demo_card
from ece.demo.pictures import picture
from gateway.rest.limits import Limits
from gateway.rest.scans.services import PHOTOGRAPH_BYTES_MAX, SCANS_MAX
from persistence.catalog.fingerprints import CardFingerprints
from tests.rest.rest_engine import Person, RestEngine, rest_engine
from tests.rest.test_rest_auctions import problem
from tests.rest.test_rest_sales import new_card
from tests.unit.actors.scanning.card_photographs import as_jpeg, photograph

pytestmark = pytest.mark.timeout(300)

PICTURES = [picture(demo_card(1, place)) for place in range(4)]


@pytest.fixture
async def gallery(database_url: str, tmp_path: Path) -> AsyncIterator[RestEngine]:
    (tmp_path / "media" / "cards").mkdir(parents=True)
    for number, content in enumerate(PICTURES):
        (tmp_path / "media" / "cards" / f"{number}.webp").write_bytes(content)
    async with rest_engine(database_url, media_dir=tmp_path / "media", content_dir=tmp_path / "content") as engine:
        await engine.pool.execute("DELETE FROM cards")
        yield engine


def photo(number: int, seed: int = 3) -> bytes:
    card = np.asarray(Image.open(BytesIO(PICTURES[number])).convert("RGBA"))
    return as_jpeg(photograph(card, seed)[0])


async def scan(person: Person, content: bytes) -> httpx.Response:
    return await person.engine.request("POST", "/scans", token=person.token, content=content, timeout=60)


async def fingerprint(engine: RestEngine, now_ms: int | None = None) -> None:
    """As the worker does it."""
    services = engine.services
    pictures = CardPictures(services.content.store, services.media_dir)
    now = services.now_ms if now_ms is None else lambda: now_ms
    job = FingerprintPictures(CardFingerprints(engine.pool), pictures, services.scans.scanner, now)
    await job.run([])


async def test_a_photographed_card_is_found_by_its_picture(gallery: RestEngine):
    operator, ann = await gallery.person(role="admin"), await gallery.person()
    cards = [await new_card(gallery, operator, images=[f"/media/cards/{number}.webp"]) for number in range(4)]
    nothing = (await scan(ann, photo(2))).json()
    assert nothing["matches"] == []
    assert len(nothing["quad"]) == 4
    await fingerprint(gallery)
    answer = await scan(ann, photo(2))
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["width"], found["height"]) == (960, 1280)
    assert found["matches"][0]["card"]["id"] == cards[2]
    assert found["matches"][0]["card"] == {
        key: value for key, value in (await ann.get(f"/catalog/cards/{cards[2]}")).json().items()
        if key not in ("creator", "royalty")
    }  # fmt: skip
    assert found["matches"][0]["confidence"] >= 0.75
    assert all(0 <= x <= 960 and 0 <= y <= 1280 for x, y in found["quad"])
    assert len(found["matches"]) <= 3
    assert answer.headers["cache-control"] == "no-store"


async def test_an_uploaded_picture_counts_and_so_does_one_that_comes_later(gallery: RestEngine, tmp_path: Path):
    operator, ann = await gallery.person(role="admin"), await gallery.person()
    stored = await gallery.request("POST", "/content", token=ann.token, key="k", content=PICTURES[1])
    uploaded = await new_card(gallery, operator, images=["https://elsewhere.example/1.png", stored.json()["uri"]])
    late = await new_card(gallery, operator, images=["/media/cards/late.webp"])
    await fingerprint(gallery)
    assert [one["card"]["id"] for one in (await scan(ann, photo(1))).json()["matches"]] == [uploaded]
    (tmp_path / "media" / "cards" / "late.webp").write_bytes(PICTURES[3])
    await fingerprint(gallery)
    assert late not in [one["card"]["id"] for one in (await scan(ann, photo(3))).json()["matches"]]
    await fingerprint(gallery, gallery.services.now_ms() + 60_000)
    assert (await scan(ann, photo(3))).json()["matches"][0]["card"]["id"] == late


async def test_the_job_goes_on_until_no_picture_is_left(gallery: RestEngine):
    operator = await gallery.person(role="admin")
    for number in range(3):
        await new_card(gallery, operator, images=[f"/media/cards/{number}.webp"])
    services = gallery.services
    pictures = CardPictures(services.content.store, services.media_dir)
    job = FingerprintPictures(CardFingerprints(gallery.pool), pictures, services.scans.scanner, services.now_ms)
    await gallery.pool.execute("INSERT INTO jobs (kind, key, run_at) VALUES ($1, 'periodic', 0)", job.kind)
    await run_due(gallery.pool, job, within_s=120)
    left = await gallery.pool.fetchval("SELECT count(*) FROM card_fingerprints WHERE fingerprint IS NULL")
    assert left == 0


def bomb() -> bytes:
    """A PNG header of 65,535 × 65,535 pixels."""
    out = BytesIO()
    Image.new("L", (1, 1)).save(out, "PNG")
    data = bytearray(out.getvalue())
    data[16:24] = b"\0\0\xff\xff\0\0\xff\xff"
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    return bytes(data)


def gif() -> bytes:
    out = BytesIO()
    Image.new("L", (40, 56)).save(out, "GIF")
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 415, "unsupported_image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "unsupported_image"),
        (gif(), 415, "unsupported_image"),
        (photo(0)[:2000], 422, "invalid_image"),
        (bomb(), 422, "image_too_large"),
        (b"\xff\xd8\xff" + bytes(PHOTOGRAPH_BYTES_MAX), 413, "request_too_large"),
    ],
    ids=["nothing", "SVG", "GIF", "truncated", "bomb", "8 MiB"],
)
async def test_what_is_no_photograph_is_refused(gallery: RestEngine, content: bytes, status: int, code: str):
    problem(await scan(await gallery.person(), content), status, code)


async def test_a_stream_that_does_not_say_its_length_ends_at_the_limit(gallery: RestEngine):
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1024 * 1024
            yield bytes(1024 * 1024)

    ann = await gallery.person()
    problem(await gallery.request("POST", "/scans", token=ann.token, content=endless()), 413, "request_too_large")
    assert sent <= PHOTOGRAPH_BYTES_MAX + 2 * 1024 * 1024


async def test_only_users_scan_and_it_costs_more_than_to_read(database_url: str):
    limits = Limits(account_requests_per_s=1, account_requests_burst=25)
    async with rest_engine(database_url, limits) as engine:
        problem(await engine.request("POST", "/scans", content=photo(0)), 401, "unauthenticated")
        ann = await engine.person()
        assert (await scan(ann, photo(0))).status_code == 200
        answer = await scan(ann, photo(0))
        assert answer.status_code == 200 or answer.json()["code"] == "rate_limited"
        while answer.status_code == 200:
            answer = await scan(ann, photo(0))
        problem(answer, 429, "rate_limited")


async def test_scans_at_once_have_a_limit_and_one_that_takes_too_long_is_given_up(
    gallery: RestEngine, monkeypatch: pytest.MonkeyPatch
):
    ann, hold, waiting = await gallery.person(), asyncio.Event(), 0
    all_wait = asyncio.Event()

    async def slow(_: bytes) -> None:
        nonlocal waiting
        waiting += 1
        if waiting == SCANS_MAX:
            all_wait.set()
        await hold.wait()
        raise ScanTooSlow

    with monkeypatch.context() as patch:
        patch.setattr(gallery.services.scans.scanner, "scan", slow)
        running = [asyncio.create_task(scan(ann, photo(0))) for _ in range(SCANS_MAX)]
        async with asyncio.timeout(30):
            await all_wait.wait()
        problem(await scan(ann, photo(0)), 503, "overloaded")
        hold.set()
        for answer in await asyncio.gather(*running):
            problem(answer, 503, "overloaded")
    assert (await scan(ann, photo(0))).status_code == 200
