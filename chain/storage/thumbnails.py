"""Pictures in the width in which a page shows them."""

from io import BytesIO
from typing import NamedTuple

from PIL import ImageOps

from chain.storage.images import MEDIA_TYPES, decoded_image

QUALITY = 80


class Thumbnail(NamedTuple):
    """``media_type`` is WebP, or that of a picture which is sent as it is."""

    content: bytes
    media_type: str


def thumbnail(picture: bytes, width: int) -> Thumbnail:
    """Blocks. What is not wider, and an animation, stays as it is. Raises subclasses of ContentError."""
    image = decoded_image(BytesIO(picture))
    whole = Thumbnail(picture, MEDIA_TYPES[image.format or ""])
    # A photograph may lie on its side, and say so beside its pixels.
    upright = ImageOps.exif_transpose(image)
    if upright.width <= width or getattr(image, "n_frames", 1) > 1:
        return whole
    size = (width, max(1, round(upright.height * width / upright.width)))
    small = upright.convert("RGBA" if upright.has_transparency_data else "RGB").resize(size, reducing_gap=3.0)
    out = BytesIO()
    small.save(out, "WEBP", quality=QUALITY)
    return Thumbnail(out.getvalue(), MEDIA_TYPES["WEBP"])
