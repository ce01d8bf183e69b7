"""Time-sorted 64-bit ids and their 13-character text.

An id is ``milliseconds since 2020-01-01 << 22 | counter``, made by PostgreSQL (``next_id()``), so that ids
sort by creation and a month of them is one range (see ``persistence/postgres/migrations``). Its text is base32hex
(RFC 4648, digits ``0-9a-v``) padded to 13 characters, so text sorts as the number does.
"""

ID_LENGTH = 13
# The text of ids up to 2**63-1, as a regular expression.
ID_PATTERN = "^[0-7][0-9a-v]{12}$"
ID_EPOCH_MS = 1_577_836_800_000  # 2020-01-01T00:00:00Z
COUNTER_BITS = 22

_DIGITS = "0123456789abcdefghijklmnopqrstuv"
_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]
_MAX_ID = (1 << 63) - 1


class InvalidId(ValueError):
    """The text is not an id (13 characters of 0-9 and a-v)."""


def id_text(number: int) -> str:
    """The text of an id in 0 .. 2**63-1."""
    pairs = _PAIRS
    return (
        _DIGITS[number >> 60] + pairs[number >> 50 & 1023] + pairs[number >> 40 & 1023] + pairs[number >> 30 & 1023]
        + pairs[number >> 20 & 1023] + pairs[number >> 10 & 1023] + pairs[number & 1023]
    )  # fmt: skip


def parse_id(text: str) -> int:
    """The id behind its text. Raises InvalidId; never accepts two texts for one id."""
    if len(text) != ID_LENGTH or not text.isascii() or not text.isalnum() or text != text.lower():
        raise InvalidId(text[:40])
    try:
        number = int(text, 32)
    except ValueError:
        raise InvalidId(text) from None
    if number > _MAX_ID:
        raise InvalidId(text)
    return number


def first_id_at(at_ms: int) -> int:
    """The smallest id that could have been made at this time (milliseconds since the Unix epoch)."""
    return (at_ms - ID_EPOCH_MS) << COUNTER_BITS
