"""What is asked of the process that decodes pictures, and what it answers.

Apart from it, so that only that process loads libraries for pictures.
"""

import struct
from collections.abc import Sequence

import msgspec

SCAN, INDEX, REENCODE = b"s", b"i", b"r"
# What is asked, and how many bytes follow.
HEAD = struct.Struct(">cI")
LENGTH = struct.Struct(">I")


class Found(msgspec.Struct, frozen=True):
    """A place where a card may be: its corners, clockwise from the card's top left, and what is there."""

    corners: Sequence[tuple[float, float]]
    fingerprint: bytes
    # All of the photograph, which shows no edge of a card.
    whole: bool = False


class Seen(msgspec.Struct, frozen=True):
    """An upright photograph, ``width`` × ``height`` pixels, and the places in it, the most likely first."""

    width: int
    height: int
    places: Sequence[Found]


class Refused(msgspec.Struct, frozen=True):
    """The name of a subclass of ContentError, and what it says."""

    refused: str
    text: str
    maximum: int | None
