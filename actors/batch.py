"""What one group commit gathers: the rows, the keepers that they change, the answers that wait for them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from actors.messages import Answer, Request
from domain.auction.commands import Settle
from domain.auction.events import Event
from domain.auction.refusal import Refusal
from domain.auction.state import Auction
from persistence.event_log import EventRow

if TYPE_CHECKING:
    from actors.keeper import Keeper

Reply = Callable[[int, Answer], None]
"""Hands (request id, answer) to whoever asked."""


@dataclass(slots=True, frozen=True)
class TickDue:
    """The host's own order: this auction's time has come."""

    auction: int


@dataclass(slots=True, frozen=True)
class SaleSettled:
    """The host's own order: money and copies have changed hands, the log is to say so. Answered with the state."""

    auction: int
    paid: Settle


class Foreseen(msgspec.Struct, frozen=True):
    """What an order comes to if its auction is just as it ``was``, and the time is this (ms)."""

    was: Auction
    at: int
    outcome: list[Event] | Refusal
    becomes: Auction


@dataclass(slots=True)
class Order:
    """One request on its way through a host. ``attempts`` counts how often it was decided on stale state."""

    request: Request | TickDue | SaleSettled
    request_id: int
    reply: Reply | None
    attempts: int = 0
    foreseen: Foreseen | None = None

    def answer(self, answer: Answer) -> None:
        """Tell whoever asked; once, however often this is called."""
        reply, self.reply = self.reply, None
        if reply is not None:
            reply(self.request_id, answer)


@dataclass(slots=True)
class Batch:
    """One commit in the making."""

    now_ms: int
    orders: list[Order] = field(default_factory=list)
    rows: list[EventRow] = field(default_factory=list)
    touched: "dict[Keeper, list[tuple[int, int, Event]]]" = field(default_factory=dict)
    answers: list[tuple[Order, Answer]] = field(default_factory=list)
    # Refusals in auctions whose older keys are only in the log: perhaps a retry of a bid that was accepted.
    doubtful: list[tuple[Order, Answer]] = field(default_factory=list)
