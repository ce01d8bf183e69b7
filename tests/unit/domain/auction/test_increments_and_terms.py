"""What a seller may set."""

import pytest
from auction_examples import END, START, opened, terms
from hypothesis import given
from hypothesis import strategies as st

from domain.auction.increments import (
    INCREMENT_ROWS_MAX,
    STANDARD_INCREMENTS,
    IncrementTable,
    increment_at,
    increment_table_fault,
)
from domain.auction.rules import AUCTIONS
from domain.auction.state import minimum_bid
from domain.auction.terms import DURATION_MAX_MS, EXTENSIONS_MAX, TITLE_LENGTH_MAX, SoftClose
from domain.money import AMOUNT_MAX, usd


@pytest.mark.parametrize(
    ("price", "step"),
    [
        (0, usd(0, 5)), (usd(0, 99), usd(0, 5)), (usd(1) - 1, usd(0, 5)), (usd(1), usd(0, 25)),
        (usd(4, 99), usd(0, 25)), (usd(5), usd(0, 50)), (usd(25), usd(1)), (usd(100), usd(2, 50)),
        (usd(250), usd(5)), (usd(500), usd(10)), (usd(1_000), usd(25)), (usd(2_500), usd(50)),
        (usd(4_999, 99), usd(50)), (usd(5_000), usd(100)), (AMOUNT_MAX, usd(100)),
    ],
)  # fmt: skip
def test_the_standard_step_follows_the_price(price: int, step: int):
    assert increment_at(STANDARD_INCREMENTS, price) == step


def test_the_standard_table_is_one():
    assert increment_table_fault(STANDARD_INCREMENTS) is None


@pytest.mark.parametrize(
    "table",
    [
        (), ((1, 5),), ((0, 0),), ((0, -5),), ((0, AMOUNT_MAX + 1),), ((0, 5), (0, 6)), ((0, 5), (10, 6), (9, 7)),
        tuple((i, 1) for i in range(INCREMENT_ROWS_MAX + 1)),
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused(table: IncrementTable):
    assert increment_table_fault(table) is not None
    assert AUCTIONS.terms_fault(terms(increments=table)) == increment_table_fault(table)


tables = st.dictionaries(st.integers(1, 10**9), st.integers(1, 10**6), max_size=8).flatmap(
    lambda rest: st.integers(1, 10**6).map(lambda first: ((0, first), *sorted(rest.items())))
)


@given(tables, st.integers(0, 2 * 10**9))
def test_the_step_is_that_of_the_last_row_at_or_below_the_price(table: IncrementTable, price: int):
    assert increment_table_fault(table) is None
    assert increment_at(table, price) == [step for from_price, step in table if from_price <= price][-1]


def test_the_first_bid_is_at_least_the_starting_price():
    assert minimum_bid(opened(starting_price=usd(9, 99))) == usd(9, 99)


def test_sound_terms_have_no_fault():
    assert AUCTIONS.terms_fault(terms()) is None
    largest = terms(
        title="x" * TITLE_LENGTH_MAX,
        starting_price=AMOUNT_MAX,
        reserve_price=AMOUNT_MAX,
        buy_now_price=AMOUNT_MAX,
        ends_at=START + DURATION_MAX_MS,
        soft_close=SoftClose(DURATION_MAX_MS, DURATION_MAX_MS, EXTENSIONS_MAX),
    )
    assert AUCTIONS.terms_fault(largest) is None
    assert AUCTIONS.terms_fault(terms(starting_price=1, ends_at=START + 1, soft_close=SoftClose(1, 1, 0))) is None


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"format": "dutch"}, "format"),
        ({"title": ""}, "title"),
        ({"title": "x" * (TITLE_LENGTH_MAX + 1)}, "title"),
        ({"starting_price": 0}, "starting_price"),
        ({"starting_price": -1}, "starting_price"),
        ({"starting_price": AMOUNT_MAX + 1}, "starting_price"),
        ({"ends_at": START}, "ends_at"),
        ({"ends_at": START - 1}, "ends_at"),
        ({"ends_at": START + DURATION_MAX_MS + 1}, "ends_at"),
        ({"reserve_price": usd(1) - 1}, "reserve_price"),
        ({"reserve_price": AMOUNT_MAX + 1}, "reserve_price"),
        ({"buy_now_price": usd(1) - 1}, "buy_now_price"),
        ({"buy_now_price": AMOUNT_MAX + 1}, "buy_now_price"),
        ({"buy_now_price": usd(5), "reserve_price": usd(6)}, "buy_now_price"),
        ({"soft_close": SoftClose(0, 1)}, "soft_close"),
        ({"soft_close": SoftClose(1, 0)}, "soft_close"),
        ({"soft_close": SoftClose(-1, 1)}, "soft_close"),
        ({"soft_close": SoftClose(1, DURATION_MAX_MS + 1)}, "soft_close"),
        ({"soft_close": SoftClose(1, 1, -1)}, "soft_close.max_extensions"),
        ({"soft_close": SoftClose(1, 1, EXTENSIONS_MAX + 1)}, "soft_close.max_extensions"),
    ],
)
def test_a_fault_names_the_field(changes: dict[str, object], named: str):
    fault = AUCTIONS.terms_fault(terms(**changes))
    assert fault is not None
    assert fault.startswith(named)


def test_an_auction_stands_at_its_terms_before_the_first_bid():
    auction = opened(starting_price=usd(3))
    assert (auction.price, auction.ends_at, auction.bids, auction.leader) == (usd(3), END, 0, None)
