"""Opaque positions in a list. A cursor is good for the list it came from, and for nothing else.

It carries the whole key of the last item that was shown, as it was then: items that are renamed, repriced or moved
meanwhile take no others with them.
"""

import base64
import binascii
import hashlib
from typing import Annotated, TypeVar

import msgspec
from fastapi import Query
from msgspec import Meta
from pydantic import Field
from pydantic.config import JsonDict

from domain.errors import INVALID_CURSOR
from gateway.http.problems import Problem

Key = TypeVar("Key")

_TAG_BYTES = 6
# A card's name has up to 200 characters of 4 bytes; base64 makes 4 characters of 3 bytes.
CURSOR_LENGTH_MAX = 1_200

# The database's integers.
Number = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
# A cursor that does not match it is refused as `invalid_cursor`.
_FORM: JsonDict = {"minLength": 8, "maxLength": CURSOR_LENGTH_MAX, "pattern": "^[A-Za-z0-9_-]+$"}
Cursor = Annotated[
    Annotated[str, Field(json_schema_extra=_FORM)] | None, Query(description="`next_cursor` of the page before")
]


def encode_cursor(listing: str, *key: int | str) -> str:
    """The position after this key in the list that ``listing`` describes, filters and all."""
    return base64.urlsafe_b64encode(_tag(listing) + msgspec.msgpack.encode(key)).decode().rstrip("=")


def decode_cursor(listing: str, cursor: str, kind: type[Key]) -> Key:
    """The key, of this kind, in a cursor of this list. Raises the problem ``invalid_cursor``."""
    try:
        if len(cursor) > CURSOR_LENGTH_MAX:
            raise ValueError
        body = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        if body[:_TAG_BYTES] != _tag(listing):
            raise ValueError
        return msgspec.msgpack.decode(body[_TAG_BYTES:], type=kind)
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise Problem(INVALID_CURSOR) from None


def number_in(listing: str, cursor: str | None) -> int | None:
    """The number that a list goes by alone, in its cursor; None without one. Raises ``invalid_cursor``."""
    return None if cursor is None else decode_cursor(listing, cursor, tuple[Number])[0]


def _tag(listing: str) -> bytes:
    return hashlib.blake2b(listing.encode(), digest_size=_TAG_BYTES).digest()
