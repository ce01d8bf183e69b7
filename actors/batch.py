"""One group commit in the making: what its orders come to in each auction, and the answers that wait for the log."""

from dataclasses import dataclass, field

from actors.messages import Answer
from actors.orders import Order
from actors.overlay import Overlay
from persistence.event_log import EventRow


@dataclass(slots=True)
class Batch:
    """What is decided together: one overlay for each auction that has an order in it. Nothing has happened yet."""

    now_ms: int
    orders: list[Order] = field(default_factory=list)
    overlays: dict[int, Overlay] = field(default_factory=dict)
    answers: list[tuple[Order, Answer]] = field(default_factory=list)
    # Refusals in auctions whose older keys are only in the log: perhaps a retry of a bid that was accepted.
    doubtful: list[tuple[Order, Answer]] = field(default_factory=list)

    @property
    def touched(self) -> list[Overlay]:
        """The auctions that it changes."""
        return [overlay for overlay in self.overlays.values() if overlay.changes]

    def encode(self) -> None:
        """Make the rows of all that is decided by now; what was encoded before and stands is not encoded again."""
        for overlay in self.overlays.values():
            overlay.encode()

    def rows(self) -> list[EventRow]:
        """The rows of the log, by auction."""
        return [row for overlay in self.overlays.values() for row in overlay.rows]

    def collect_answers(self) -> None:
        """Take over the answers of all decisions, which are final now."""
        for overlay in self.overlays.values():
            for decision in overlay.decisions:
                if decision.order is not None and decision.answer is not None:
                    (self.doubtful if decision.doubtful else self.answers).append((decision.order, decision.answer))
