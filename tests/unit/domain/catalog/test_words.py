import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.catalog.trigrams import WORD_LENGTH_MAX
from domain.catalog.words import card_document, mark, set_document, stands_for_longer, terms, vocabulary, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Charizard", ["charizard"]), ("Pokémon MEWTWO", ["pokemon", "mewtwo"]), ("Mr. Mime", ["mr", "mime"]),
        ("Farfetch'd 4/102", ["farfetch", "d", "farfetchd", "4", "102"]), ("a—b “c” 🃏", ["a", "b", "c"]),
        ("Farfetch’d", ["farfetch", "d", "farfetchd"]), ("Farfetch´d", ["farfetch", "d", "farfetchd"]),
        ("Ho-Oh ex", ["ho", "oh", "hooh", "ex"]), ("Ho‐Oh", ["ho", "oh", "hooh"]), ("2019-20", ["2019", "20"]),
        ("- -- '", []), ("Æther ﬂow", ["aether", "flow"]), ("Łódź Straße Ørsted", ["lodz", "strasse", "orsted"]),
        ("Ёлка Йод", ["елка", "иод"]), ("Ωμέγα", ["ωμεγα"]), ("피카츄 V", ["피카츄", "v"]),
        ("मन्त्र हिन्दी", ["मन्त्र", "हिन्दी"]),
        ("أَحْمَد", ["احمد"]), ("می‌خواهم", ["میخواهم"]), ("ＶＭＡＸ 1️⃣ ½", ["vmax", "1", "1", "2"]),
        ("漢字 Ⅸ", ["漢字", "字", "ix"]), ("ブラッキーVMAX", ["ブラ", "ラッ", "ッキ", "キー", "ー", "vmax"]),
        ("今月の売上", ["今月", "月の", "の売", "売上", "上"]), ("ｶﾞｰ", ["ガー", "ー"]), ("か゚", ["か゚"]),
        ("สัตว์ประหลาด", ["สัตว์", "ประหลาด"]), ("ប្រទេសកម្ពុជា", ["ប្រទេស", "កម្ពុជា"]),
        ("snake_case|x&y:*", ["snake", "case", "x", "y"]), ("İstanbul", ["istanbul"]), (" \t\n", []), ("", []),
    ],
)  # fmt: skip
def test_words_are_letters_and_digits_without_accents_and_capitals(text: str, found: list[str]):
    assert words(text) == found


@given(st.text(max_size=300))
def test_words_need_no_quotes_and_have_a_length(text: str):
    for word in words(text):
        assert 1 <= len(word) <= WORD_LENGTH_MAX
        assert {unicodedata.category(character)[0] for character in word} <= {"L", "N", "M", "C"}, "C: not assigned yet"


@given(st.text(max_size=300))
def test_what_a_text_is_searched_by_is_what_it_is_found_by(text: str):
    found = " ".join(words(text))
    for term in terms(text):
        assert all(" ".join(phrase) in found for phrase in term)


@pytest.mark.parametrize(
    ("text", "sought"),
    [
        ("rockets zapdos", [(("rockets",),), (("zapdos",),)]),
        ("rocket's zapdos", [(("rockets",), ("rocket", "s")), (("zapdos",),)]),
        ("ho-oh HO-OH", [(("hooh",), ("ho", "oh"))]),
        ("売上", [(("売上",),)]), ("売", [(("売",),)]), ("売上高", [(("売上", "上高"),)]),
        ("สัตว์", [(("สัตว์",),)]), ("1-2", [(("1", "2"),)]), ("a" * 70, [(("a" * 64,),)]), ("!", []),
    ],
)  # fmt: skip
def test_a_search_looks_for_phrases_in_the_ways_they_are_written(text: str, sought: list[tuple[tuple[str, ...], ...]]):
    assert terms(text) == sought


def test_a_word_of_three_letters_and_one_character_of_japanese_stand_for_longer_ones():
    assert [word for word in ("zap", "za", "z", "売", "売上", "ส") if stands_for_longer(word)] == ["zap", "売"]


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
