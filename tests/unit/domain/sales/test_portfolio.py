from hypothesis import given
from hypothesis import strategies as st

from domain.ledger.currencies import AMOUNT_MAX
from domain.sales.portfolio import (
    CHANGE_BP_MAX,
    WHOLE_BP,
    DayValue,
    capped,
    change_bp,
    day_of,
    filled,
    sell_through_bp,
    unrealised,
    value_of,
)

amounts = st.integers(0, AMOUNT_MAX)
prices = st.none() | amounts
counts = st.integers(0, 10_000)


def test_a_day_is_one_of_utc():
    assert [day_of(at) for at in (0, 86_399_999, 86_400_000)] == [0, 0, 1]


@given(prices, prices)
def test_a_change_has_its_direction_and_none_where_there_was_nothing(before: int | None, after: int | None):
    change = change_bp(before, after)
    if not before or after is None:
        assert change is None
        return
    assert change is not None
    assert -WHOLE_BP <= change <= CHANGE_BP_MAX
    assert change * (after - before) >= 0
    # Rounded towards zero, by less than a hundredth of a percent.
    if change < CHANGE_BP_MAX:
        assert abs(change) * before <= abs(after - before) * WHOLE_BP < (abs(change) + 1) * before


def test_changes_that_people_know():
    assert [change_bp(*pair) for pair in ((100, 150), (100, 100), (3, 2), (100, 0))] == [5_000, 0, -3_333, -10_000]


@given(counts, counts)
def test_no_more_is_sold_than_was_offered(sold: int, offered: int):
    share = sell_through_bp(sold, offered)
    assert (share is None) == (offered == 0)
    assert share is None or (0 <= share <= WHOLE_BP and (share == WHOLE_BP) == (sold >= offered))


@given(counts, prices, amounts)
def test_profit_is_value_above_cost(copies: int, price: int | None, cost: int):
    value, profit = value_of(copies, price), unrealised(copies, price, cost)
    assert (value is None) == (profit is None) == (price is None)
    if value is not None and value < AMOUNT_MAX:
        assert profit == value - cost


@given(st.integers(-(2**80), 2**80))
def test_sums_stay_within_what_clients_can_hold(amount: int):
    assert abs(capped(amount)) <= AMOUNT_MAX
    assert capped(amount) == amount or abs(amount) > AMOUNT_MAX


day_values = st.lists(
    st.builds(DayValue, st.integers(0, 40), counts, amounts), max_size=8, unique_by=lambda row: row.day
).map(lambda rows: sorted(rows, key=lambda row: row.day))


@given(day_values, st.integers(0, 40), st.integers(-1, 40))
def test_every_day_has_the_value_of_the_latest_row_up_to_it(rows: list[DayValue], first: int, length: int):
    last = first + length
    days = filled(rows, first, last)
    assert [one.day for one in days] == list(range(first, last + 1))
    for one in days:
        before = [row for row in rows if row.day <= one.day]
        latest = before[-1] if before else DayValue(0, 0, 0)
        assert (one.copies, one.value) == (latest.copies, latest.value)
