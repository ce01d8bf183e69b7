"""Content over HTTP: uploads of images, which are encoded anew, and downloads by id with ranges and cache headers."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from PIL import ExifTags, Image

from actors.content.store import BODY_BYTES_MAX
from actors.scanning.scanner import ScanTooSlow
from chain.storage.cids import Cid, block_cid
from chain.storage.images import MEDIA_TYPES
from chain.storage.reencoding import reencoded
from chain.storage.unixfs import file_cid
from gateway.rest.limits import Limits
from tests.rest.rest_engine import Person, RestEngine, rest_engine
from tests.rest.test_rest_auctions import problem

IMMUTABLE = "public, max-age=31536000, immutable"


def picture(side: int = 40, seed: int = 0, kind: str = "PNG") -> bytes:
    """Noise, which does not get smaller: side × side × 3 bytes at least."""
    noise = b"".join(hashlib.sha256(f"{seed} {part}".encode()).digest() for part in range(side * side * 3 // 32 + 1))
    out = BytesIO()
    Image.frombytes("RGB", (side, side), noise[: side * side * 3]).save(out, kind)
    return out.getvalue()


def photograph(kind: str = "JPEG") -> bytes:
    """Lies on its side, and says where and by whom it was taken."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Artist] = "Ann Nobody"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (52.0, 31.0, 12.0)
    out = BytesIO()
    Image.linear_gradient("L").resize((96, 64)).convert("RGB").save(out, kind, exif=exif)
    return out.getvalue() + b"<script>alert(1)</script>"


# As they are stored: lossless ones stay the same however often they are sent.
SMALL, LARGE = reencoded(picture()).content, reencoded(picture(400)).content


@pytest.fixture
async def gallery(database_url: str, tmp_path: Path) -> AsyncIterator[RestEngine]:
    """A gateway with a content directory of its own."""
    async with rest_engine(database_url, content_dir=tmp_path / "content") as engine:
        yield engine


async def upload(person: Person, content: bytes, key: str = "upload", media_type: str = "image/png") -> httpx.Response:
    return await person.engine.request(
        "POST", "/content", token=person.token, key=key, content=content, headers={"Content-Type": media_type}
    )


async def download(engine: RestEngine, cid: str, **headers: str) -> httpx.Response:
    return await engine.http.get(f"http://ece/content/{cid}", headers=headers)


def files_in(path: Path) -> list[str]:
    return sorted(one.name for one in path.rglob("*") if one.is_file())


async def test_an_uploaded_image_has_the_id_that_ipfs_gives_it(gallery: RestEngine, tmp_path: Path):
    ann = await gallery.person()
    for content, side in ((SMALL, 40), (LARGE, 400)):
        answer = await upload(ann, content, key=f"upload {side}".replace(" ", "-"))
        cid = file_cid(content).text
        assert (answer.status_code, answer.json()) == (
            201,
            {"cid": cid, "uri": f"ipfs://{cid}", "size": len(content), "media_type": "image/png", "width": side,
             "height": side},
        )  # fmt: skip
        found = await download(gallery, cid, **{"Accept-Encoding": "gzip"})
        assert (found.status_code, found.content, "content-encoding" in found.headers) == (200, content, False)
        assert found.headers["content-type"] == "image/png"
        assert found.headers["etag"] == f'"{cid}"'
        assert found.headers["cache-control"] == IMMUTABLE
        assert found.headers["content-length"] == str(len(content))
        assert found.headers["accept-ranges"] == "bytes"
        assert found.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in found.headers["content-security-policy"]
        assert "script" not in found.headers["content-security-policy"]
    # The small one stands in the database.
    assert len(SMALL) <= BODY_BYTES_MAX < len(LARGE)
    assert files_in(tmp_path / "content") == [file_cid(LARGE).text]


async def test_others_get_the_picture_and_nothing_else_that_was_sent(gallery: RestEngine, tmp_path: Path):
    ann, sent = await gallery.person(), photograph()
    stored = (await upload(ann, sent)).json()
    assert stored == {
        "cid": stored["cid"], "uri": f"ipfs://{stored['cid']}", "size": stored["size"], "media_type": "image/jpeg",
        "width": 64, "height": 96,
    }  # fmt: skip
    found = (await download(gallery, stored["cid"])).content
    assert (file_cid(found).text, len(found)) == (stored["cid"], stored["size"])
    image = Image.open(BytesIO(found))
    assert (image.size, dict(image.getexif())) == ((64, 96), {})
    assert b"Ann Nobody" in sent
    assert b"Ann Nobody" not in found
    assert b"script" not in found
    # What was sent is nowhere.
    problem(await download(gallery, file_cid(sent).text), 404, "not_found")
    assert files_in(tmp_path) == []
    # It is an avatar, and the picture of a card.
    avatar = {"avatar": stored["cid"]}
    answer = await gallery.request("PATCH", "/users/me/profile", token=ann.token, json=avatar)
    assert answer.json()["avatar"] == stored["cid"]
    card = {"set": "photographs", "number": "1", "name": "One", "rarity": "rare", "images": [stored["uri"]]}
    assert (await ann.post("/catalog/cards", card)).json()["images"] == [stored["uri"]]


