"""The process that looks at photographs: refusals, limits, and its end."""

import asyncio
import math
import os
import signal
import struct
import zlib
from collections.abc import AsyncIterator
from io import BytesIO

import pytest
from PIL import Image

from actors.scanning import scanner as scanning
from actors.scanning.scanner import Scanner, ScanTooSlow
from chain.storage.errors import ContentError, ImageTooLarge, InvalidImage, UnsupportedImage
from chain.storage.images import PIXELS_MAX
from chain.storage.reencoding import reencoded

WITHIN_S = 60.0


def image(kind: str = "PNG", size: tuple[int, int] = (300, 420)) -> bytes:
    out = BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(out, kind)
    return out.getvalue()


def bomb() -> bytes:
    """A PNG of 60,000 × 60,000 pixels in a few bytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1_000_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.fixture
async def scanner() -> AsyncIterator[Scanner]:
    scanner = Scanner(WITHIN_S)
    yield scanner
    await scanner.close()


def pid_of(scanner: Scanner) -> int:
    assert scanner._process is not None
    return scanner._process.pid


async def test_what_is_no_photograph_is_refused_and_the_next_one_is_looked_at(scanner: Scanner):
    for content, error in (
        (b"", UnsupportedImage),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", UnsupportedImage),
        (image("GIF"), UnsupportedImage),
        (image("JPEG")[:400], InvalidImage),
        (bomb(), ImageTooLarge),
    ):
        with pytest.raises(error):
            await scanner.scan(content)
    seen = await scanner.scan(image())
    assert (seen.width, seen.height) == (300, 420)
    assert len(await scanner.fingerprint(image("WEBP"))) == 32


async def test_a_picture_is_encoded_anew_as_it_would_be_here(scanner: Scanner):
    sent = image("JPEG")
    assert await scanner.reencoded(sent) == reencoded(sent)
    with pytest.raises(UnsupportedImage, match="none of PNG, JPEG, WEBP, GIF, AVIF"):
        await scanner.reencoded(b"no picture")
    with pytest.raises(ImageTooLarge) as refused:
        await scanner.reencoded(bomb())
    assert refused.value.maximum == PIXELS_MAX
    assert await scanner.reencoded(sent) == reencoded(sent)


async def test_the_largest_picture_has_room(scanner: Scanner):
    side = math.isqrt(PIXELS_MAX)
    out = BytesIO()
    largest = Image.linear_gradient("L").resize((side, side)).convert("RGBA")
    largest.save(out, "WEBP", lossless=True, method=0, quality=0)
    found = await scanner.reencoded(out.getvalue())
    assert (found.media_type, found.width, found.height) == ("image/webp", side, side)


async def test_an_answer_that_is_too_long_is_not_read(scanner: Scanner, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scanning, "ANSWER_BYTES_MAX", 100)
    with pytest.raises(InvalidImage):
        await scanner.reencoded(image())
    monkeypatch.undo()
    assert (await scanner.reencoded(image())).width == 300


async def test_a_refusal_keeps_nothing_of_earlier_ones(scanner: Scanner):
    errors = []
    for _ in range(2):
        with pytest.raises(ContentError) as refused:
            await scanner.scan(b"no picture")
        errors.append(refused.value)
    assert errors[0] is not errors[1]


async def test_several_at_once_get_their_own_answers(scanner: Scanner):
    sizes = [(200 + 10 * number, 300) for number in range(4)]
    seen = await asyncio.gather(*(scanner.scan(image(size=size)) for size in sizes))
    assert [(one.width, one.height) for one in seen] == sizes


async def test_a_process_that_was_killed_is_started_again(scanner: Scanner):
    await scanner.scan(image())
    killed = pid_of(scanner)
    os.kill(killed, signal.SIGKILL)
    assert (await scanner.scan(image())).width == 300
    assert pid_of(scanner) != killed


async def test_what_takes_too_long_ends_the_process():
    scanner = Scanner(WITHIN_S)
    await scanner.scan(image())
    stopped = pid_of(scanner)
    os.kill(stopped, signal.SIGSTOP)
    scanner._answer_within_s = 0.05
    with pytest.raises(ScanTooSlow):
        await scanner.scan(image())
    with pytest.raises(ProcessLookupError):
        os.kill(stopped, 0)
    scanner._answer_within_s = WITHIN_S
    assert (await scanner.scan(image())).width == 300
    await scanner.close()


async def test_a_request_that_is_given_up_leaves_no_answer_behind(scanner: Scanner):
    await scanner.scan(image())
    os.kill(pid_of(scanner), signal.SIGSTOP)
    asked = asyncio.create_task(scanner.scan(image(size=(111, 300))))
    await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert (await scanner.scan(image(size=(222, 300)))).width == 222


async def test_a_picture_that_kills_the_decoder_is_refused(scanner: Scanner, monkeypatch: pytest.MonkeyPatch):
    async def gone(*_: object) -> None:
        return None

    monkeypatch.setattr(scanner, "_answer", gone)
    with pytest.raises(ContentError):
        await scanner.scan(image())


@pytest.mark.parametrize("size", [(16_000, 1), (3, 5_000)])
async def test_a_picture_that_is_a_line_shows_no_card_and_the_process_stays(scanner: Scanner, size: tuple[int, int]):
    assert (await scanner.scan(image(size=size))).places == []
    first = pid_of(scanner)
    await scanner.scan(image(size=size))
    assert pid_of(scanner) == first
