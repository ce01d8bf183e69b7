from typing import Any

import pytest

from domain.ledger.books import HOUSE, Account, Books, Hold, apply, opened, with_hold
from domain.ledger.currencies import AMOUNT_MAX, HOUSE_BALANCE_MAX
from domain.ledger.orders import Expire, Order, Pend, Post, Transfer, Void
from domain.ledger.refusals import Refusal
from domain.ledger.rules import Done, Reserve, balance_check, decide, decide_all, reserve

NOW = 1_800_000_000_000
FAUCET, ANN, BOB, EURO = 1, 2, 3, 4
T1, T2, T3, T4 = (number.to_bytes(16, "big") for number in range(1, 5))


def books(ann: int = 100) -> Books:
    """Ann has this much, bob nothing, all of it from the faucet."""
    accounts = [
        opened(FAUCET, HOUSE, "USDC"),
        opened(ANN, 20, "USDC"),
        opened(BOB, 30, "USDC"),
        opened(EURO, 20, "EUR"),
    ]
    empty = Books({account.id: account for account in accounts})
    return after(empty, Transfer(b"d" * 16, FAUCET, ANN, ann, "deposit")) if ann else empty


def after(before: Books, *orders: Order, now_ms: int = NOW) -> Books:
    for order in orders:
        outcome = decide(before, order, now_ms)
        assert isinstance(outcome, Done), outcome
        before = apply(before, outcome.recorded)
    return before


def standing(account: Account) -> tuple[int, int, int]:
    return account.posted, account.held, account.available


def standings(of: Books) -> dict[int, tuple[int, int, int]]:
    return {account: standing(of.accounts[account]) for account in (FAUCET, ANN, BOB)}


def code(before: Books, order: Order, now_ms: int = NOW) -> str:
    outcome = decide(before, order, now_ms)
    assert isinstance(outcome, Refusal), outcome
    return outcome.code


def transfer(amount: Any, id: bytes = T1, debit: int = ANN, credit: int = BOB) -> Transfer:
    return Transfer(id, debit, credit, amount, "sale")


def test_a_transfer_takes_from_one_what_it_gives_to_the_other():
    assert standings(after(books(), transfer(30))) == {FAUCET: (-100, 0, -100), ANN: (70, 0, 70), BOB: (30, 0, 30)}


def test_a_pending_transfer_holds_and_moves_nothing():
    pending = after(books(), Pend(T1, ANN, BOB, 30, "sale"))
    assert standings(pending) == {FAUCET: (-100, 0, -100), ANN: (100, 30, 70), BOB: (0, 0, 0)}
    assert code(pending, transfer(71, T2)) == "insufficient_funds"


def test_posting_moves_what_was_held_or_a_part_of_it_and_lets_go_of_the_rest():
    pending = after(books(), Pend(T1, ANN, BOB, 30, "sale"))
    assert standings(after(pending, Post(T2, T1)))[ANN] == (70, 0, 70)
    assert standings(after(pending, Post(T2, T1, 10)))[ANN] == (90, 0, 90)
    assert code(pending, Post(T2, T1, 31)) == "amount_above_pending"


@pytest.mark.parametrize("end", [Post(T3, T1), Void(T3, T1), Expire(T3, T1)])
def test_a_pending_transfer_ends_once(end: Order):
    pending = after(books(), Pend(T1, ANN, BOB, 30, "sale", expires_at=NOW + 1))
    assert code(after(pending, Void(T2, T1)), end) == "transfer_not_pending"
    assert code(books(), end) == "transfer_not_found"
    assert code(after(books(), transfer(1)), end) == "transfer_not_found"


