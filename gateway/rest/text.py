"""Text in requests: normalised (domain/text.py) before it is validated.

The validators come last in an annotation: ``Annotated[str, Field(min_length=1, max_length=200), LINE]``.
"""

from collections.abc import Callable
from typing import Any

from pydantic import BeforeValidator

from domain.text import line, lines, normal


def _of_text(clean: Callable[[str], str]) -> BeforeValidator:
    # The type refuses what is not text.
    return BeforeValidator(lambda value: clean(value) if isinstance(value, str) else value)


LINE = _of_text(line)
LINES = _of_text(lines)
SECRET = _of_text(normal)
"""Keyboards differ in how they write the same letter; nothing else of a password is changed."""


def keys_once(given: Any) -> Any:
    """A map as it was given. Raises ValueError where two of its keys are the same once they are cleaned."""
    if isinstance(given, dict) and len({line(key) for key in given if isinstance(key, str)}) < len(given):
        raise ValueError("a key occurs twice")
    return given
