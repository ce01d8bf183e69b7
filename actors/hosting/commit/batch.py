"""One group commit: the overlays of the entities that it concerns, and the answers that wait for the append."""

from dataclasses import dataclass, field

from actors.hosting.entity.orders import Order
from actors.hosting.entity.overlay import Overlay
from actors.stream.messages import Answer, Refused
from persistence.log.event_log import EventRow


@dataclass(slots=True)
class Batch:
    """Orders that are decided together, with one overlay for each of their entities. Changes nothing by itself."""

    now_ms: int
    # The answer where the outcome is unknown.
    unavailable: Refused
    # Whether the host had a lease when the batch began.
    leased: bool = True
    orders: list[Order] = field(default_factory=list)
    overlays: dict[int, Overlay] = field(default_factory=dict)
    answers: list[tuple[Order, Answer]] = field(default_factory=list)
    # Refusals by entities whose older keys are only in the log: these may be retries of accepted commands.
    maybe_duplicates: list[tuple[Order, Answer]] = field(default_factory=list)
    # The overlays that change their entity.
    touched: list[Overlay] = field(default_factory=list)

    def encode(self) -> None:
        """Encode the rows of all decisions so far. An overlay that has not changed since is not encoded again."""
        for overlay in self.overlays.values():
            overlay.encode()

    def rows(self) -> list[EventRow]:
        """The rows to append, grouped by entity."""
        return [row for overlay in self.touched for row in overlay.rows]

    def close(self) -> None:
        """Collect the answers of all decisions, and the overlays that change. Called again if decisions change."""
        self.touched, self.answers, self.maybe_duplicates = [], [], []
        for overlay in self.overlays.values():
            if overlay.changes:
                self.touched.append(overlay)
            for decision in overlay.decisions:
                if decision.order is not None and decision.answer is not None:
                    (self.maybe_duplicates if decision.maybe_duplicate else self.answers).append(
                        (decision.order, decision.answer)
                    )
