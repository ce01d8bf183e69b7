import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.problems import Problem
from gateway.rest.cursors import CURSOR_LENGTH_MAX, Number, decode_cursor, encode_cursor, number_in

numbers = st.integers(-(2**63), 2**63 - 1)


@given(st.text(), st.text(max_size=200), numbers, numbers)
def test_a_cursor_gives_its_key_back(listing: str, name: str, number: int, other: int):
    by_name = encode_cursor(listing, name, number)
    assert decode_cursor(listing, by_name, tuple[str, Number]) == (name, number)
    assert len(by_name) <= CURSOR_LENGTH_MAX
    assert decode_cursor(listing, encode_cursor(listing, number, other), tuple[Number, Number]) == (number, other)
    assert number_in(listing, encode_cursor(listing, number)) == number
    assert number_in(listing, None) is None


@given(st.text(max_size=100))
def test_nonsense_is_no_cursor(text: str):
    with pytest.raises(Problem) as refused:
        number_in("bids 1", text)
    assert (refused.value.status, refused.value.code) == (400, "invalid_cursor")


def test_a_cursor_of_another_list_length_or_kind_is_none():
    for listing, key, kind in (
        ("bids 2", (7,), tuple[Number]),
        ("bids 1", (7,), tuple[Number, Number]),
        ("bids 1", (7, 8), tuple[Number]),
        ("bids 1", ("7",), tuple[Number]),
        ("bids 1", (7,), tuple[str]),
        ("bids 1", (2**63,), tuple[Number]),
    ):
        with pytest.raises(Problem):
            decode_cursor("bids 1", encode_cursor(listing, *key), kind)
    with pytest.raises(Problem):
        number_in("bids 1", encode_cursor("bids 1", "x" * CURSOR_LENGTH_MAX))
