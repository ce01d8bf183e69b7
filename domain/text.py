"""Normalisation of text that users write, for all inputs: REST, files, the command line.

Normalised (NFC), blanks of all kinds as single spaces and none at the ends, nothing that nobody can see. What changes
how other text is shown, controls and direction overrides, is refused rather than removed.
"""

import unicodedata

import regex

# Marks of direction (U+061C, U+200E, U+200F) alone turn nothing around: they are only invisible.
_REFUSED = regex.compile(
    r"[[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}\p{Bidi_Control}\ufff9-\ufffb]--[\p{White_Space}\u061c\u200e\u200f]]",
    regex.VERSION1,
)
_IGNORABLE = regex.compile(r"\p{Default_Ignorable_Code_Point}")
# Those of them that do nothing where they stand. Joiners stay where they shape what is seen (after a virama, an Arabic
# letter, within an emoji sequence), and so do variation selectors.
_INVISIBLE = regex.compile(
    r"""
    (?<! \p{Canonical_Combining_Class=9} | \p{Bidi_Class=AL}
       | \p{Extended_Pictographic} \ufe0f? | \p{Emoji_Modifier} ) [\u200c\u200d]
    | [\u200c\u200d] (?= [\p{White_Space}\p{Default_Ignorable_Code_Point}] | \Z )
    | (?<! [[\p{S}\p{P}\p{Emoji}\p{Han}\p{Mongolian}\p{Myanmar}\p{Phags_Pa}]--\p{ASCII}] ) \p{Variation_Selector}
    | [\p{Default_Ignorable_Code_Point}--[\u200c\u200d\p{Variation_Selector}]]
    """,
    regex.VERSION1 | regex.VERBOSE,
)
_BRAILLE_BLANK = "\u2800"
_LINE_END = regex.compile(r"\r\n|[\n\v\f\r\x85\u2028\u2029]")


class BadText(ValueError):
    """The text has a character that no text may have; the message names it."""


def line(text: str) -> str:
    """One line of text as it is kept. Empty where nothing can be seen of it. Raises BadText."""
    if text.isascii() and text.isprintable():
        text = text.strip()
        return text if "  " not in text else " ".join(text.split())
    if not text.isprintable():
        _refuse(text)
    text = normal(text.replace(_BRAILLE_BLANK, " "))
    if _IGNORABLE.search(text):
        text = normal(_INVISIBLE.sub("", text))
    return " ".join(text.split())


def lines(text: str) -> str:
    """Text of several lines, each as ``line`` makes it, with none that is empty at the ends. Raises BadText."""
    return "\n".join(map(line, _LINE_END.split(text))).strip("\n")


def normal(text: str) -> str:
    """The same text in the one form of Unicode that everything is kept in: composed (NFC)."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _refuse(text: str) -> None:
    found = _REFUSED.search(text)
    if found is None:
        return
    if "\ud800" <= found[0] <= "\udfff":
        raise BadText("half of a surrogate pair: the text is not UTF-8")
    raise BadText(f"the character U+{ord(found[0]):04X} is not allowed")
