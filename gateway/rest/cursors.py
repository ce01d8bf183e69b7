"""Opaque places in a list. A cursor is good for the list it came from, and for nothing else."""

import base64
import binascii
import hashlib
import struct
from typing import Annotated

from fastapi import Query

from gateway.problems import Problem

_TAG_BYTES = 6
CURSOR_LENGTH_MAX = 80

Cursor = Annotated[str | None, Query(description="`next_cursor` of the page before")]


def encode_cursor(listing: str, *numbers: int) -> str:
    """The place after these numbers in the list that ``listing`` describes, filters and all."""
    body = _tag(listing) + struct.pack(f">{len(numbers)}q", *numbers)
    return base64.urlsafe_b64encode(body).decode().rstrip("=")


def decode_cursor(listing: str, cursor: str, count: int) -> tuple[int, ...]:
    """The ``count`` numbers in a cursor of this list. Raises the problem ``invalid_cursor``."""
    try:
        if len(cursor) > CURSOR_LENGTH_MAX:
            raise ValueError
        body = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        if body[:_TAG_BYTES] != _tag(listing):
            raise ValueError
        return struct.unpack(f">{count}q", body[_TAG_BYTES:])
    except (ValueError, binascii.Error, struct.error):
        raise Problem("invalid_cursor", "the cursor is not one of this list with these filters") from None


def _tag(listing: str) -> bytes:
    return hashlib.blake2b(listing.encode(), digest_size=_TAG_BYTES).digest()
