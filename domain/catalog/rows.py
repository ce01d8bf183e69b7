"""Rows of catalogs: their fields and validation."""

from contextlib import suppress
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from domain.text import BadText, line, lines

INT_MAX = 2**31 - 1
TRAITS_MAX = 32
IMAGES_MAX = 16

SetCode = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}\Z")]
Short = Annotated[str, Meta(min_length=1, max_length=200)]
Word = Annotated[str, Meta(min_length=1, max_length=64)]
Number = Annotated[str, Meta(min_length=1, max_length=32)]
Address = Annotated[str, Meta(min_length=1, max_length=500)]


class BadRow(Exception):
    """The row is not a valid card; the message says why."""


class CardRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A card as in files and requests. ``set`` and ``number`` identify it."""

    set: SetCode
    number: Number
    name: Short
    rarity: Word
    set_name: Short | None = None
    description: Annotated[str, Meta(max_length=4_000)] = ""
    traits: Annotated[dict[Word, Word], Meta(max_length=TRAITS_MAX)] = {}
    edition: Annotated[int, Meta(ge=1, le=INT_MAX)] | None = None
    images: Annotated[list[Address], Meta(max_length=IMAGES_MAX)] = []
    model_3d: Address | None = None


_decoder = msgspec.json.Decoder(CardRow)
_FIELDS = frozenset(CardRow.__struct_fields__)
_TEXTS = _FIELDS - {"traits", "edition", "images"}
TRAIT_PREFIX = "trait:"


def row_from_json(text: bytes | msgspec.Raw) -> CardRow:
    """One JSON object. Raises BadRow."""
    try:
        with suppress(msgspec.ValidationError):
            row = _decoder.decode(text)
            if _is_clean(row):
                return row
        # The text may be good once it is cleaned.
        return _cleaned(msgspec.json.decode(text))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRow(_message_of(error)) from None


def row_from_csv(columns: list[str], cells: list[str]) -> CardRow:
    """One line of a CSV file: empty cells are left out, images are separated by `|`. Raises BadRow."""
    if len(cells) != len(columns):
        raise BadRow(f"{len(cells)} cells where the header has {len(columns)}")
    members: dict[str, Any] = {}
    traits: dict[str, str] = {}
    for name, cell in zip(columns, cells, strict=True):
        if cell == "":
            continue
        if name in _TEXTS:
            members[name] = cell
        elif name == "images":
            members[name] = cell.split("|")
        elif name == "edition":
            if not (cell.isascii() and cell.isdigit() and len(cell) <= 10):
                raise BadRow("Expected `int` >= 1 - at `$.edition`")
            members[name] = int(cell)
        else:
            traits[name.removeprefix(TRAIT_PREFIX)] = cell
    members["traits"] = traits
    try:
        with suppress(msgspec.ValidationError):
            row = msgspec.convert(members, CardRow)
            if _is_clean(row):
                return row
        return _cleaned(members)
    except (msgspec.ValidationError, UnicodeError) as error:
        raise BadRow(_message_of(error)) from None


def _is_clean(row: CardRow) -> bool:
    """Whether all text is as it is kept, seen at once: that of nearly all rows is."""
    perhaps = filter(None, (row.set_name, row.description, row.model_3d))
    text = " | ".join((row.number, row.name, row.rarity, *perhaps, *row.images, *row.traits, *row.traits.values()))
    try:
        return line(text) == text
    except BadText:
        return False


def _cleaned(members: Any) -> CardRow:
    """The row of these members, all their text cleaned. Raises BadRow and ValidationError."""
    if isinstance(members, dict):
        members = {name: _clean(name, value) if name in _FIELDS else value for name, value in members.items()}
    return msgspec.convert(members, CardRow)


def _clean(name: str, value: Any) -> Any:
    try:
        if isinstance(value, str):
            return lines(value) if name == "description" else line(value)
        if isinstance(value, list):
            return [line(one) if isinstance(one, str) else one for one in value]
        if isinstance(value, dict):
            pairs = [(line(key), line(one) if isinstance(one, str) else one) for key, one in value.items()]
            if len(dict(pairs)) < len(pairs):
                raise BadRow(f"the same key twice - at `$.{name}`")
            return dict(pairs)
    except BadText as bad:
        raise BadRow(f"{bad} - at `$.{name}`") from None
    return value


def _message_of(error: Exception) -> str:
    message = "the text is not UTF-8" if isinstance(error, UnicodeError) else str(error)[:200]
    # It may name what is in the file, and is shown on terminals.
    return message if message.isprintable() else ascii(message)
