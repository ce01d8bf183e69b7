"""What is acknowledged and what is in a database: the differences that are found."""

import pytest

from bench.peers.stack import FalseAcks, check_acks

AMOUNTS = {1: 10, 2: 20, 3: 30}


def test_acks_may_be_fewer_than_the_bids_of_the_database():
    check_acks("a", [(3, 30), (1, 10)], AMOUNTS, [(10, 20), (20, 30)])


@pytest.mark.parametrize("ack", [(4, 40), (2, 21), (0, 0)], ids=["missing", "another amount", "no number"])
def test_an_ack_that_the_database_does_not_have_is_found(ack: tuple[int, int]):
    with pytest.raises(FalseAcks, match=r"1 of 2 acknowledged bids in auction a are not in the database"):
        check_acks("a", [(1, 10), ack], AMOUNTS, [])


def test_two_acks_of_one_bid_are_found():
    with pytest.raises(FalseAcks, match="the same number"):
        check_acks("a", [(1, 10), (1, 10)], AMOUNTS, [])


@pytest.mark.parametrize("amount", [20, 19])
def test_a_bid_that_was_not_above_the_price_is_found(amount: int):
    with pytest.raises(FalseAcks, match=f"a bid of {amount} was accepted in auction a at a price of 20"):
        check_acks("a", [(1, 10)], AMOUNTS, [(10, 20), (20, amount)])


def test_a_stack_that_accepts_nothing_has_no_figure():
    with pytest.raises(FalseAcks, match="no bid was accepted in auction a"):
        check_acks("a", [], AMOUNTS, [])
