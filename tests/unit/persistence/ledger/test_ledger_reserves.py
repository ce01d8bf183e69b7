"""Holds that go to the database at once come to the same as one after the other."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_strategies import reserves_of
from msgspec.structs import replace

from domain.ledger.books import Books, opened, with_hold
from domain.ledger.ids import held_for_auction
from domain.ledger.rules import Reserve, balance_check, reserve
from persistence.ledger.reserves import reserves_at_once

ANN, BOB = 1, 2
ONE, TWO = held_for_auction(0), held_for_auction(1)


def books(held: int = 0) -> Books:
    rich = {owner: replace(opened(owner, owner, "USDC"), posted=10_000) for owner in (ANN, BOB)}
    return with_hold(Books(rich), ONE, ANN, held) if held else Books(rich)


def after(books: Books, wanted: list[Reserve]) -> Books:
    for want in wanted:
        books, refusal = reserve(books, want, books.accounts[want.owner])
        assert refusal is None
    return books


def as_reserves(at_once: tuple[list[object], ...]) -> list[Reserve]:
    return [Reserve(*columns) for columns in zip(*at_once[2:], strict=True)]  # type: ignore[arg-type]


@given(wanted=st.lists(reserves_of([ANN, BOB]), max_size=5), held=st.integers(0, 60))
def test_what_is_sent_at_once_comes_to_the_same_as_one_after_the_other(wanted: list[Reserve], held: int):
    at_once = reserves_at_once(wanted)
    if at_once is not None:
        assert after(books(held), as_reserves(at_once)) == after(books(held), wanted)


@pytest.mark.parametrize("above", [None, 0, 1, 2, 3, 4])
@pytest.mark.parametrize("kept", [0, 2])
def test_what_is_let_go_of_and_raised_again_comes_to_the_same_whatever_was_held(kept: int, above: int | None):
    for held, least in itertools.product(range(5), range(5)):
        wanted = [Reserve(ONE, ANN, 0, kept, above), Reserve(ONE, ANN, least)]
        at_once = reserves_at_once(wanted)
        assert (at_once is None) == (kept > least)
        if at_once is not None:
            assert after(books(held), as_reserves(at_once)) == after(books(held), wanted)


def test_what_is_only_asked_for_goes_as_the_most_for_each_owner():
    checks = [balance_check(ONE, ANN, 5), balance_check(TWO, ANN, 7), balance_check(ONE, BOB, 3)]
    assert reserves_at_once([*checks, Reserve(ONE, BOB, 9)]) == (
        [ANN, BOB], [7, 3], [ONE], [BOB], [9], [Reserve(ONE, BOB, 9).at_most], [None]
    )  # fmt: skip


def test_letting_go_and_raising_again_go_as_one():
    at_once = reserves_at_once([Reserve(ONE, ANN, 0, 0, 30), Reserve(TWO, BOB, 0, 0, 9), Reserve(ONE, ANN, 40)])
    assert at_once is not None
    assert as_reserves(at_once) == [Reserve(ONE, ANN, 40), Reserve(TWO, BOB, 0, 0, 9)]


def test_what_has_to_be_done_in_turn_is_not_sent_at_once():
    assert reserves_at_once([Reserve(ONE, ANN, 40), Reserve(ONE, ANN, 0, 0)]) is None
    assert reserves_at_once([Reserve(ONE, ANN, 40, 30)]) is None
