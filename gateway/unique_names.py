"""A map that names a field twice is refused: what it means would depend on who reads it."""

from collections.abc import Sequence
from typing import Any

FAULT = "a field occurs twice"


class NamedTwice(ValueError):
    """A map has the same field twice."""


def unique(pairs: Sequence[tuple[Any, Any]]) -> dict[Any, Any]:
    """The map of these pairs; for decoders, as ``object_pairs_hook``. Raises NamedTwice."""
    members = dict(pairs)
    if len(members) < len(pairs):
        raise NamedTwice(FAULT)
    return members
