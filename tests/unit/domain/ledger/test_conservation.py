"""Whatever comes in whatever order, money is conserved and nobody has less than nothing."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st
from ledger_strategies import NOW, USERS, name, orders_over, reserves_of

from domain.ledger.books import HOUSE, Books, apply, opened
from domain.ledger.chain import Entry, entry_hash, first_entry_hash
from domain.ledger.orders import Pend, Transfer
from domain.ledger.rules import Done, Reserve, decide, reserve

HOUSE_ACCOUNT = 1
USER_ACCOUNTS = list(range(2, 2 + USERS))
ACCOUNTS = [HOUSE_ACCOUNT, *USER_ACCOUNTS]
OWNERS = {account: account * 10 for account in USER_ACCOUNTS}

steps = st.lists(
    st.one_of(
        orders_over(ACCOUNTS),
        reserves_of(list(OWNERS.values())),
        st.integers(0, 4),
    ),
    max_size=40,
)


def start() -> Books:
    accounts = [opened(HOUSE_ACCOUNT, HOUSE, "USDC"), *(opened(a, owner, "USDC") for a, owner in OWNERS.items())]
    books = Books({account.id: account for account in accounts})
    for account in USER_ACCOUNTS:
        outcome = decide(books, Transfer(name(1000 + account), HOUSE_ACCOUNT, account, 50, "deposit"), NOW)
        assert isinstance(outcome, Done)
        books = apply(books, outcome.recorded)
    return books


def assert_sound(books: Books) -> None:
    assert sum(account.posted for account in books.accounts.values()) == 0
    for account in books.accounts.values():
        assert account.held == sum(hold.amount for (_, of), hold in books.holds.items() if of == account.id)
        assert account.may_overdraw or account.available >= 0
    for reference, _ in books.holds:
        assert reference.startswith(b"auction:") or books.recorded[reference].action == "pend"


@given(steps)
def test_any_interleaving_conserves_money_and_leaves_nobody_below_zero(given_steps: list[object]):
    books, now_ms = start(), NOW
    for step in given_steps:
        before = books
        if isinstance(step, int):
            now_ms += step
        elif isinstance(step, Reserve):
            account = books.accounts[step.owner // 10]
            books, refusal = reserve(books, step, account)
            assert refusal is None or books == before
            assert refusal is not None or reserve(books, step, books.accounts[account.id]) == (books, None)
        else:
            outcome = decide(books, step, now_ms)  # type: ignore[arg-type]
            if isinstance(outcome, Done) and not outcome.duplicate:
                books = apply(books, outcome.recorded)
                assert decide(books, step, now_ms + 9) == Done(outcome.recorded, duplicate=True)  # type: ignore[arg-type]
        assert_sound(books)


@given(steps)
def test_the_books_follow_from_what_was_recorded(given_steps: list[object]):
    books = start()
    for step in given_steps:
        if not isinstance(step, (int, Reserve)):
            outcome = decide(books, step, NOW)  # type: ignore[arg-type]
            books = apply(books, outcome.recorded) if isinstance(outcome, Done) and not outcome.duplicate else books
    replayed = Books({a.id: opened(a.id, a.owner, a.currency) for a in books.accounts.values()})
    for recorded in books.recorded.values():
        replayed = apply(replayed, recorded)
    assert replayed == books


def test_the_chain_is_as_documented():
    books = start()
    outcome = decide(books, Pend(name(1), 2, 3, 30, "sale", 7, NOW + 5), NOW)
    assert isinstance(outcome, Done)
    account = apply(books, outcome.recorded).accounts[2]
    text = f"pend|{name(1).hex()}||sale|7|{NOW}|{NOW + 5}|30|2|2|50|30"
    entry = Entry("pend", name(1), None, "sale", 7, NOW, NOW + 5, 30, 2, 2, 50, 30)
    assert account.hash == entry_hash(books.accounts[2].hash, entry)
    deposit = f"transfer|{name(1002).hex()}||deposit||{NOW}||50|2|1|50|0"
    first = hashlib.sha256(first_entry_hash(2) + deposit.encode()).digest()
    assert account.hash == hashlib.sha256(first + text.encode()).digest()
