"""Byte ranges of HTTP (RFC 9110, 14): one range a request; of several, the whole content is sent."""

import re
from typing import NamedTuple

_ONE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*", re.ASCII)


class Range(NamedTuple):
    """Bytes ``first`` to ``last`` of a content, both included."""

    first: int
    last: int

    @property
    def size(self) -> int:
        return self.last - self.first + 1


class NotSatisfiable(Exception):
    """The content has no byte of this range."""


def range_of(header: str | None, size: int) -> Range | None:
    """The range of this header in a content of ``size`` bytes; None: send all. Raises NotSatisfiable."""
    found = None if header is None else _ONE.fullmatch(header.lower())
    if found is None or found.groups() == ("", ""):
        return None
    first_text, last_text = found.groups()
    if first_text == "":
        suffix = int(last_text)
        if suffix == 0 or size == 0:
            raise NotSatisfiable
        return Range(max(0, size - suffix), size - 1)
    first, last = int(first_text), int(last_text) if last_text else size - 1
    if last_text and last < first:
        return None
    if first >= size:
        raise NotSatisfiable
    return Range(first, min(last, size - 1))
