"""From the bytes of a photograph, or of a card's picture, to fingerprints. Plain functions that block."""

from io import BytesIO

import numpy as np
from PIL import Image, ImageOps

from actors.scanning.fingerprints import Pixels, fingerprint
from actors.scanning.messages import Found, Seen
from actors.scanning.outlines import Outline, outlines, straightened, turned
from chain.storage.images import decoded_image

# What cameras and browsers make; a GIF is no photograph.
PHOTOGRAPHS = ("PNG", "JPEG", "WEBP", "AVIF")
# Larger photographs are reduced first.
SIDE_MAX = 1_600
# Of the short side of a picture to the long one, where all of it may be a card.
WHOLE_MIN, WHOLE_MAX = 0.6, 0.8
# A card may lie upside down; which sides are the short ones is seen.
TURNS = (0, 2)
# What shines through transparent parts, such as the corners of a card.
_GREY = (128, 128, 128)


def seen_in(photograph: bytes) -> Seen:
    """Where cards may be. Raises UnsupportedImage, InvalidImage, ImageTooLarge."""
    image = decoded_image(BytesIO(photograph), PHOTOGRAPHS)
    (width, height), pixels = _upright(image)
    scale = width / pixels.shape[1]
    places = [
        _found(pixels, turned(outline, turn), scale, whole=False) for outline in outlines(pixels) for turn in TURNS
    ]
    if WHOLE_MIN < min(width, height) / max(width, height) < WHOLE_MAX:
        right, below = pixels.shape[1], pixels.shape[0]
        edge = np.array([[0, 0], [right, 0], [right, below], [0, below]], np.float32)
        first = 0 if height > width else 1
        places += [_found(pixels, turned(edge, first + turn), scale, whole=True) for turn in TURNS]
    return Seen(width, height, places)


def fingerprint_of(picture: bytes) -> bytes:
    """Of a card's picture, which it fills. Raises UnsupportedImage, InvalidImage, ImageTooLarge."""
    _, pixels = _upright(decoded_image(BytesIO(picture)))
    return _packed(fingerprint(pixels))


def _found(pixels: Pixels, outline: Outline, scale: float, *, whole: bool) -> Found:
    corners = [(round(float(x) * scale, 1), round(float(y) * scale, 1)) for x, y in outline]
    return Found(corners, _packed(fingerprint(straightened(pixels, outline))), whole)


def _packed(value: int) -> bytes:
    return value.to_bytes(32, "big")


def _upright(image: Image.Image) -> tuple[tuple[int, int], Pixels]:
    """The size as people see it, and the pixels (RGB), reduced to SIDE_MAX."""
    image = ImageOps.exif_transpose(image)
    size = image.size
    image.thumbnail((SIDE_MAX, SIDE_MAX), Image.Resampling.BOX)
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        image = Image.new("RGB", clear.size, _GREY)
        image.paste(clear, mask=clear.getchannel("A"))
    return size, np.asarray(image.convert("RGB"))