def test_after_its_time_a_pending_transfer_can_be_let_go_of_and_no_longer_posted():
    pending = after(books(), Pend(T1, ANN, BOB, 30, "sale", expires_at=NOW + 1))
    assert code(pending, Expire(T2, T1), NOW) == "transfer_not_expired"
    assert code(pending, Post(T2, T1), NOW + 1) == "transfer_expired"
    assert standings(after(pending, Expire(T2, T1), now_ms=NOW + 1))[ANN] == (100, 0, 100)
    assert code(books(), Pend(T1, ANN, BOB, 30, "sale", expires_at=NOW)) == "expiry_passed"


@pytest.mark.parametrize("wrong", [0, -1, 1.0, 1.5, "1", None, True, AMOUNT_MAX + 1])
def test_an_amount_is_an_integer_from_1_to_2_53(wrong: Any):
    assert code(books(), transfer(wrong)) == "invalid_amount"
    if wrong is not None:
        assert code(books(), Post(T1, T2, wrong)) == "invalid_amount"


def test_what_makes_no_sense_is_refused_by_name():
    assert code(books(), transfer(1, credit=ANN)) == "same_account"
    assert code(books(), transfer(1, credit=99)) == "account_not_found"
    assert code(books(), transfer(1, credit=EURO)) == "currency_mismatch"
    assert code(books(), transfer(1, id=b"short")) == "invalid_transfer_id"
    assert code(books(), Void(T1, T1)) == "invalid_transfer_id"
    assert code(books(), Transfer(T1, ANN, BOB, 1, "Sale|")) == "invalid_kind"


def test_what_the_balance_does_not_cover_is_refused_with_what_there_is():
    pending = after(books(), Pend(T1, ANN, BOB, 30, "sale"))
    assert decide(pending, transfer(71, T2), NOW) == Refusal("insufficient_funds", 70, 71)
    assert decide(books(0), transfer(1), NOW) == Refusal("insufficient_funds", 0, 1)


def test_no_balance_outgrows_what_clients_can_hold():
    rich = after(books(), transfer(AMOUNT_MAX, T1, FAUCET))
    assert code(rich, transfer(1, T2, FAUCET)) == "balance_too_large"
    deep = Books({**books(0).accounts, FAUCET: Account(FAUCET, HOUSE, "USDC", True, b"", -HOUSE_BALANCE_MAX)})
    assert code(deep, transfer(1, T2, FAUCET)) == "balance_too_large"


@pytest.mark.parametrize(
    "order", [transfer(30), Pend(T1, ANN, BOB, 30, "sale", 7, NOW + 1), Post(T4, T3), Post(T4, T3, 5), Void(T4, T3)]
)
def test_a_retry_is_answered_as_before_and_moves_nothing_even_when_it_is_late(order: Order):
    before = after(books(), Pend(T3, ANN, BOB, 20, "sale"))
    first = decide(before, order, NOW)
    assert isinstance(first, Done)
    assert decide(apply(before, first.recorded), order, NOW + 99) == Done(first.recorded, duplicate=True)


@pytest.mark.parametrize(
    "other",
    [transfer(31), transfer(30, credit=FAUCET), Transfer(T1, ANN, BOB, 30, "fee"), Pend(T1, ANN, BOB, 30, "sale"),
     Transfer(T1, ANN, BOB, 30, "sale", 7), Void(T1, T2)],
)  # fmt: skip
def test_an_id_that_was_used_means_one_thing_for_ever(other: Order):
    assert code(after(books(), transfer(30)), other) == "transfer_id_reused"


def test_a_refused_id_is_free_for_another_try():
    refused = decide(books(0), transfer(1), NOW)
    assert isinstance(refused, Refusal)
    assert standings(after(books(), transfer(1)))[BOB] == (1, 0, 1)


def test_orders_of_a_batch_stand_on_each_other_and_fail_alone():
    done, outcomes = decide_all(books(), [transfer(60), transfer(60, T2), transfer(40, T3)], NOW)
    assert [getattr(outcome, "code", "done") for outcome in outcomes] == ["done", "insufficient_funds", "done"]
    assert standings(done)[ANN] == (0, 0, 0)


