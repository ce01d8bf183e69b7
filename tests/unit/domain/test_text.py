import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.text import BadText, line, lines


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("Charizard", "Charizard"), (" 235", "235"), ("235\u00a0\u3000", "235"), ("Base \u2003 Set\n", "Base Set"),
        ("Base\tSet", "Base Set"), ("Poke\u0301mon", "Pokémon"), ("\u212bngstrom", "Ångstrom"),
        ("Char\u200bi\u00adzard\ufeff", "Charizard"), ("\u200fשלום\u200e", "שלום"), ("Pika\u200dchu", "Pikachu"),
        ("a\ufe0fb", "ab"), ("\u3164Mew\u115f", "Mew"),
        *(("\u200b" * 3, ""), ("\u3164", ""), ("\u2800", ""), (" \u00a0 ", ""), ("\ufe0f", ""), ("\u200d", "")),
    ],
)  # fmt: skip
def test_a_line_is_composed_has_single_blanks_and_nothing_invisible(given: str, kept: str):
    assert line(given) == kept


@pytest.mark.parametrize(
    "text",
    [
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0915\u094d\u200d\u0937", "\u845b\U000e0100",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f\u200d\U0001f525 \U0001f469\U0001f3fd\u200d\U0001f680",
        "日本語 テキスト", "สัตว์", "A — B “C” №",
    ],
)  # fmt: skip
def test_joiners_and_selectors_stay_where_they_shape_what_is_seen(text: str):
    assert line(text) == text


@pytest.mark.parametrize(
    "character",
    ["\0", "\x1b", "\x7f", "\x9b", "\u202e", "\u202d", "\u2066", "\u2069", "\ufffe", "\U0001ffff"],
)
def test_controls_and_what_turns_text_around_are_refused_by_name(character: str):
    for clean in (line, lines):
        with pytest.raises(BadText, match=rf"^the character U\+{ord(character):04X} is not allowed$"):
            clean(f"Charizard {character}09$")


def test_bytes_that_were_no_utf_8_are_refused():
    with pytest.raises(BadText, match="not UTF-8"):
        line(b"Chari\xffzard".decode("utf-8", "surrogateescape"))


@given(st.text())
def test_what_was_cleaned_is_clean(text: str):
    try:
        kept = line(text)
    except BadText:
        return
    assert line(kept) == kept == kept.strip() == unicodedata.normalize("NFC", kept)
    assert lines(kept) == kept


def test_lines_end_alike_and_are_clean_each():
    assert lines("\r\n One \r\n\r\nTwo\u2028 Three\u200b\n\n") == "One\n\nTwo\nThree"
