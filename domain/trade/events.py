"""Events of one trade, as the log keeps them: msgpack arrays, the tag first. Those of users have their key."""

import msgspec

from domain.trade.terms import Leg, Terms


class Offered(msgspec.Struct, frozen=True, array_like=True, tag="offered"):
    """The first offer; its version is 1."""

    terms: Terms


class Countered(msgspec.Struct, frozen=True, array_like=True, tag="countered"):
    """The offer of this version replaces the one before."""

    by: int
    key: str
    version: int
    legs: tuple[Leg, ...]
    message: str
    expires_at: int
    cool_down_ms: int
    hash: str


class Accepted(msgspec.Struct, frozen=True, array_like=True, tag="accepted"):
    """A party accepts the offer. ``agreement`` is there once all have."""

    by: int
    key: str
    hash: str
    copies: tuple[int, ...]
    cool_down_ms: int
    agreement: "Agreement | None" = None


class Agreement(msgspec.Struct, frozen=True, array_like=True):
    """All have accepted. The hash is that of the legs with the copies that were named for conditions.

    It can be confirmed from ``confirm_from`` to ``confirm_by`` (ms). ``payments``: (user, sum) of all who pay.
    """

    hash: str
    confirm_from: int
    confirm_by: int
    payments: tuple[tuple[int, int], ...]


class Confirmed(msgspec.Struct, frozen=True, array_like=True, tag="confirmed"):
    """A party confirms the agreement. ``all``: it was the last one, so the trade is to be executed."""

    by: int
    key: str
    hash: str
    all: bool


class MessageSent(msgspec.Struct, frozen=True, array_like=True, tag="message"):
    """A message to all parties."""

    by: int
    key: str
    number: int
    text: str


class Edited(msgspec.Struct, frozen=True, array_like=True, tag="edited"):
    """The draft has this version now."""

    by: int
    key: str
    draft: int
    legs: tuple[Leg, ...]


class Declined(msgspec.Struct, frozen=True, array_like=True, tag="declined"):
    """A party ends the negotiation. ``withdrawn``: it is the proposer."""

    by: int
    key: str
    withdrawn: bool


class Expired(msgspec.Struct, frozen=True, array_like=True, tag="expired"):
    """The time to accept, or to confirm, is over."""


class Invalidated(msgspec.Struct, frozen=True, array_like=True, tag="invalidated"):
    """A copy of the offer is not its giver's any more."""

    copy: int
    reason: str


class Failed(msgspec.Struct, frozen=True, array_like=True, tag="failed"):
    """It could not be executed. All stays where it was."""

    code: str
    copy: int | None


class Executed(msgspec.Struct, frozen=True, array_like=True, tag="executed"):
    """Copies and money have changed owners."""

    fee: int
    royalties: int
    protected_until: int
    dispute_until: int


class Completed(msgspec.Struct, frozen=True, array_like=True, tag="completed"):
    """It can't be disputed or reversed any more."""


class Disputed(msgspec.Struct, frozen=True, array_like=True, tag="disputed"):
    """A party complains. The others may respond until ``respond_by``."""

    by: int
    key: str
    reason: str
    evidence: tuple[str, ...]
    respond_by: int


class Responded(msgspec.Struct, frozen=True, array_like=True, tag="responded"):
    """A party has responded. ``judge_by``: all have, so a moderator has to decide until then; else None."""

    by: int
    key: str
    text: str
    evidence: tuple[str, ...]
    judge_by: int | None


class ResponseOver(msgspec.Struct, frozen=True, array_like=True, tag="response_over"):
    """The time to respond is over: a moderator has to decide until ``judge_by``."""

    judge_by: int


class Overdue(msgspec.Struct, frozen=True, array_like=True, tag="overdue"):
    """No moderator has decided in time."""


class Judged(msgspec.Struct, frozen=True, array_like=True, tag="judged"):
    """A moderator has decided. A party may appeal until ``appeal_by``; None: this is final."""

    by: int
    key: str
    upheld: bool
    reason: str
    appeal_by: int | None


class Appealed(msgspec.Struct, frozen=True, array_like=True, tag="appealed"):
    """A party appeals. Another decision is due until ``judge_by``."""

    by: int
    key: str
    reason: str
    judge_by: int


class JudgementFinal(msgspec.Struct, frozen=True, array_like=True, tag="judgement_final"):
    """Nobody has appealed in time."""


class ReversalOrdered(msgspec.Struct, frozen=True, array_like=True, tag="reversal_ordered"):
    """A moderator reverses a protected trade."""

    by: int
    key: str
    reason: str


class Reversed(msgspec.Struct, frozen=True, array_like=True, tag="reversed"):
    """Copies and money are back. ``code``: None, or why that was impossible."""

    code: str | None


Event = (
    Offered | Countered | Accepted | Confirmed | MessageSent | Edited | Declined | Expired | Invalidated | Failed
    | Executed | Completed | Disputed | Responded | ResponseOver | Overdue | Judged | Appealed | JudgementFinal
    | ReversalOrdered | Reversed
)  # fmt: skip
