"""One group commit in the making: what its orders come to in each entity, and the answers that wait for the log."""

from dataclasses import dataclass, field

from actors.hosting.entity.orders import Order
from actors.hosting.entity.overlay import Overlay
from actors.stream.messages import Answer, Refused
from persistence.log.event_log import EventRow


@dataclass(slots=True)
class Batch:
    """What is decided together: one overlay for each entity that has an order in it. Nothing has happened yet."""

    now_ms: int
    # What is answered where nobody can tell.
    unavailable: Refused
    orders: list[Order] = field(default_factory=list)
    overlays: dict[int, Overlay] = field(default_factory=dict)
    answers: list[tuple[Order, Answer]] = field(default_factory=list)
    # Refusals in entities whose older keys are only in the log: perhaps retries of commands that were accepted.
    maybe_duplicates: list[tuple[Order, Answer]] = field(default_factory=list)
    # The entities that it changes.
    touched: list[Overlay] = field(default_factory=list)

    def encode(self) -> None:
        """Make the rows of all that is decided by now; what was encoded before and stands is not encoded again."""
        for overlay in self.overlays.values():
            overlay.encode()

    def rows(self) -> list[EventRow]:
        """The rows of the log, by entity."""
        return [row for overlay in self.touched for row in overlay.rows]

    def close(self) -> None:
        """Collect the answers of all decisions, and what they change. After a change of decisions: again."""
        self.touched, self.answers, self.maybe_duplicates = [], [], []
        for overlay in self.overlays.values():
            if overlay.changes:
                self.touched.append(overlay)
            for decision in overlay.decisions:
                if decision.order is not None and decision.answer is not None:
                    (self.maybe_duplicates if decision.maybe_duplicate else self.answers).append(
                        (decision.order, decision.answer)
                    )
