"""Pictures of users, encoded anew: what others get shows the same, and has no other byte of what was sent.

Dropped are EXIF (where a photograph was taken, and by whom), comments, thumbnails, colour profiles, further pictures,
and whatever stands between and behind the parts of the file: a file can be a picture and an archive or a page at once.
Blocks, and decodes files of strangers: call it in a process of its own (actors/scanning/process.py).

The settings of the encoders are constants, so equal files have equal results. PNG is lossless: encoded again, it stays
as it is. A new version of an encoder may write other bytes.
"""

from contextlib import suppress
from io import BytesIO
from typing import Any

import msgspec
from PIL import Image, ImageCms, ImageOps, ImageSequence, JpegImagePlugin

from chain.storage.errors import ContentError, ContentTooLarge, ImageTooLarge, InvalidImage
from chain.storage.images import MEDIA_TYPES, PIXELS_MAX, decoded_image

# The encoder of the file may have been a better one: there is room for a picture of IMAGE_BYTES_MAX.
REENCODED_BYTES_MAX = 16 * 1024 * 1024
# As the format of WebP has it.
WEBP_SIDE_MAX = 16_383
FRAME_MS_DEFAULT, FRAME_MS_MAX = 100, 60_000
LOOPS_MAX = 65_535
# A third of the time of the default level, for a hundredth of the size.
_PNG = {"compress_level": 4}
_LOSSY = {"quality": 90, "method": 2}
_LOSSLESS = {"lossless": True, "quality": 0, "method": 2}
_SRGB = ImageCms.createProfile("sRGB")


class Reencoded(msgspec.Struct, frozen=True):
    """An upright picture. ``media_type`` is of PNG, JPEG or WebP."""

    media_type: str
    width: int
    height: int
    content: bytes


def reencoded(picture: bytes) -> Reencoded:
    """This picture (PNG, JPEG, WebP, GIF, AVIF) without anything else that its file has.

    PNG and GIF become PNG; JPEG stays JPEG, with its own quantization; WebP and AVIF become WebP, as animations of all
    formats do. What was lossless still is. Raises UnsupportedImage, InvalidImage, ImageTooLarge, ContentTooLarge.
    """
    try:
        found = _encoded(picture)
    except MemoryError:
        raise ImageTooLarge(PIXELS_MAX) from None
    except ContentError:
        raise
    except Exception:
        # As in decoded_image: the other frames are decoded here.
        raise InvalidImage("the picture can't be decoded as a whole") from None
    if len(found.content) > REENCODED_BYTES_MAX:
        raise ContentTooLarge(REENCODED_BYTES_MAX)
    return found


def _encoded(picture: bytes) -> Reencoded:
    image = decoded_image(BytesIO(picture))
    kind, webp = image.format, _LOSSLESS if _is_lossless(image.format, picture) else _LOSSY
    if kind == "JPEG":
        # What follows its first picture is no animation, but its depth, a thumbnail, or another exposure.
        tables: dict[int, list[int]] = getattr(image, "quantization", {})
        options = {"qtables": list(tables.values()), "subsampling": JpegImagePlugin.get_sampling(image)}
        return _saved(_plain(image), "JPEG", options)
    if getattr(image, "n_frames", 1) > 1:
        return _saved(image, "WEBP", _animated(image) | webp)
    # Under the same name: the decoder and its canvas make room for the encoder.
    image = _plain(image)
    if kind in ("PNG", "GIF") or max(image.size) > WEBP_SIDE_MAX:
        return _saved(image, "PNG", _PNG)
    return _saved(image, "WEBP", webp)


def _saved(image: Image.Image, kind: str, options: dict[str, Any]) -> Reencoded:
    out = BytesIO()
    image.save(out, kind, **options)
    return Reencoded(MEDIA_TYPES[kind], *image.size, out.getvalue())


def _plain(image: Image.Image) -> Image.Image:
    """The pixels alone: upright, in sRGB, as L, RGB or RGBA."""
    with suppress(Exception):
        # EXIF that can't be read turns nothing.
        ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I"):
        # Grey of 16 bits: `convert` takes all above 255 for white.
        image = image.point(lambda value: value * (1 / 256)).convert("L")
    profile = image.info.get("icc_profile")
    if image.mode != "CMYK":
        image = image.convert(_mode(image))
    if profile and image.mode != "L":
        image = _in_srgb(image, profile)
    if image.mode == "CMYK":
        image = image.convert("RGB")
    # Encoders write some of it without being asked.
    image.info = {}
    return image


def _mode(image: Image.Image) -> str:
    if image.has_transparency_data:
        return "RGBA"
    return "L" if image.mode in ("1", "L") else "RGB"


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """The same colours without the profile; a profile that can't be used is ignored, as browsers do."""
    try:
        used = ImageCms.ImageCmsProfile(BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(used).lower():
            return image
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        converted = ImageCms.profileToProfile(image, used, _SRGB, outputMode=mode)
    except (ImageCms.PyCMSError, OSError):
        return image
    return image if converted is None else converted


def _animated(image: Image.Image) -> dict[str, Any]:
    """Decodes all frames; how long each is shown, and how often all of them are."""
    size, durations = image.size, []
    for frame in ImageSequence.Iterator(image):
        if frame.size != size:
            # A GIF may have a frame that is larger than its canvas.
            raise InvalidImage("the frames are not of one size")
        frame.load()
        durations.append(min(round(frame.info.get("duration") or FRAME_MS_DEFAULT), FRAME_MS_MAX))
    # A GIF that says nothing is shown once.
    loops = min(image.info.get("loop", 1 if image.format == "GIF" else 0), LOOPS_MAX)
    return {"save_all": True, "duration": durations, "loop": loops, "background": (0, 0, 0, 0)}


def _is_lossless(kind: str | None, picture: bytes) -> bool:
    """Of WebP, the first frame says so (RFC 9649)."""
    if kind != "WEBP":
        return kind in ("PNG", "GIF")
    at = 12
    while at + 8 <= len(picture):
        name, size = picture[at : at + 4], int.from_bytes(picture[at + 4 : at + 8], "little")
        if name in (b"VP8L", b"VP8 "):
            return name == b"VP8L"
        # The picture of a frame stands behind the 16 bytes about it.
        at += 8 + (16 if name == b"ANMF" else size + size % 2)
    return False
