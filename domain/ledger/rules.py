"""The rules of the ledger. ``persistence/postgres/migrations/0004_ledger.sql`` does the same in the database, for whole
batches.

``decide`` may refuse and never changes. An account that is not the house's never has less than nothing available.
"""

from collections.abc import Sequence

import msgspec

from domain.errors import BALANCE_TOO_LARGE, INSUFFICIENT_FUNDS
from domain.ledger import refusals
from domain.ledger.books import Account, Books, Hold, Recorded, apply, with_hold
from domain.ledger.currencies import AMOUNT_MAX, HOUSE_BALANCE_MAX
from domain.ledger.orders import ACTIONS, Expire, Order, Pend, Post, Transfer, Void, fault_of
from domain.ledger.refusals import Refusal


class Done(msgspec.Struct, frozen=True):
    """The order is recorded. ``duplicate``: it was before this call."""

    recorded: Recorded
    duplicate: bool = False


class Reserve(msgspec.Struct, frozen=True):
    """Check that an owner has at_least, and set their hold for a reference to between these amounts (base units).

    An existing hold for the reference counts. at_most limits the hold: if at_least is more, the balance is only checked
    for it; at_most=0 releases. Idempotent: a hold within the limits stays as it is.
    A hold above ``unless_above`` is not changed: it is for a later bid than this order.
    """

    reference: bytes
    owner: int
    at_least: int
    at_most: int = AMOUNT_MAX
    unless_above: int | None = None

    @property
    def holds_nothing(self) -> bool:
        """Whether it is only a balance check: no hold is changed."""
        return self.at_most == 0 and self.unless_above == 0


def balance_check(reference: bytes, owner: int, amount: int) -> Reserve:
    """A check that an owner has this much available; nothing is held."""
    return Reserve(reference, owner, amount, at_most=0, unless_above=0)


Outcome = Done | Refusal


def decide(books: Books, order: Order, now_ms: int) -> Outcome:
    """The outcome of an order at this time (milliseconds). ``apply`` what was newly recorded."""
    fault = fault_of(order)
    if fault is not None:
        return Refusal(fault)
    recorded = books.recorded.get(order.id)
    if recorded is not None:
        same = same_order(recorded, order, _pending(books, recorded.pending))
        return Done(recorded, duplicate=True) if same else Refusal(refusals.TRANSFER_ID_REUSED)
    if isinstance(order, (Transfer, Pend)):
        return _begin(books, order, now_ms)
    return _end(books, order, now_ms)


def decide_all(
    books: Books, orders: Sequence[Order], now_ms: int, *, together: bool = False
) -> tuple[Books, list[Outcome]]:
    """Decide the orders one after the other, each on the state after those before it; ``together``: all or none."""
    after, outcomes = books, list[Outcome]()
    for order in orders:
        outcome = decide(after, order, now_ms)
        outcomes.append(outcome)
        if isinstance(outcome, Done) and not outcome.duplicate:
            after = apply(after, outcome.recorded)
    if together and not whole(outcomes):
        return books, as_set(outcomes)
    return after, outcomes


def whole(outcomes: Sequence[Outcome]) -> bool:
    """Whether a whole set was recorded, now or before; not if only a part of it is new."""
    done = [outcome for outcome in outcomes if isinstance(outcome, Done)]
    return len(done) == len(outcomes) and len({outcome.duplicate for outcome in done}) <= 1


