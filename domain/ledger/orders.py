"""Orders to the ledger, after TigerBeetle's transfers: at once, or pending first and then posted or voided.

Source of the model: https://docs.tigerbeetle.com/coding/two-phase-transfers/. The caller makes the id, 16 bytes, equal
in a retry (``domain.ledger.ids``).
"""

import re

import msgspec

from domain.ledger import refusals
from domain.ledger.currencies import is_amount

ID_BYTES = 16
_KIND = re.compile("[a-z][a-z_]{0,31}")


class Transfer(msgspec.Struct, frozen=True):
    """Move ``amount`` base units from one account to another, now.

    ``kind`` is the purpose (``deposit``, ``sale``), ``about`` the id of the auction or withdrawal.
    """

    id: bytes
    debit: int
    credit: int
    amount: int
    kind: str
    about: int | None = None


class Pend(msgspec.Struct, frozen=True):
    """Hold ``amount`` of the debit account, to be posted to the credit account later, or voided.

    After ``expires_at`` (milliseconds) it can't be posted any more; the hold stays until ``Expire``.
    """

    id: bytes
    debit: int
    credit: int
    amount: int
    kind: str
    about: int | None = None
    expires_at: int | None = None


class Post(msgspec.Struct, frozen=True):
    """Move what a pending transfer holds, or ``amount`` of it; the rest is released."""

    id: bytes
    pending: bytes
    amount: int | None = None


class Void(msgspec.Struct, frozen=True):
    """Release what a pending transfer holds."""

    id: bytes
    pending: bytes


class Expire(msgspec.Struct, frozen=True):
    """Release what an expired pending transfer holds."""

    id: bytes
    pending: bytes


Order = Transfer | Pend | Post | Void | Expire

ACTIONS: dict[type[Order], str] = {
    Transfer: "transfer",
    Pend: "pend",
    Post: "post",
    Void: "void",
    Expire: "expire",
}


def fault_of(order: Order) -> str | None:
    """The code for an order that is invalid in any state of the ledger, else None."""
    if type(order.id) is not bytes or len(order.id) != ID_BYTES:
        return refusals.INVALID_TRANSFER_ID
    if isinstance(order, (Transfer, Pend)):
        if not is_amount(order.amount):
            return refusals.INVALID_AMOUNT
        if order.debit == order.credit:
            return refusals.SAME_ACCOUNT
        return refusals.INVALID_KIND if _KIND.fullmatch(order.kind) is None else None
    if type(order.pending) is not bytes or len(order.pending) != ID_BYTES or order.pending == order.id:
        return refusals.INVALID_TRANSFER_ID
    if isinstance(order, Post) and order.amount is not None and not is_amount(order.amount):
        return refusals.INVALID_AMOUNT
    return None
