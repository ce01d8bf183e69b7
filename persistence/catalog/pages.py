"""Pages of cards made ready to be written: lines for COPY, and words. Plain work, which a thread can do meanwhile."""

from collections.abc import Mapping, Sequence

import msgspec

from domain.catalog.rows import CardRow
from domain.catalog.words import card_document, set_document, vocabulary

PAGE_ROWS_MAX = 10_000

# The columns of a line, as ``lines`` writes them.
COLUMNS = (
    "card_id", "set_id", "creator_id", "created_at", "updated_at", "number", "name", "rarity", "description", "traits",
    "edition", "images", "model_3d", "document",
)  # fmt: skip
_ESCAPES = {ord("\\"): "\\\\", ord("\t"): "\\t", ord("\n"): "\\n", ord("\r"): "\\r"}
_NULL = "\\N"


class Page(msgspec.Struct, frozen=True):
    """Cards in the order of their keys. ``texts`` are their lines but for what only the database knows."""

    keys: list[tuple[str, str]]
    texts: list[str]
    # What sets are called here; None where no row says.
    set_names: dict[str, str | None]
    words: set[str]


class SetKnown(msgspec.Struct, frozen=True):
    """A set in the database; ``fresh`` when the transaction has made it, so that nobody can have put cards into it."""

    set_id: int
    name: str
    fresh: bool


def page_of(rows: Sequence[CardRow]) -> Page:
    """Up to PAGE_ROWS_MAX rows, no two of the same card."""
    assert len(rows) <= PAGE_ROWS_MAX, "pages have a maximum"
    # All writers of cards use this order, so that two writers of the same cards can't deadlock.
    ordered = sorted(rows, key=lambda row: (row.set, row.number))
    names: dict[str, str | None] = {}
    words: set[str] = set()
    texts: list[str] = []
    for row in ordered:
        document, its_words = card_document(row.name, row.number, row.rarity, row.traits, row.description)
        words.update(its_words)
        texts.append(_text(row, document))
        # Of several names the greatest, whatever the order of the rows.
        names[row.set] = max(filter(None, (names.get(row.set), row.set_name)), default=None)
    return Page([(row.set, row.number) for row in ordered], texts, names, vocabulary(words))


def lines(page: Page, places: Sequence[int], ids: Sequence[int], sets: Mapping[str, SetKnown], creator: int,
          now_ms: int) -> bytes:  # fmt: skip
    """The cards at these places of the page, ready for COPY, with these ids."""
    known = {code: (its.set_id, set_document(its.name)[0]) for code, its in sets.items()}
    rest = f"{creator}\t{now_ms}\t{now_ms}"
    ready = []
    for place, card_id in zip(places, ids, strict=True):
        set_id, its_words = known[page.keys[place][0]]
        ready.append(f"{card_id}\t{set_id}\t{rest}\t{page.texts[place]}{its_words}\n")
    return "".join(ready).encode()


def _text(row: CardRow, document: str) -> str:
    """The columns from the number on. The document comes last: more of it may follow."""
    edition = _NULL if row.edition is None else str(row.edition)
    images = _escaped(_array(row.images)) if row.images else "{}"
    texts = [row.number, row.name, row.rarity, row.description, _traits(row.traits)]
    # Nearly no card has any. A text with control characters is not printable.
    joined = "".join(texts)
    if not joined.isprintable() or "\\" in joined:
        texts = list(map(_escaped, texts))
    model = _NULL if row.model_3d is None else _escaped(row.model_3d)
    return "\t".join((*texts, edition, images, model, document))


def _traits(traits: Mapping[str, str]) -> str:
    return msgspec.json.encode(traits).decode() if traits else "{}"


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)


def _array(texts: Sequence[str]) -> str:
    quoted = ['"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts]
    return "{" + ",".join(quoted) + "}"
