"""Ids: their order, their text, and what is no id."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ids import ID_LENGTH, InvalidId, first_id_at, id_text, parse_id
from domain.money import AMOUNT_MAX, usd

numbers = st.integers(0, 2**63 - 1)


@given(numbers)
def test_an_id_survives_its_text(number: int):
    assert parse_id(id_text(number)) == number


@given(numbers, numbers)
def test_texts_sort_as_the_ids_do(one: int, other: int):
    assert (id_text(one) < id_text(other)) == (one < other)


@given(st.text(max_size=20) | st.text(alphabet="0123456789abcdefghijklmnopqrstuv", min_size=13, max_size=13))
def test_a_text_is_refused_or_is_the_one_text_of_its_id(text: str):
    try:
        number = parse_id(text)
    except InvalidId:
        return
    assert id_text(number) == text
    assert 0 <= number < 2**63


@pytest.mark.parametrize(
    "text",
    [
        "", "0", "0" * 12, "0" * 14, "000000000000A", "000000000000w", "-000000000001", "+000000000001",
        "0_0000000000_", " 00000000001 ", "00000000000 1", "000000000000\n", "0x00000000000", "8" + "0" * 12,
        "v" * 13, "\u0661" * 13, "\uff10" * 13, "\x00" * 13, "auction:00000", "0" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_id_is_refused(text: str):
    with pytest.raises(InvalidId):
        parse_id(text)


def test_the_bounds_have_texts():
    assert [id_text(0), id_text(1), id_text(2**63 - 1)] == ["0" * ID_LENGTH, "0" * 12 + "1", "7" + "v" * 12]


def test_ids_made_later_are_larger():
    assert first_id_at(1_577_836_800_000) == 0
    assert first_id_at(1_577_836_800_001) == 2**22
    # PostgreSQL's bigint holds them for more than sixty years.
    assert first_id_at(1_577_836_800_000 + 60 * 366 * 86_400_000) < 2**63


def test_dollars_and_cents_are_base_units():
    assert [usd(1), usd(0, 5), usd(12, 34)] == [1_000_000, 50_000, 12_340_000]
    assert usd(1_000_000_000) == AMOUNT_MAX
