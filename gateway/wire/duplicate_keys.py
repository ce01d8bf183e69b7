"""Refuses maps with the same field twice, since decoders differ in which one counts."""

from collections.abc import Sequence
from typing import Any

FAULT = "a field occurs twice"


class DuplicateKey(ValueError):
    """A map has the same field twice."""


def reject_duplicates(pairs: Sequence[tuple[Any, Any]]) -> dict[Any, Any]:
    """The map of these pairs; for decoders, as ``object_pairs_hook``. Raises DuplicateKey."""
    members = dict(pairs)
    if len(members) < len(pairs):
        raise DuplicateKey(FAULT)
    return members
