"""The terms of swaps: what is refused, and that legs conserve cards and money."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ledger.books import HOUSE
from domain.sales.settlement import FEE, ROYALTY, SALE, Payee
from domain.sales.swaps import COPIES_MAX, CardLeg, GivenCopy, PaymentLeg, Side, legs_of, payment_of, terms_fault

ANN, BOB = 1, 2
ADDRESSES = {HOUSE: "house", 3: "w3", 4: "w4"}


def card(copy: int, *royalty: Payee) -> GivenCopy:
    return GivenCopy(copy, copy, f"asset{copy}", "token-2022", None, royalty)


def ann(*copies: GivenCopy, pays: int = 0) -> Side:
    return Side(ANN, "ann's", copies, pays)


def bob(*copies: GivenCopy, pays: int = 0) -> Side:
    return Side(BOB, "bob's", copies, pays)


@pytest.mark.parametrize(
    ("one", "two", "fits"),
    [
        (ann(card(1)), bob(card(2)), True),
        (ann(card(1)), bob(pays=1), True),
        (ann(card(1)), bob(), True),
        (ann(), bob(), False),
        (ann(pays=1), bob(), False),
        (ann(card(1), pays=1), bob(pays=1), False),
        (ann(card(1)), bob(card(1)), False),
        (ann(card(1), card(1)), bob(), False),
        (ann(card(1)), bob(pays=-1), False),
        (ann(card(1)), bob(pays=2**53), False),
        (ann(*(card(number) for number in range(COPIES_MAX + 1))), bob(), False),
        (ann(card(1)), Side(ANN, "bob's", ()), False),
        (ann(card(1)), Side(BOB, "ann's", ()), False),
    ],
)
def test_a_swap_is_of_cards_between_two_and_one_pays_at_most(one: Side, two: Side, fits: bool):
    assert (terms_fault((one, two)) is None) == fits
    assert (terms_fault((two, one)) is None) == fits


def test_a_price_is_divided_as_in_a_sale():
    sides = (ann(card(1, Payee(3, 500)), card(2)), bob(pays=1_001))
    legs = legs_of(sides, payment_of(sides, 250), ADDRESSES)
    assert legs == [
        CardLeg(1, "asset1", "token-2022", None, "ann's", "bob's", 501),
        CardLeg(2, "asset2", "token-2022", None, "ann's", "bob's", 500),
        PaymentLeg(SALE, "bob's", "ann's", 1_001 - 25 - 25),
        PaymentLeg(FEE, "bob's", "house", 25),
        PaymentLeg(ROYALTY, "bob's", "w3", 25),
    ]


def test_money_for_nothing_has_no_fee():
    sides = (ann(card(1), pays=100), bob())
    assert legs_of(sides, payment_of(sides, 250), ADDRESSES)[1:] == [PaymentLeg(SALE, "ann's", "bob's", 100)]


@dataclass(frozen=True)
class Drawn:
    sides: tuple[Side, Side]
    fee_bp: int


@st.composite
def swaps(draw: st.DrawFn) -> Drawn:
    payees = st.lists(st.sampled_from([ANN, BOB, 3, 4]), unique=True, max_size=4)
    counts = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)).filter(any))
    numbers = iter(range(1, 10))
    cards = [
        [card(next(numbers), *(Payee(owner, draw(st.integers(1, 1_000))) for owner in draw(payees))) for _ in range(n)]
        for n in counts
    ]
    pays = draw(st.sampled_from([(0, 0), (1, 0), (0, 1)]))
    amount = draw(st.integers(1, 10**12))
    one, two = ann(*cards[0], pays=pays[0] * amount), bob(*cards[1], pays=pays[1] * amount)
    return Drawn(draw(st.sampled_from([(one, two), (two, one)])), draw(st.integers(0, 5_000)))


@given(swaps())
def test_each_card_goes_to_the_other_side_and_payments_sum_to_what_is_paid(drawn: Drawn):
    assert terms_fault(drawn.sides) is None
    legs = legs_of(drawn.sides, payment_of(drawn.sides, drawn.fee_bp), ADDRESSES)
    moved = sorted((leg.copy, leg.giver, leg.taker) for leg in legs if isinstance(leg, CardLeg))
    one, two = drawn.sides
    assert moved == sorted(
        (one_card.copy, giver.wallet, taker.wallet)
        for giver, taker in ((one, two), (two, one))
        for one_card in giver.copies
    )
    payments = [leg for leg in legs if isinstance(leg, PaymentLeg)]
    assert sum(leg.amount for leg in payments) == one.pays + two.pays
    assert all(leg.amount > 0 and leg.giver == (one if one.pays else two).wallet != leg.taker for leg in payments)
    payee = two if one.pays else one
    if payments and payee.copies:
        assert sum(leg.price for leg in legs if isinstance(leg, CardLeg)) == one.pays + two.pays
