"""What clients send about money, and what they get. Amounts in base units (USDC: 6 decimals), times in milliseconds."""

import csv
import io
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.ids import id_text
from domain.ledger.currencies import AMOUNT_MAX, CURRENCIES, Currency, shown
from gateway.rest.auctions.bodies import TIME_MAX_MS
from gateway.rest.text import LINE
from persistence.ledger.reading import EntryRow
from persistence.ledger.withdrawals import Withdrawal

DESTINATION_LENGTH_MAX = 128
REASON_LENGTH_MAX = 200
STATEMENT_COLUMNS = (
    "seq", "at", "action", "kind", "about", "amount", "balance", "pending", "currency", "transfer", "hash"
)  # fmt: skip

Amount = Annotated[int, Field(ge=1, le=AMOUNT_MAX, examples=[5_000_000])]
CurrencyCode = Annotated[
    str, Field(min_length=1, max_length=16, examples=["USDC"], json_schema_extra={"enum": sorted(CURRENCIES)})
]
Time = Annotated[int, Field(ge=0, le=TIME_MAX_MS)]


class _Body(BaseModel):
    # Strict: 1.0, true and "1" are not integers. Unknown fields are mistakes, perhaps costly ones.
    model_config = ConfigDict(strict=True, extra="forbid")


class NewDeposit(_Body):
    """Money out of the faucet."""

    amount: Amount
    currency: CurrencyCode


class NewWithdrawalBody(_Body):
    """Money to be paid out. ``destination`` is the address of a wallet on the chain."""

    amount: Amount
    currency: CurrencyCode
    destination: Annotated[str, Field(min_length=1, max_length=DESTINATION_LENGTH_MAX), LINE]


class Rejection(_Body):
    """Why a withdrawal is not paid out; its owner sees it."""

    reason: Annotated[str, Field(min_length=1, max_length=REASON_LENGTH_MAX), LINE]


class Balance(BaseModel):
    """``posted`` is the balance, ``pending`` the part on hold, ``available`` the rest."""

    currency: str
    decimals: int
    posted: int
    pending: int
    available: int


class Balances(BaseModel):
    """One for each currency there is."""

    balances: list[Balance]


class Deposit(BaseModel):
    """A deposit that is in the ledger. ``source`` is the faucet: no payment backs it."""

    id: str
    state: Literal["posted"]
    source: Literal["faucet"]
    amount: int
    currency: str
    at: int
    notice: str


class EntryItem(BaseModel):
    """One entry. ``amount`` is what it moved, with its sign: 0 where money was only held or released (``held``)."""

    account: str
    seq: int
    at: int
    action: Literal["transfer", "pend", "post", "void", "expire"]
    kind: str
    about: Annotated[str | None, Field(description="The id of what it is about: an auction, a withdrawal")]
    amount: int
    size: Annotated[int, Field(description="The amount of the transfer")]
    posted: int
    pending: int
    expires_at: int | None
    transfer: Annotated[str, Field(description="32 hexadecimal digits")]
    ends: Annotated[str | None, Field(description="The pending transfer that this posted or released")]
    hash: Annotated[str, Field(description="64 hexadecimal digits; see docs/protocol.md")]


class EntryPage(BaseModel):
    """A page of entries, the newest first."""

    items: list[EntryItem]
    next_cursor: str | None


class WithdrawalItem(BaseModel):
    """A withdrawal. Its amount is held while it is ``requested``, ``waiting_for_chain`` or ``sending``.

    ``signature`` is that of the transaction that paid it.
    """

    id: str
    state: Literal["requested", "waiting_for_chain", "sending", "paid", "failed", "rejected", "cancelled"]
    amount: int
    currency: str
    destination: str
    requested_at: int
    decided_at: int | None
    reason: str | None
    signature: str | None
    finished_at: int | None
    chain: Annotated[str | None, Field(description="Who pays out; null: nobody does yet, and the money stays held")]


class WithdrawalPage(BaseModel):
    """A page of withdrawals, the newest first."""

    items: list[WithdrawalItem]
    next_cursor: str | None


class RequestedWithdrawal(WithdrawalItem):
    """A withdrawal, as operators see it."""

    user: str


class RequestedPage(BaseModel):
    """A page of withdrawals, the newest first."""

    items: list[RequestedWithdrawal]
    next_cursor: str | None


def entry_json(row: EntryRow) -> dict[str, Any]:
    """An EntryItem."""
    return {
        "account": id_text(row.account),
        "seq": row.seq,
        "at": row.at,
        "action": row.action,
        "kind": row.kind,
        "about": None if row.about is None else id_text(row.about),
        "amount": row.amount,
        "size": row.size,
        "posted": row.posted,
        "pending": row.held,
        "expires_at": row.expires_at,
        "transfer": row.transfer.hex(),
        "ends": None if row.pending is None else row.pending.hex(),
        "hash": row.hash.hex(),
    }


def withdrawal_json(withdrawal: Withdrawal, chain: str | None) -> dict[str, Any]:
    """A WithdrawalItem."""
    return {
        "id": id_text(withdrawal.id),
        "state": withdrawal.state,
        "amount": withdrawal.amount,
        "currency": withdrawal.currency,
        "destination": withdrawal.destination,
        "requested_at": withdrawal.requested_at,
        "decided_at": withdrawal.decided_at,
        "reason": withdrawal.reason,
        "signature": withdrawal.signature,
        "finished_at": withdrawal.finished_at,
        "chain": chain,
    }


def statement_lines(rows: Iterable[EntryRow], currency: Currency) -> str:
    """Rows of a statement as CSV; amounts in whole units, exactly."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\r\n")
    for row in rows:
        item = entry_json(row)
        amounts = [shown(item[name], currency) for name in ("amount", "posted", "pending")]
        head = [item["seq"], item["at"], item["action"], item["kind"], item["about"] or ""]
        lines.writerow([*head, *amounts, currency.code, item["transfer"], item["hash"]])
    return out.getvalue()
