"""What a row of a catalog has to be."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

INT_MAX = 2**31 - 1
TRAITS_MAX = 32
IMAGES_MAX = 16

SetCode = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}\Z")]
Short = Annotated[str, Meta(min_length=1, max_length=200)]
Word = Annotated[str, Meta(min_length=1, max_length=64)]
Number = Annotated[str, Meta(min_length=1, max_length=32)]
Address = Annotated[str, Meta(min_length=1, max_length=500)]


class BadRow(Exception):
    """A row that is no card; the message says why, without quoting it at length."""


class CardRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A card as files and operators give it. ``set`` and ``number`` are what it is known by."""

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
_TEXTS = frozenset(CardRow.__struct_fields__) - {"traits", "edition", "images"}
TRAIT_PREFIX = "trait:"


def row_from_json(line: bytes | msgspec.Raw) -> CardRow:
    """One JSON object. Raises BadRow."""
    try:
        return _checked(_decoder.decode(line))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRow(_said(error)) from None


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
    try:
        return _checked(msgspec.convert(members | {"traits": traits}, CardRow))
    except (msgspec.ValidationError, UnicodeError) as error:
        raise BadRow(_said(error)) from None


def _checked(row: CardRow) -> CardRow:
    # PostgreSQL's text has no NUL, and half a surrogate pair is no text at all.
    text = "".join((row.number, row.name, row.rarity, row.set_name or "", row.description, row.model_3d or "",
                    *row.images, *row.traits, *row.traits.values()))  # fmt: skip
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in ("" if text.isascii() else text)):
        raise BadRow("text with zeros, or that is not UTF-8")
    if not row.name.strip():
        raise BadRow("Expected a name that is not blank - at `$.name`")
    return row


def _said(error: Exception) -> str:
    return "the text is not UTF-8" if isinstance(error, UnicodeError) else str(error)[:200]