def as_set(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The outcomes of orders that are all refused, since one was: those at fault keep their codes."""
    if whole(outcomes):
        return list(outcomes)
    return [o if isinstance(o, Refusal) else Refusal(refusals.SET_REFUSED) for o in outcomes]


def same_order(recorded: Recorded, order: Order, pending: Recorded | None) -> bool:
    """Whether this order was recorded under its id. ``pending``: the pending transfer that it ended."""
    if recorded.action != ACTIONS[type(order)]:
        return False
    if isinstance(order, (Transfer, Pend)):
        expires_at = order.expires_at if isinstance(order, Pend) else None
        return (order.debit, order.credit, order.amount, order.kind, order.about, expires_at) == (
            recorded.debit, recorded.credit, recorded.amount, recorded.kind, recorded.about, recorded.expires_at
        )  # fmt: skip
    if order.pending != recorded.pending:
        return False
    if not isinstance(order, Post):
        return True
    assert pending is not None, "what was ended was there"
    return (pending.amount if order.amount is None else order.amount) == recorded.amount


def reserve(books: Books, wanted: Reserve, account: Account | None) -> tuple[Books, Refusal | None]:
    """The books with the hold set, or unchanged and a refusal. ``account`` is the owner's, None if there is none."""
    held = 0 if account is None else books.holds.get((wanted.reference, account.id), Hold(0)).amount
    available = 0 if account is None else account.available
    if wanted.at_least > held and wanted.at_least - held > available:
        # What is held for this already may be used for it.
        return books, Refusal(INSUFFICIENT_FUNDS, available + held, wanted.at_least)
    if wanted.unless_above is not None and held > wanted.unless_above:
        return books, None
    amount = min(max(held, wanted.at_least), wanted.at_most)
    if account is None or amount == held:
        return books, None
    return with_hold(books, wanted.reference, account.id, amount), None


def _begin(books: Books, order: Transfer | Pend, now_ms: int) -> Outcome:
    debit, credit = books.accounts.get(order.debit), books.accounts.get(order.credit)
    expires_at = order.expires_at if isinstance(order, Pend) else None
    if debit is None or credit is None:
        return Refusal(refusals.ACCOUNT_NOT_FOUND)
    if debit.currency != credit.currency:
        return Refusal(refusals.CURRENCY_MISMATCH)
    if expires_at is not None and expires_at <= now_ms:
        return Refusal(refusals.EXPIRY_PASSED)
    if not debit.may_overdraw and order.amount > debit.available:
        return Refusal(INSUFFICIENT_FUNDS, debit.available, order.amount)
    action = ACTIONS[type(order)]
    recorded = Recorded(
        order.id, action, None, order.debit, order.credit, order.amount, order.kind, order.about, now_ms, expires_at
    )
    return _within_bounds(debit, credit, recorded)


def _end(books: Books, order: Post | Void | Expire, now_ms: int) -> Outcome:
    pending = _pending(books, order.pending)
    if pending is None:
        return Refusal(refusals.TRANSFER_NOT_FOUND)
    hold = books.holds.get((order.pending, pending.debit))
    if hold is None:
        return Refusal(refusals.TRANSFER_NOT_PENDING)
    over = hold.expires_at is not None and hold.expires_at <= now_ms
    amount = hold.amount if not isinstance(order, Post) or order.amount is None else order.amount
    if amount > hold.amount:
        return Refusal(refusals.AMOUNT_ABOVE_PENDING)
    if isinstance(order, Post) and over:
        return Refusal(refusals.TRANSFER_EXPIRED)
    if isinstance(order, Expire) and not over:
        return Refusal(refusals.TRANSFER_NOT_EXPIRED)
    recorded = Recorded(
        order.id, ACTIONS[type(order)], order.pending, pending.debit, pending.credit, amount, pending.kind,
        pending.about, now_ms,
    )  # fmt: skip
    return _within_bounds(books.accounts[pending.debit], books.accounts[pending.credit], recorded)


def _within_bounds(debit: Account, credit: Account, recorded: Recorded) -> Outcome:
    if recorded.moves:
        credit_max = HOUSE_BALANCE_MAX if credit.may_overdraw else AMOUNT_MAX
        if credit.posted + recorded.amount > credit_max:
            return Refusal(BALANCE_TOO_LARGE)
        if debit.may_overdraw and debit.posted - recorded.amount < -HOUSE_BALANCE_MAX:
            return Refusal(BALANCE_TOO_LARGE)
    elif recorded.action == "pend" and debit.held + recorded.amount > HOUSE_BALANCE_MAX:
        return Refusal(BALANCE_TOO_LARGE)
    return Done(recorded)


def _pending(books: Books, id: bytes | None) -> Recorded | None:
    recorded = None if id is None else books.recorded.get(id)
    return recorded if recorded is not None and recorded.action == "pend" else None