@pytest.mark.parametrize("kind", MEDIA_TYPES)
async def test_what_was_downloaded_keeps_its_id_when_it_is_sent_again(gallery: RestEngine, kind: str):
    ann, bob = await gallery.person(), await gallery.person()
    sent = picture(80, 7, kind)
    first = (await upload(ann, sent, "first")).json()
    served = (await download(gallery, first["cid"])).content
    assert (await upload(bob, served, "again")).json() == first
    assert (await upload(bob, sent, "as-it-was")).json() == first


async def test_an_image_that_takes_too_long_is_not_stored(gallery: RestEngine, monkeypatch: pytest.MonkeyPatch):
    ann, sent = await gallery.person(), picture(30, seed=9)

    async def slow(_: bytes) -> None:
        raise ScanTooSlow

    with monkeypatch.context() as patched:
        patched.setattr(gallery.services.content.scanner, "reencoded", slow)
        problem(await upload(ann, sent), 503, "overloaded")
    problem(await download(gallery, file_cid(reencoded(sent).content).text), 404, "not_found")
    assert (await upload(ann, sent)).status_code == 201


async def test_the_same_image_twice_is_stored_once(gallery: RestEngine, tmp_path: Path):
    ann, bob = await gallery.person(), await gallery.person()
    first, again = await upload(ann, LARGE, "first"), await upload(ann, LARGE, "first")
    other = await upload(bob, LARGE, "second")
    assert first.json() == again.json() == other.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert files_in(tmp_path / "content") == [file_cid(LARGE).text]
    problem(await upload(ann, SMALL, "first"), 422, "key_reused")


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["in the database", "a file"])
async def test_a_part_of_content(gallery: RestEngine, content: bytes):
    await upload(await gallery.person(), content)
    cid, size = file_cid(content).text, len(content)
    for header, first, last in (
        ("bytes=0-0", 0, 0), ("bytes=10-99", 10, 99), (f"bytes={size - 1}-", size - 1, size - 1),
        ("bytes=-5", size - 5, size - 1), (f"bytes=-{size * 2}", 0, size - 1), (f"bytes=100-{size * 2}", 100, size - 1),
    ):  # fmt: skip
        answer = await download(gallery, cid, Range=header)
        assert (answer.status_code, answer.content) == (206, content[first : last + 1]), header
        assert answer.headers["content-range"] == f"bytes {first}-{last}/{size}"
        assert answer.headers["content-length"] == str(last - first + 1)
    for header in ("bytes=0-1,5-6", "bytes=5-1", "bytes=-", "items=0-1", "bytes=a-b"):
        answer = await download(gallery, cid, Range=header)
        assert (answer.status_code, answer.content) == (200, content), header
    for header in (f"bytes={size}-", "bytes=-0"):
        answer = await download(gallery, cid, Range=header)
        problem(answer, 416, "range_not_satisfiable")
        assert answer.headers["content-range"] == f"bytes */{size}"
    changed = await download(gallery, cid, Range="bytes=0-1", **{"If-Range": '"another"'})
    same = await download(gallery, cid, Range="bytes=0-1", **{"If-Range": f'"{cid}"'})
    assert (changed.status_code, same.status_code) == (200, 206)


async def test_what_a_client_has_is_not_sent_again(gallery: RestEngine):
    await upload(await gallery.person(), SMALL)
    cid = file_cid(SMALL).text
    for tag in (f'"{cid}"', f'W/"{cid}"', f'"other", "{cid}"', "*"):
        answer = await download(gallery, cid, **{"If-None-Match": tag})
        assert (answer.status_code, answer.content) == (304, b"")
        assert (answer.headers["etag"], answer.headers["cache-control"]) == (f'"{cid}"', IMMUTABLE)


async def test_a_head_has_the_headers_of_a_get(gallery: RestEngine):
    await upload(await gallery.person(), SMALL)
    answer = await gallery.http.head(f"http://ece/content/{file_cid(SMALL).text}")
    assert (answer.status_code, answer.headers["content-length"]) == (200, str(len(SMALL)))


@pytest.mark.parametrize(
    "cid",
    [block_cid(b"nobody stored this").text, "x", "QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN", "..%2F..%2Fetc",
     file_cid(SMALL).text.upper(), "a%00"],
)  # fmt: skip
async def test_what_is_not_stored_is_not_found(gallery: RestEngine, cid: str):
    problem(await download(gallery, cid), 404, "not_found")


async def test_a_document_is_served_as_json_and_anything_else_is_a_download(gallery: RestEngine):
    store = gallery.services.content.store
    document = await store.put(b'{"name":"Charizard #7"}', "application/json")
    page = await store.put(b"<script>alert(1)</script>", "text/html")
    answer = await download(gallery, document.cid.text)
    assert (answer.json(), answer.headers["content-type"]) == ({"name": "Charizard #7"}, "application/json")
    assert answer.headers["x-content-type-options"] == "nosniff"
    answer = await download(gallery, page.cid.text)
    assert answer.headers["content-disposition"] == "attachment"
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"


