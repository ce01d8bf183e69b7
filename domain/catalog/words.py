"""The words of a card: how text is folded, and what full text search knows of a card."""

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from operator import add

from domain.catalog.trigrams import WORD_LENGTH_MAX

VOCABULARY_LENGTH_MIN = 3
# Where each part's words begin: those of a name and its set are near each other whatever their lengths, and what is
# known of the set can be added to a document that is ready otherwise.
_SET_PLACE, _TRAITS_PLACE, _DESCRIPTION_PLACE = 12, 16, 32
# More words than these no part of a card has.
_PLACES = {weight: [f":{place}{weight}" for place in range(8_000)] for weight in ("A", "B", "")}
_TRAITS_KEPT = 10_000

# Every character of ASCII that is neither letter nor digit stands between words; capitals are small.
_ASCII = {code: chr(code).lower() if chr(code).isalnum() else " " for code in range(128)}


def words(text: str) -> list[str]:
    """The words of a text in their order: letters and digits, no accents, no capitals, WORD_LENGTH_MAX at the most."""
    if not text.isascii():
        text = _folded(text)
    found = text.translate(_ASCII).split()
    return found if len(text) <= WORD_LENGTH_MAX else [word[:WORD_LENGTH_MAX] for word in found]


def _folded(text: str) -> str:
    plain = "".join([letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter)])
    return "".join([letter if letter.isalnum() else " " for letter in plain.lower()])


def card_document(
    name: str, number: str, rarity: str, traits: Mapping[str, str], description: str
) -> tuple[str, list[str]]:
    """What is searched of a card but its set, as a tsvector is written, and its words but those of the description.

    Words of name and number weigh A, of traits B, of the description D. The marks of rarity and traits have no place.
    """
    first = words(f"{name} {number}")
    known = [_trait(pair) for pair in traits.items()]
    others = [word for _, its_words in known for word in its_words]
    marks = " ".join([_trait(("", rarity))[0], *[its_mark for its_mark, _ in known]])
    document = f"{marks} " + _placed(first, 1, "A") + _placed(others, _TRAITS_PLACE, "B")
    if description:
        document += _placed(words(description), _DESCRIPTION_PLACE, "")
    return document, first + others


def mark(name: str, value: str) -> str:
    """What stands in the documents of all cards with this trait; without a name, of this rarity. No word is one."""
    return "=" + hashlib.md5(f"{name}\x1f{value}".encode(), usedforsecurity=False).hexdigest()[:16]


def set_document(name: str) -> tuple[str, list[str]]:
    """What a set's name adds to the documents of its cards, and its words."""
    its_words = words(name)
    return _placed(its_words, _SET_PLACE, "B"), its_words


def vocabulary(some: Iterable[str]) -> set[str]:
    """Those that a mistyped word may stand for."""
    return {word for word in some if len(word) >= VOCABULARY_LENGTH_MIN}


@lru_cache(_TRAITS_KEPT)
def _trait(pair: tuple[str, str]) -> tuple[str, list[str]]:
    # The same traits are those of very many cards.
    return mark(*pair), words(f"{pair[0]} {pair[1]}")


def _placed(some: list[str], first: int, weight: str) -> str:
    # The same word twice is fine: PostgreSQL puts the places together.
    return " ".join(map(add, some, _PLACES[weight][first : first + len(some)])) + " "
