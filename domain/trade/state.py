"""The state of one trade after its events."""

from enum import StrEnum

import msgspec

from domain.trade.terms import Leg, Party, Terms


class Status(StrEnum):
    """``open``: offers and acceptances. ``agreed``: all have accepted, money and copies are held. ``confirmed``: a
    worker executes it. ``executed``: done, and may be disputed. ``disputed``. ``reversing``: a worker reverses it.
    The others are ends.
    """  # fmt: skip

    OPEN = "open"
    AGREED = "agreed"
    CONFIRMED = "confirmed"
    EXECUTED = "executed"
    DISPUTED = "disputed"
    REVERSING = "reversing"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    INVALID = "invalid"
    FAILED = "failed"
    COMPLETED = "completed"
    REVERSED = "reversed"


HOLDING = frozenset({Status.AGREED, Status.CONFIRMED})
NEGOTIATING = frozenset({Status.OPEN, Status.AGREED})
ENDED = frozenset(
    {
        Status.DECLINED, Status.WITHDRAWN, Status.EXPIRED, Status.INVALID, Status.FAILED, Status.COMPLETED,
        Status.REVERSED,
    }
)  # fmt: skip


class Message(msgspec.Struct, frozen=True, array_like=True):
    """One of the newest messages; the log has all."""

    by: int
    number: int
    text: str


class Acceptance(msgspec.Struct, frozen=True, array_like=True):
    """``copies`` are those named for one's own conditions."""

    copies: tuple[int, ...]
    cool_down_ms: int


class Statement(msgspec.Struct, frozen=True, array_like=True):
    """What a party says of a dispute."""

    by: int
    text: str
    evidence: tuple[str, ...]


class Judgement(msgspec.Struct, frozen=True, array_like=True):
    """A moderator's decision."""

    by: int
    upheld: bool
    reason: str


class DisputeCase(msgspec.Struct, frozen=True, array_like=True):
    """A dispute. ``stage``: ``responses``, ``judgement``, ``appeal``, ``second_judgement`` or ``closed``.

    ``due_at`` is the end of the stage (ms). ``overdue``: no moderator has decided in time. ``appeal``: its reason.
    """

    by: int
    reason: str
    stage: str
    due_at: int | None
    statements: tuple[Statement, ...]
    judgements: tuple[Judgement, ...] = ()
    appeal: Statement | None = None
    overdue: bool = False


class Trade(msgspec.Struct, frozen=True):
    """One trade.

    ``by`` made the offer of this version. ``hash`` is that of the offer, and after the agreement that of the agreed
    legs, which ``legs`` are then. ``edited`` and ``messages_sent`` count, for the bounds.
    """

    terms: Terms
    status: Status
    version: int
    by: int
    legs: tuple[Leg, ...]
    message: str
    hash: str
    expires_at: int
    accepted: dict[int, Acceptance]
    confirmed: tuple[int, ...] = ()
    confirm_from: int = 0
    confirm_by: int = 0
    draft: tuple[Leg, ...] | None = None
    edited: int = 0
    messages_sent: int = 0
    messages: tuple[Message, ...] = ()
    reason: str | None = None
    copy: int | None = None
    fee: int = 0
    royalties: int = 0
    protected_until: int = 0
    dispute_until: int = 0
    dispute: DisputeCase | None = None

    @property
    def users(self) -> list[int]:
        """All parties."""
        return [party.user for party in self.terms.parties]

    def party(self, user: int) -> Party | None:
        """The party with this user's id."""
        return next((party for party in self.terms.parties if party.user == user), None)