def test_a_set_is_done_as_a_whole_or_not_at_all():
    same, outcomes = decide_all(books(), [transfer(60), transfer(60, T2)], NOW, together=True)
    assert same == books()
    assert outcomes == [Refusal("set_refused"), Refusal("insufficient_funds", 40, 60)]
    done, outcomes = decide_all(books(), [transfer(60), transfer(40, T2)], NOW, together=True)
    assert all(isinstance(outcome, Done) for outcome in outcomes)
    assert all(o.duplicate for o in decide_all(done, [transfer(60), transfer(40, T2)], NOW, together=True)[1])  # type: ignore[union-attr]
    half, outcomes = decide_all(done, [transfer(60), transfer(1, T3)], NOW, together=True)
    assert (half, {o.code for o in outcomes if isinstance(o, Refusal)}) == (done, {"set_refused", "insufficient_funds"})


def test_a_hold_covers_a_maximum_and_is_raised_by_the_difference():
    reference, funded = b"auction:" + bytes(8), books()
    held, refusal = reserve(funded, Reserve(reference, 20, 60), funded.accounts[ANN])
    assert (refusal, standing(held.accounts[ANN])) == (None, (100, 60, 40))
    raised, refusal = reserve(held, Reserve(reference, 20, 100), held.accounts[ANN])
    assert (refusal, standing(raised.accounts[ANN])) == (None, (100, 100, 0))
    again, refusal = reserve(raised, Reserve(reference, 20, 60), raised.accounts[ANN])
    assert (refusal, again) == (None, raised)
    assert reserve(raised, Reserve(reference, 20, 101), raised.accounts[ANN]) == (
        raised, Refusal("insufficient_funds", 100, 101)
    )  # fmt: skip
    released, _ = reserve(raised, Reserve(reference, 20, 0, 0), raised.accounts[ANN])
    assert (released.accounts[ANN], released.holds) == (funded.accounts[ANN], {})


def test_what_is_only_asked_for_is_not_held():
    reference, other = b"auction:" + bytes(8), b"trade:\0\0" + bytes(8)
    held = with_hold(books(), reference, ANN, 60)
    assert reserve(held, balance_check(other, 20, 40), held.accounts[ANN]) == (held, None)
    assert reserve(held, balance_check(other, 20, 41), held.accounts[ANN]) == (
        held,
        Refusal("insufficient_funds", 40, 41),
    )
    # What is held for it counts, and stays.
    assert reserve(held, balance_check(reference, 20, 100), held.accounts[ANN]) == (held, None)
    assert reserve(held, balance_check(reference, 20, 101), held.accounts[ANN])[1] == Refusal(
        "insufficient_funds", 100, 101
    )
    assert balance_check(reference, 20, 9).holds_nothing
    assert not Reserve(reference, 20, 9).holds_nothing
    assert not Reserve(reference, 20, 0, 0).holds_nothing


def test_more_may_be_asked_for_than_is_held_in_the_end():
    reference = b"auction:" + bytes(8)
    held = with_hold(books(), reference, ANN, 60)
    lowered, refusal = reserve(held, Reserve(reference, 20, 100, 30), held.accounts[ANN])
    assert (refusal, lowered.holds[reference, ANN]) == (None, Hold(30))
    assert reserve(held, Reserve(reference, 20, 101, 30), held.accounts[ANN])[1] == Refusal(
        "insufficient_funds", 100, 101
    )


def test_one_balance_is_not_promised_twice():
    first, other = b"auction:" + bytes(8), b"trade:\0\0" + bytes(8)
    held = with_hold(books(), first, ANN, 60)
    assert held.holds == {(first, ANN): Hold(60)}
    assert reserve(held, Reserve(other, 20, 41), held.accounts[ANN])[1] == Refusal("insufficient_funds", 40, 41)
    assert code(held, transfer(41)) == "insufficient_funds"
    assert reserve(held, Reserve(first, 40, 1), None)[1] == Refusal("insufficient_funds", 0, 1)
