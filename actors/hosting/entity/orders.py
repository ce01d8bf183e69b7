"""What a host is ordered to do: clients' requests, and what time alone does."""

from collections.abc import Callable
from dataclasses import dataclass

from actors.stream.messages import Answer, Request

Reply = Callable[[int, Answer], None]
"""Hands (request id, answer) to whoever asked."""


@dataclass(slots=True, frozen=True)
class DueNow:
    """The host's own order: this entity's time has come."""

    entity: int


@dataclass(slots=True)
class Order:
    """One request on its way through a host. ``attempts`` counts how often it was decided on stale state."""

    request: Request | DueNow
    request_id: int
    reply: Reply | None
    attempts: int = 0

    def answer(self, answer: Answer) -> None:
        """Answer whoever asked; once, however often this is called."""
        reply, self.reply = self.reply, None
        if reply is not None:
            reply(self.request_id, answer)
