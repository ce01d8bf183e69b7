from hypothesis import given
from hypothesis import strategies as st

from domain.catalog.trigrams import alike, nearest, trigrams

words = st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=20)


def test_the_trigrams_of_a_word_begin_before_it_and_end_after_it():
    assert trigrams("cat") == {"  c", " ca", "cat", "at "}
    assert trigrams("") == frozenset()


@given(words)
def test_a_word_is_like_itself_and_the_nearest_to_itself(word: str):
    assert alike(trigrams(word), trigrams(word))
    others = {other: trigrams(other) for other in ("pikachu", "charizard", word)}
    assert nearest(word, others, 3)[0] == word


@given(words, words)
def test_being_alike_goes_both_ways(one: str, other: str):
    assert alike(trigrams(one), trigrams(other)) == alike(trigrams(other), trigrams(one))


@given(st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=6, max_size=20), st.data())
def test_a_word_that_lacks_a_letter_is_like_the_whole_one(word: str, data: st.DataObject):
    gap = data.draw(st.integers(1, len(word) - 2))
    shorter = word[:gap] + word[gap + 1 :]
    # Letters that occur again share trigrams in ways of their own.
    if len(set(word)) == len(word):
        assert alike(trigrams(word), trigrams(shorter))
