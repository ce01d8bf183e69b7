"""Search words: how text is folded, and the full-text document of a card.

A word has letters, digits and the marks that belong to them, no capitals and no accents. Hyphens and apostrophes divide
words and join them as well: ``Ho-Oh`` has ``ho``, ``oh`` and ``hooh``. Of scripts that put no spaces between words,
Chinese and Japanese are indexed by pairs of characters, Thai and its like by the words of ICU's dictionaries.
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from operator import add
from typing import NamedTuple

import regex
from anyascii import anyascii
from icu4py.breakers import WordBreaker

from domain.catalog.trigrams import WORD_LENGTH_MAX

VOCABULARY_LENGTH_MIN = 3
PREFIX_LENGTH_MIN = 3
# Where each part's words begin: those of a name and its set are near each other whatever their lengths, and what is
# known of the set can be added to a document that is ready otherwise.
_SET_PLACE, _TRAITS_PLACE, _DESCRIPTION_PLACE = 12, 16, 32
# More words than these no part of a card has.
_PLACES = {weight: [f":{place}{weight}" for place in range(8_000)] for weight in ("A", "B", "")}
_TRAITS_KEPT = 10_000
_TOKENS_KEPT = 50_000
_TOKEN_KEPT_LENGTH_MAX = 32

Phrase = tuple[str, ...]
"""Words that stand one after the other."""
Term = tuple[Phrase, ...]
"""One thing to search for: the ways in which it may be written."""

# Of ASCII: capitals are small, what joins words is a hyphen, everything else but letters and digits is blank.
_ASCII = {code: chr(code).lower() if chr(code).isalnum() else " " for code in range(128)} | dict.fromkeys(b"-'`", "-")
# The other signs that people write for these two.
_JOINTS = regex.compile(r"[-'`´ʹʻʼʽˈ‘’‛′‐‑‒–−﹣－＇]+")
# Accents and the points of Hebrew and Arabic may be left out in writing; marks of other scripts are vowels and tones.
_ACCENTS = regex.compile(
    r"""[\p{M}&&[\p{Block=Combining_Diacritical_Marks} \p{Block=Combining_Diacritical_Marks_Extended}
        \p{Block=Combining_Diacritical_Marks_Supplement} \p{Block=Combining_Diacritical_Marks_For_Symbols}
        \p{Block=Combining_Half_Marks} \p{Block=Cyrillic} \p{Block=Hebrew} \p{Block=Arabic}]]
    | [\u0640\p{Default_Ignorable_Code_Point}]""",
    regex.VERSION1 | regex.VERBOSE,
)
# Letters with strokes, and ligatures: no accent to take off.
_LATIN = regex.compile(r"[\p{Latin}--\p{ASCII}]+", regex.VERSION1)
_PAIRED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}ー]\p{M}*")
_UNSPACED = r"\p{Line_Break=Complex_Context}"
_LETTER = r"[[\p{L}\p{N}]--[\p{Han}\p{Hiragana}\p{Katakana}ー\p{Line_Break=Complex_Context}]]\p{M}*"
_TOKEN = regex.compile(
    rf"(?P<paired>(?:{_PAIRED.pattern})+) | (?P<unspaced>{_UNSPACED}+) | (?P<word>(?:{_LETTER})+(?:-(?:{_LETTER})+)*)",
    regex.VERSION1 | regex.VERBOSE,
)


class _Token(NamedTuple):
    """The indexed words of a piece of text, in order, and the term of a search for the same piece."""

    indexed: Phrase
    term: Term


def words(text: str) -> list[str]:
    """The words that a text is found by, WORD_LENGTH_MAX long at the most."""
    if text.isascii():
        text = text.translate(_ASCII)
        if "-" not in text:
            found = text.split()
            return found if len(text) <= WORD_LENGTH_MAX else [word[:WORD_LENGTH_MAX] for word in found]
    return [word for token in _tokens(text) for word in token.indexed]


def terms(text: str) -> list[Term]:
    """What a search for this text looks for, each once: a card that it finds has one phrase of each."""
    return list(dict.fromkeys([token.term for token in _tokens(text)]))


def stands_for_longer(word: str) -> bool:
    """Whether a search for it also finds words with this prefix.

    Too many words begin with the same two letters. One character of Chinese or Japanese begins a pair.
    """
    return len(word) >= PREFIX_LENGTH_MIN or (len(word) == 1 and _PAIRED.match(word) is not None)


def card_document(
    name: str, number: str, rarity: str, traits: Mapping[str, str], description: str
) -> tuple[str, list[str]]:
    """The document of a card without its set, as the text of a tsvector, and its words without the description's.

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
    """The mark in the documents of all cards with this trait; without a name, of this rarity. It equals no word."""
    return "=" + hashlib.md5(f"{name}\x1f{value}".encode(), usedforsecurity=False).hexdigest()[:16]