def bomb() -> bytes:
    one = picture(1, kind="GIF")
    return one[:6] + b"\xff\xff\xff\xff" + one[10:]


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "unsupported_image"),
        (b"", 415, "unsupported_image"),
        (b"\xff\xd8\xff<script>alert(1)</script>", 422, "invalid_image"),
        (LARGE[: len(LARGE) // 2], 422, "invalid_image"),
        (bomb(), 422, "image_too_large"),
        (b"\x89PNG\r\n\x1a\n" + bytes(11 * 1024 * 1024), 413, "request_too_large"),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_a_bad_upload_stores_nothing(gallery: RestEngine, tmp_path: Path, content: bytes, status: int, code: str):
    ann = await gallery.person()
    problem(await upload(ann, content), status, code)
    assert files_in(tmp_path) == []
    problem(await download(gallery, file_cid(content).text), 404, "not_found")
    # The key was not used up.
    assert (await upload(ann, SMALL)).status_code == 201


async def test_a_gigabyte_without_a_length_is_cut_off(gallery: RestEngine, tmp_path: Path):
    sent = 0

    async def gigabyte() -> AsyncIterator[bytes]:
        nonlocal sent
        yield SMALL
        while sent < 1 << 30:
            sent += 1 << 20
            yield bytes(1 << 20)

    ann = await gallery.person()
    answer = await gallery.request("POST", "/content", token=ann.token, key="large", content=gigabyte())
    problem(answer, 413, "request_too_large")
    assert sent < 64 << 20
    assert files_in(tmp_path) == []


async def test_an_announced_gigabyte_is_refused_before_it_is_sent(gallery: RestEngine):
    ann = await gallery.person()
    answer = await gallery.request(
        "POST", "/content", token=ann.token, key="large", content=b"", headers={"Content-Length": str(1 << 30)}
    )
    problem(answer, 413, "request_too_large")


async def test_uploads_need_a_user_and_a_key(gallery: RestEngine):
    problem(await gallery.request("POST", "/content", key="k", content=SMALL), 401, "unauthenticated")
    ann = await gallery.person()
    answer = await gallery.request("POST", "/content", token=ann.token, content=SMALL)
    problem(answer, 400, "idempotency_key_missing")


async def test_a_user_may_not_upload_more_than_so_much_a_day(database_url: str, tmp_path: Path):
    async with rest_engine(database_url, Limits(upload_bytes_per_day=100), content_dir=tmp_path) as engine:
        ann, operator = await engine.person(), await engine.person(role="admin")
        assert (await upload(ann, picture(20, 1), "1")).status_code == 201
        answer = await upload(ann, picture(20, 2), "2")
        problem(answer, 429, "content_quota_exceeded")
        assert answer.json()["maximum"] == 100
        assert answer.headers["retry-after"] == "3600"
        for number in range(3, 5):
            assert (await upload(operator, picture(20, number), f"{number}")).status_code == 201


async def test_uploads_at_once_have_a_limit(gallery: RestEngine):
    ann = await gallery.person()
    places = 8
    hold, all_began, began = asyncio.Event(), asyncio.Event(), 0

    async def slow() -> AsyncIterator[bytes]:
        nonlocal began
        began += 1
        if began == places:
            all_began.set()
        await hold.wait()
        yield SMALL

    running = [
        asyncio.create_task(gallery.request("POST", "/content", token=ann.token, key=f"slow-{number}", content=slow()))
        for number in range(places)
    ]
    async with asyncio.timeout(20):
        await all_began.wait()
    problem(await upload(ann, SMALL, "one-more"), 503, "overloaded")
    hold.set()
    assert {answer.status_code for answer in await asyncio.gather(*running)} == {201}
    assert (await upload(ann, SMALL, "one-more")).status_code == 201


async def test_a_damaged_file_is_not_served_until_it_is_stored_again(gallery: RestEngine, tmp_path: Path):
    ann = await gallery.person()
    await upload(ann, LARGE)
    cid = file_cid(LARGE)
    path = gallery.services.content.store.files.path(cid)
    assert (await download(gallery, cid.text)).status_code == 200
    path.write_bytes(LARGE[::-1])
    problem(await download(gallery, cid.text), 503, "unavailable")
    path.unlink()
    problem(await download(gallery, cid.text), 503, "unavailable")
    assert (await upload(ann, LARGE, "again")).status_code == 201
    assert (await download(gallery, cid.text)).content == LARGE


async def test_a_changed_row_is_not_served(gallery: RestEngine):
    stored = await gallery.services.content.store.put(b"a document", "application/json")
    assert stored.cid == Cid.parse(stored.cid.text)
    await gallery.pool.execute("UPDATE content SET body = 'a Document' WHERE cid = $1", stored.cid.text)
    problem(await download(gallery, stored.cid.text), 503, "unavailable")
