"""What kind of image a file is, by its content; files that would take too much memory to show are refused.

The formats are those that every browser shows and that run no script: SVG is not among them. Blocks: call it in a
thread, and not many at once, since the first frame is decoded (PIXELS_MAX × 4 bytes).
"""

from collections.abc import Collection
from pathlib import Path
from typing import IO, NamedTuple

from PIL import Image

from chain.storage.errors import ContentError, ImageTooLarge, InvalidImage, UnsupportedImage

MEDIA_TYPES = {
    "PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif", "AVIF": "image/avif",
}  # fmt: skip
IMAGE_BYTES_MAX = 10 * 1024 * 1024
PIXELS_MAX = 16_777_216
# Of all frames of an animation.
FRAME_PIXELS_MAX = 4 * PIXELS_MAX
HEAD_BYTES = 64


class ImageFacts(NamedTuple):
    """``media_type`` is one of MEDIA_TYPES."""

    media_type: str
    width: int
    height: int


def inspect_image(path: Path) -> ImageFacts:
    """Decode the first frame of this file. Raises UnsupportedImage, InvalidImage, ImageTooLarge, OSError."""
    with path.open("rb") as file:
        image = decoded_image(file)
        width, height = image.size
        return ImageFacts(MEDIA_TYPES[image.format or ""], width, height)


def decoded_image(file: IO[bytes], formats: Collection[str] = tuple(MEDIA_TYPES)) -> Image.Image:
    """The first frame of this file, which has to be of one of these formats, decoded.

    Raises UnsupportedImage, InvalidImage, ImageTooLarge.
    """
    kind = _format_of(file.read(HEAD_BYTES))
    if kind is None or kind not in formats:
        raise UnsupportedImage(f"the file is none of {', '.join(formats)}")
    if kind == "WEBP":
        # Pillow makes room for the whole canvas before it looks at its size.
        _check_webp(file)
    file.seek(0)
    return _decoded(file, kind)


def _decoded(file: IO[bytes], kind: str) -> Image.Image:
    try:
        image = Image.open(file, formats=[kind])
        _check_pixels(*image.size, getattr(image, "n_frames", 1))
        image.load()
        # Pillow names a JPEG with further pictures (thumbnails, depths) MPO.
        image.format = kind
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError):
        raise ImageTooLarge(PIXELS_MAX) from None
    except ContentError:
        raise
    except Exception:
        # Decoders raise nearly anything for a file that is damaged, or made to break them.
        raise InvalidImage(f"the file begins as {kind} does, and can't be decoded") from None
    return image


def _check_pixels(width: int, height: int, frames: int) -> None:
    if width * height > PIXELS_MAX:
        raise ImageTooLarge(PIXELS_MAX)
    if width * height * frames > FRAME_PIXELS_MAX:
        raise ImageTooLarge(FRAME_PIXELS_MAX)


def _format_of(head: bytes) -> str | None:
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp" and any(brand in head[8:] for brand in (b"avif", b"avis")):
        return "AVIF"
    return None


def _check_webp(file: IO[bytes]) -> None:
    """The size of the canvas, as the first chunk says (RFC 9649)."""
    file.seek(12)
    chunk, data = file.read(8)[:4], file.read(10)
    if len(data) < 10:
        raise InvalidImage("the file begins as WEBP does, and ends")
    if chunk == b"VP8X":
        width, height = int.from_bytes(data[4:7], "little") + 1, int.from_bytes(data[7:10], "little") + 1
    elif chunk == b"VP8L":
        bits = int.from_bytes(data[1:5], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif chunk == b"VP8 ":
        width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    else:
        raise InvalidImage("the file begins as WEBP does, and has no picture")
    _check_pixels(width, height, 1)