def set_document(name: str) -> tuple[str, list[str]]:
    """What a set's name adds to the documents of its cards, and its words."""
    its_words = words(name)
    return _placed(its_words, _SET_PLACE, "B"), its_words


def vocabulary(some: Iterable[str]) -> set[str]:
    """Those that a mistyped word may stand for."""
    return {word for word in some if len(word) >= VOCABULARY_LENGTH_MIN}


def _tokens(text: str) -> list[_Token]:
    if text.isascii():
        return [token for piece in text.translate(_ASCII).split() for token in _joined(piece)]
    return [
        token
        for piece in text.split()
        for token in (_kept_tokens(piece) if len(piece) <= _TOKEN_KEPT_LENGTH_MAX else _folded_tokens(piece))
    ]


def _folded_tokens(piece: str) -> tuple[_Token, ...]:
    found: list[_Token] = []
    for token in _TOKEN.finditer(folded(piece)):
        kind, its = token.lastgroup, token[0]
        if kind == "paired":
            found.append(_pairs(_PAIRED.findall(its)))
        elif kind == "unspaced":
            segments = _bounded(list(WordBreaker(its, "th")))
            found.append(_Token(segments, (segments,)))
        else:
            found += _joined(its)
    return tuple(found)


# Of names that are not in ASCII most words come again and again.
_kept_tokens = lru_cache(_TOKENS_KEPT)(_folded_tokens)


def folded(text: str) -> str:
    """The text without capitals and accents, Latin letters in ASCII, joints as hyphens."""
    text = unicodedata.normalize("NFKD", _JOINTS.sub("-", text)).casefold()
    text = unicodedata.normalize("NFKC", _ACCENTS.sub("", text))
    return _LATIN.sub(lambda letters: anyascii(letters[0]).lower(), text)


def _joined(piece: str) -> list[_Token]:
    parts = _bounded(list(filter(None, piece.split("-"))))
    whole = "".join(parts)[:WORD_LENGTH_MAX]
    if len(parts) < 2 or whole.isdigit():
        return [_Token(parts, (parts,))] if parts else []
    return [_Token((*parts, whole), ((whole,), parts))]


def _pairs(characters: Sequence[str]) -> _Token:
    pairs = _bounded(list(map(add, characters, characters[1:])))
    # The last one alone, so that it is found, too: all others begin a pair.
    last = _bounded([characters[-1]])
    return _Token(pairs + last, (pairs or last,))


def _bounded(some: Sequence[str]) -> Phrase:
    return tuple([word[:WORD_LENGTH_MAX] for word in some])


@lru_cache(_TRAITS_KEPT)
def _trait(pair: tuple[str, str]) -> tuple[str, list[str]]:
    # The same traits are those of very many cards.
    return mark(*pair), words(f"{pair[0]} {pair[1]}")


def _placed(some: list[str], first: int, weight: str) -> str:
    # The same word twice is fine: PostgreSQL puts the places together.
    return " ".join(map(add, some, _PLACES[weight][first : first + len(some)])) + " "
