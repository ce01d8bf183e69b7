"""Paying out: what may be asked for, and what becomes of it.

``requested`` → ``waiting_for_chain`` | ``rejected`` | ``cancelled``. What is asked for is held until it is paid out or
let go of. What a chain does with those that wait comes with the chain.
"""

from enum import StrEnum

import msgspec

from domain.errors import COOLING_DOWN, DAILY_LIMIT_REACHED, WITHDRAWAL_DECIDED, WITHDRAWAL_TOO_LARGE
from domain.ledger.ids import transfer_id

DAY_MS = 86_400_000


class State(StrEnum):
    """Where a withdrawal stands. In ``rejected`` and ``cancelled`` the money is its owner's again."""

    REQUESTED = "requested"
    WAITING_FOR_CHAIN = "waiting_for_chain"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


OPEN_STATES = (State.REQUESTED, State.WAITING_FOR_CHAIN)


class Limits(msgspec.Struct, frozen=True):
    """Amounts in base units. Above ``approval_above`` an operator has to say yes."""

    amount_max: int
    daily_max: int
    approval_above: int
    cool_down_ms: int


class Recent(msgspec.Struct, frozen=True):
    """What the same user asked for in the last day, without what was rejected or cancelled; and when last."""

    amount: int = 0
    last_at: int | None = None


class Refusal(msgspec.Struct, frozen=True):
    """Why not. ``maximum``: the most that could be asked for now; ``retry_after_ms``: when to come again."""

    code: str
    maximum: int | None = None
    retry_after_ms: int | None = None


def request(amount: int, recent: Recent, limits: Limits, now_ms: int) -> State | Refusal:
    """How a withdrawal of this amount begins. Whether the balance covers it is the ledger's to say."""
    if amount > limits.amount_max:
        return Refusal(WITHDRAWAL_TOO_LARGE, limits.amount_max)
    if limits.cool_down_ms and recent.last_at is not None and now_ms < recent.last_at + limits.cool_down_ms:
        return Refusal(COOLING_DOWN, retry_after_ms=recent.last_at + limits.cool_down_ms - now_ms)
    if recent.amount + amount > limits.daily_max:
        return Refusal(DAILY_LIMIT_REACHED, max(0, min(limits.daily_max - recent.amount, limits.amount_max)))
    return State.REQUESTED if amount > limits.approval_above else State.WAITING_FOR_CHAIN


def decide(state: State, wanted: State) -> State | Refusal:
    """Where an approval, a rejection or a cancellation leads from here. Wanting what is so already is fine."""
    if state is wanted:
        return state
    if wanted is State.WAITING_FOR_CHAIN:
        return wanted if state is State.REQUESTED else Refusal(WITHDRAWAL_DECIDED)
    return wanted if state in OPEN_STATES else Refusal(WITHDRAWAL_DECIDED)


def held_by(withdrawal: int) -> bytes:
    """The id of the pending transfer that holds a withdrawal's amount."""
    return transfer_id("withdrawal", withdrawal)


def let_go_by(withdrawal: int) -> bytes:
    """The id of what ends that hold when nothing is paid out."""
    return transfer_id("withdrawal let go of", withdrawal)
