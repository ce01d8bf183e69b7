import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.catalog.trigrams import WORD_LENGTH_MAX
from domain.catalog.words import card_document, mark, set_document, vocabulary, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Charizard", ["charizard"]), ("Pokémon MEWTWO", ["pokemon", "mewtwo"]), ("Mr. Mime", ["mr", "mime"]),
        ("Farfetch'd 4/102", ["farfetch", "d", "4", "102"]), ("a—b “c” 🃏", ["a", "b", "c"]),
        ("漢字 Ⅸ", ["漢字", "ix"]),
        ("snake_case|x&y:*", ["snake", "case", "x", "y"]), ("İstanbul", ["istanbul"]), (" \t\n", []), ("", []),
    ],
)  # fmt: skip
def test_words_are_letters_and_digits_without_accents_and_capitals(text: str, found: list[str]):
    assert words(text) == found


@given(st.text(max_size=300))
def test_words_of_words_are_the_same_words_and_need_no_quotes(text: str):
    found = words(text)
    assert words(" ".join(found)) == found
    assert all(word.isalnum() and len(word) <= WORD_LENGTH_MAX for word in found)


def test_a_document_has_marks_and_words_by_weight_the_sets_added_last():
    document, its_words = card_document("Dark Charizard", "4", "rare", {"type": "Fire"}, "It burns")
    rare, fire = mark("", "rare"), mark("type", "Fire")
    assert document == f"{rare} {fire} dark:1A charizard:2A 4:3A type:16B fire:17B it:32 burns:33 "
    assert its_words == ["dark", "charizard", "4", "type", "fire"]
    assert set_document("Team Rocket") == ("team:12B rocket:13B ", ["team", "rocket"])


def test_a_mark_is_of_one_trait_alone_and_no_word():
    # The migration makes the same ones in SQL.
    assert mark("type", "fire") == "=67d9ecc4ae214f90"
    assert len({mark("type", "fire"), mark("typ", "efire"), mark("", "fire"), mark("Type", "fire")}) == 4
    assert words(mark("type", "fire")) != [mark("type", "fire")]


def test_the_vocabulary_has_no_short_words():
    assert vocabulary(["it", "burns", "burns", "a", "漢字"]) == {"burns"}
