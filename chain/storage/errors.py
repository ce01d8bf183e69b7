"""The errors of content storage: one tree of classes, each with a stable code (domain/errors.py)."""

from domain.errors import IMAGE_TOO_LARGE, INVALID_IMAGE, REQUEST_TOO_LARGE, UNAVAILABLE, UNSUPPORTED_IMAGE


class ContentError(Exception):
    """Content could not be stored or read."""

    code = UNAVAILABLE
    maximum: int | None = None


class ContentTooLarge(ContentError):
    """More bytes than allowed: nothing was stored."""

    code = REQUEST_TOO_LARGE

    def __init__(self, maximum: int) -> None:
        super().__init__(f"the content has more than {maximum} bytes")
        self.maximum = maximum

    def __reduce__(self) -> tuple[type["ContentTooLarge"], tuple[int | None]]:
        return type(self), (self.maximum,)


class ContentDamaged(ContentError):
    """The stored bytes are missing, or not those of the CID: restore them, or store them again."""


class UnsupportedImage(ContentError):
    """The bytes are no image of an accepted format."""

    code = UNSUPPORTED_IMAGE


class InvalidImage(ContentError):
    """The bytes begin as an image does, and can't be decoded."""

    code = INVALID_IMAGE


class ImageTooLarge(ContentError):
    """The image would have too many pixels, all frames counted."""

    code = IMAGE_TOO_LARGE

    def __init__(self, maximum: int) -> None:
        super().__init__(f"the image has more than {maximum} pixels")
        self.maximum = maximum

    def __reduce__(self) -> tuple[type["ImageTooLarge"], tuple[int | None]]:
        return type(self), (self.maximum,)
