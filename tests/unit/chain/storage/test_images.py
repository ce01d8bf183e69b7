"""Images by their content: what is accepted, what is refused, and that refusing takes little memory."""

import resource
import struct
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from chain.storage.errors import ContentError, ImageTooLarge, InvalidImage, UnsupportedImage
from chain.storage.images import MEDIA_TYPES, PIXELS_MAX, ImageFacts, inspect_image


def image(kind: str, size: tuple[int, int] = (40, 56), **options: object) -> bytes:
    out = BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(out, kind, **options)
    return out.getvalue()


def inspected(content: bytes, tmp_path: Path) -> ImageFacts:
    path = tmp_path / "image"
    path.write_bytes(content)
    return inspect_image(path)


def png_of(width: int, height: int, rows: bytes = b"") -> bytes:
    """A PNG whose header says so, with these compressed rows."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def webp_of(width: int, height: int) -> bytes:
    """An extended WebP whose header says so."""
    content = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (width - 1).to_bytes(3, "little")
    content += (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", len(content) + 4) + b"WEBP" + content


@pytest.mark.parametrize("kind", MEDIA_TYPES)
def test_the_formats_that_browsers_show_are_accepted(kind: str, tmp_path: Path):
    assert inspected(image(kind), tmp_path) == ImageFacts(MEDIA_TYPES[kind], 40, 56)


def test_lossless_webp_is_accepted(tmp_path: Path):
    assert inspected(image("WEBP", lossless=True), tmp_path) == ImageFacts("image/webp", 40, 56)


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", b"<!doctype html>",
     b"%PDF-1.7", b"PK\x03\x04", image("TIFF"), image("BMP"), b"MZ" + bytes(1_000)],
    ids=lambda content: repr(content[:8]),
)  # fmt: skip
def test_what_is_no_such_image_is_refused(content: bytes, tmp_path: Path):
    with pytest.raises(UnsupportedImage):
        inspected(content, tmp_path)


@pytest.mark.parametrize("kind", MEDIA_TYPES)
def test_a_truncated_image_is_refused(kind: str, tmp_path: Path):
    whole = image(kind, (400, 560))
    for size in (16, len(whole) // 2):
        with pytest.raises(InvalidImage):
            inspected(whole[:size], tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        png_of(50_000, 50_000, zlib.compress(bytes(10_000_000), 9)),
        png_of(2**31 - 1, 2**31 - 1),
        webp_of(16_384, 16_384),
        image("GIF", (1, 1)).replace(struct.pack("<HH", 1, 1), struct.pack("<HH", 65_535, 65_535), 1),
    ],
    ids=["png", "largest png", "webp", "gif"],
)
def test_a_decompression_bomb_is_refused_before_it_takes_memory(content: bytes, tmp_path: Path):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ImageTooLarge) as refused:
        inspected(content, tmp_path)
    assert refused.value.maximum == PIXELS_MAX
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def test_an_animation_of_too_many_pixels_is_refused(tmp_path: Path):
    frame = Image.new("P", (4_000, 4_000))
    other = Image.new("P", (4_000, 4_000), 1)
    out = BytesIO()
    frame.save(out, "GIF", save_all=True, append_images=[other, frame] * 5, optimize=False)
    with pytest.raises(ImageTooLarge):
        inspected(out.getvalue(), tmp_path)


@pytest.mark.parametrize("kind", MEDIA_TYPES)
def test_any_changed_byte_gives_an_image_or_a_clear_error(kind: str, tmp_path: Path):
    whole = image(kind)
    for place in range(0, len(whole), max(1, len(whole) // 60)):
        changed = whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
        try:
            inspected(changed, tmp_path)
        except ContentError:
            continue
