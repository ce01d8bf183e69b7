"""The state of a ledger: accounts, transfers and holds. ``apply`` never refuses."""

import msgspec
from msgspec.structs import replace

from domain.ledger.chain import Entry, entry_hash, first_entry_hash

HOUSE = 0
"""The owner of the accounts that are nobody's."""


class Account(msgspec.Struct, frozen=True):
    """``posted`` is the balance, ``held`` the part on hold; ``seq`` and ``hash`` are those of its newest entry."""

    id: int
    owner: int
    currency: str
    may_overdraw: bool
    hash: bytes
    posted: int = 0
    held: int = 0
    seq: int = 0

    @property
    def available(self) -> int:
        return self.posted - self.held


class Recorded(msgspec.Struct, frozen=True):
    """A recorded order. ``pending`` is the pending transfer that it ended.

    Only ``transfer`` and ``post`` move money; ``pend`` holds it, ``void`` and ``expire`` release it.
    """

    id: bytes
    action: str
    pending: bytes | None
    debit: int
    credit: int
    amount: int
    kind: str
    about: int | None
    at: int
    expires_at: int | None = None

    @property
    def moves(self) -> bool:
        return self.action in ("transfer", "post")


class Hold(msgspec.Struct, frozen=True):
    """An amount on hold."""

    amount: int
    expires_at: int | None = None


class Books(msgspec.Struct, frozen=True):
    """All of a ledger. ``holds`` are by (reference, account); a pending transfer's id is the reference of its hold."""

    accounts: dict[int, Account]
    recorded: dict[bytes, Recorded] = {}
    holds: dict[tuple[bytes, int], Hold] = {}


def opened(account: int, owner: int, currency: str) -> Account:
    """A new account. Accounts of the house may be negative: they represent money outside of the ledger."""
    return Account(account, owner, currency, owner == HOUSE, first_entry_hash(account))


def apply(books: Books, recorded: Recorded) -> Books:
    """The books after this."""
    debit, credit = books.accounts[recorded.debit], books.accounts[recorded.credit]
    holds = dict(books.holds)
    if recorded.action == "pend":
        holds[recorded.id, debit.id] = Hold(recorded.amount, recorded.expires_at)
        debit = replace(debit, held=debit.held + recorded.amount)
    elif recorded.pending is not None:
        debit = replace(debit, held=debit.held - holds.pop((recorded.pending, debit.id)).amount)
    if recorded.moves:
        debit = replace(debit, posted=debit.posted - recorded.amount)
        credit = _with_entry(replace(credit, posted=credit.posted + recorded.amount), recorded)
    debit = _with_entry(debit, recorded)
    accounts = books.accounts | {debit.id: debit, credit.id: credit}
    return Books(accounts, books.recorded | {recorded.id: recorded}, holds)


def with_hold(books: Books, reference: bytes, account: int, amount: int) -> Books:
    """The books with a hold of this amount; 0 is none. A hold is no entry: what it is for has a log of its own."""
    holds = dict(books.holds)
    before = holds.pop((reference, account), None)
    held = books.accounts[account].held + amount - (before.amount if before else 0)
    if amount:
        holds[reference, account] = Hold(amount)
    accounts = books.accounts | {account: replace(books.accounts[account], held=held)}
    return replace(books, accounts=accounts, holds=holds)


def _with_entry(account: Account, recorded: Recorded) -> Account:
    entry = Entry(
        recorded.action,
        recorded.id,
        recorded.pending,
        recorded.kind,
        recorded.about,
        recorded.at,
        recorded.expires_at,
        recorded.amount,
        account.id,
        account.seq + 1,
        account.posted,
        account.held,
    )
    return replace(account, seq=account.seq + 1, hash=entry_hash(account.hash, entry))
