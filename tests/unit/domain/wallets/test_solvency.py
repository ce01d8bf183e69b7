"""Money in custody: what is missing is found, what is on its way is not taken for it."""

from hypothesis import given
from hypothesis import strategies as some

from domain.wallets.solvency import BOOKS_DIFFER, MISSING, SURPLUS, Booked, compare

amounts = some.integers(0, 10**15)


def books(**changed: int) -> Booked:
    fields = {"owed": 100, "deposited": 150, "withdrawn": 50, "sending": 0, "unswept": 0, "issued": 0}
    return Booked(**(fields | changed))


def code(booked: Booked, treasury: int, custodial: int = 0) -> str | None:
    finding = compare(booked, treasury, custodial).finding
    return None if finding is None else finding.code


@given(amounts, amounts, amounts, amounts, amounts, some.data())
def test_what_is_on_its_way_is_no_finding(deposited, kept, unswept, arriving, topped_up, data):
    deposited, unswept = deposited + kept, min(unswept, kept)
    sending = data.draw(some.integers(0, kept - unswept))
    landed = data.draw(some.integers(0, sending))
    swept_unseen = data.draw(some.integers(0, unswept))
    booked = Booked(kept, deposited, deposited - kept, sending, unswept, 0)
    found = compare(booked, kept - unswept - landed + swept_unseen, unswept - swept_unseen)
    assert found.finding is None
    assert compare(booked, kept - unswept - landed, unswept + arriving).arriving == arriving
    assert compare(booked, kept - unswept, unswept + arriving).finding is None


@given(amounts, amounts, some.integers(1, 10**15))
def test_less_than_the_ledger_owes_is_always_found(kept, sending, stolen):
    booked = Booked(kept + stolen + sending, kept + stolen + sending, 0, sending, 0, 0)
    found = compare(booked, kept, 0)
    assert found.short
    assert found.finding is not None
    assert (found.finding.code, found.finding.expected, found.finding.found) == (MISSING, booked.owed, kept)


def test_what_arrives_does_not_hide_what_is_missing():
    assert code(books(unswept=40), treasury=59, custodial=1_000) == MISSING


def test_a_surplus_is_shown_and_is_no_fault():
    found = compare(books(), 101, 0)
    assert found.finding is not None
    assert (found.finding.code, found.short) == (SURPLUS, False)


def test_a_treasury_that_is_refilled_where_money_is_play_money_is_no_surplus():
    assert code(books(owed=-300, deposited=0, withdrawn=300, issued=1_000), treasury=0) is None
    assert code(books(owed=-300, deposited=0, withdrawn=300, issued=1_000), treasury=701) == SURPLUS


def test_books_that_do_not_add_up_are_found():
    assert code(books(deposited=151), treasury=100) == BOOKS_DIFFER
