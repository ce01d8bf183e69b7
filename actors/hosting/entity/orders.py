"""The orders that a host decides: requests of clients, and due times."""

from collections.abc import Callable
from dataclasses import dataclass

from actors.stream.messages import Answer, Request

Reply = Callable[[int, Answer], None]
"""Callback that delivers (request id, answer)."""


@dataclass(slots=True, frozen=True)
class DueNow:
    """An order of the host itself: this entity is due."""

    entity: int


@dataclass(slots=True)
class Order:
    """One request in a host. ``attempts``: how often it was decided on a stale state."""

    request: Request | DueNow
    request_id: int
    reply: Reply | None
    attempts: int = 0

    def answer(self, answer: Answer) -> None:
        """Deliver the answer. Only the first call does anything."""
        reply, self.reply = self.reply, None
        if reply is not None:
            reply(self.request_id, answer)
