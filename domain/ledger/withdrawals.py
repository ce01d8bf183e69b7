"""The rules of withdrawals.

``requested`` → ``waiting_for_chain`` → ``sending`` → ``paid`` | ``failed``; before ``sending`` also ``rejected`` or
``cancelled``. The amount is held until it is paid out or released. From ``sending`` on a transaction may exist, so only
the chain decides.
"""

from enum import StrEnum

import msgspec

from domain.errors import COOLING_DOWN, DAILY_LIMIT_REACHED, WITHDRAWAL_DECIDED, WITHDRAWAL_TOO_LARGE
from domain.ledger.ids import transfer_id

DAY_MS = 86_400_000


class State(StrEnum):
    """The state of a withdrawal. In ``rejected``, ``cancelled`` and ``failed`` the amount is released."""

    REQUESTED = "requested"
    WAITING_FOR_CHAIN = "waiting_for_chain"
    SENDING = "sending"
    PAID = "paid"
    FAILED = "failed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


OPEN_STATES = (State.REQUESTED, State.WAITING_FOR_CHAIN)


class Limits(msgspec.Struct, frozen=True):
    """Amounts in base units. Above ``approval_above`` an operator has to approve."""

    amount_max: int
    daily_max: int
    approval_above: int
    cool_down_ms: int


class Recent(msgspec.Struct, frozen=True):
    """The sum of the user's withdrawals of the last day, without rejected and cancelled ones; the time of the last."""

    amount: int = 0
    last_at: int | None = None


class Refusal(msgspec.Struct, frozen=True):
    """A refusal. ``maximum``: the largest amount that is accepted now; ``retry_after_ms``: when to retry."""

    code: str
    maximum: int | None = None
    retry_after_ms: int | None = None


def request(amount: int, recent: Recent, limits: Limits, now_ms: int) -> State | Refusal:
    """The first state of a withdrawal of this amount. The ledger checks the balance."""
    if amount > limits.amount_max:
        return Refusal(WITHDRAWAL_TOO_LARGE, limits.amount_max)
    if limits.cool_down_ms and recent.last_at is not None and now_ms < recent.last_at + limits.cool_down_ms:
        return Refusal(COOLING_DOWN, retry_after_ms=recent.last_at + limits.cool_down_ms - now_ms)
    if recent.amount + amount > limits.daily_max:
        return Refusal(DAILY_LIMIT_REACHED, max(0, min(limits.daily_max - recent.amount, limits.amount_max)))
    return State.REQUESTED if amount > limits.approval_above else State.WAITING_FOR_CHAIN


def decide(state: State, wanted: State) -> State | Refusal:
    """The state after an approval, a rejection or a cancellation; unchanged if it is in that state already."""
    if state is wanted:
        return state
    if wanted is State.WAITING_FOR_CHAIN:
        return wanted if state is State.REQUESTED else Refusal(WITHDRAWAL_DECIDED)
    return wanted if state in OPEN_STATES else Refusal(WITHDRAWAL_DECIDED)


def held_by(withdrawal: int) -> bytes:
    """The id of the pending transfer that holds a withdrawal's amount."""
    return transfer_id("withdrawal", withdrawal)


def released_by(withdrawal: int) -> bytes:
    """The id of the order that releases the hold when nothing is paid out."""
    return transfer_id("withdrawal let go of", withdrawal)


def paid_by(withdrawal: int) -> bytes:
    """The id of the order that posts the hold when the chain has paid out."""
    return transfer_id("withdrawal paid", withdrawal)
