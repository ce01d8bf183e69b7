import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.problems import Problem
from gateway.rest.cursors import decode_cursor, encode_cursor

numbers = st.integers(-(2**63), 2**63 - 1)


@given(st.text(), st.lists(numbers, max_size=3))
def test_a_cursor_gives_its_numbers_back(listing: str, placed: list[int]):
    assert list(decode_cursor(listing, encode_cursor(listing, *placed), len(placed))) == placed


@given(st.text(max_size=100))
def test_nonsense_is_no_cursor(text: str):
    with pytest.raises(Problem) as refused:
        decode_cursor("bids 1", text, 1)
    assert refused.value.status == 400


def test_a_cursor_of_another_list_or_length_is_none():
    cursor = encode_cursor("bids 1", 7)
    for listing, count in (("bids 2", 1), ("bids 1", 2), ("bids 1", 0)):
        with pytest.raises(Problem):
            decode_cursor(listing, cursor, count)
