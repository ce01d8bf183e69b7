"""The values of both sides of a trade."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.trade.fairness import Balance, Fairness, Price, Side, fairness, price_of
from domain.trade.terms import Condition, Leg

ANN, BOB, CID = 1, 2, 3


@pytest.mark.parametrize(
    ("last", "floor", "sales", "price"),
    [
        (None, None, 0, None), (None, 100, 0, Price(100, "low")), (100, None, 1, Price(100, "low")),
        (100, 110, 1, Price(100, "medium")), (100, 200, 1, Price(100, "low")), (100, None, 3, Price(100, "high")),
        (100, 110, 3, Price(100, "high")), (100, 200, 3, Price(100, "medium")),
    ],
)  # fmt: skip
def test_a_price_is_surer_the_more_agrees(last: int | None, floor: int | None, sales: int, price: Price | None):
    assert price_of(last, floor, sales) == price


def test_each_party_sees_what_it_gives_and_gets():
    legs = (Leg(ANN, BOB, (10,), 20), Leg(BOB, ANN, (11,)))
    assert fairness(legs, {10: Price(100, "high"), 11: Price(100, "low")}) == Fairness(
        (
            Balance(ANN, Side(100, 20, 0), Side(100, 0, 0)),
            Balance(BOB, Side(100, 0, 0), Side(100, 20, 0)),
        ),
        difference_bp=1_666, certainty="low",
    )  # fmt: skip


def test_what_has_no_value_makes_nothing_certain():
    legs = (Leg(ANN, BOB, (10,)), Leg(BOB, ANN, conditions=(Condition(rarity="rare"),)))
    found = fairness(legs, {10: Price(100, "high")})
    assert (found.certainty, found.balances[0].gets.unvalued, found.difference_bp) == ("none", 1, 10_000)


@given(
    st.lists(st.integers(0, 10**12), min_size=3, max_size=3), st.lists(st.integers(0, 10**12), min_size=3, max_size=3)
)
def test_in_a_ring_all_that_is_given_is_got(values: list[int], money: list[int]):
    ring = [(ANN, BOB), (BOB, CID), (CID, ANN)]
    legs = [Leg(giver, receiver, (n,), money[n]) for n, (giver, receiver) in enumerate(ring)]
    found = fairness(legs, {n: Price(value, "high") for n, value in enumerate(values)})
    assert sum(one.gives.total for one in found.balances) == sum(one.gets.total for one in found.balances)
    assert 0 <= found.difference_bp <= 10_000
