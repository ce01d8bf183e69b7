"""What a simulation measured."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Result:
    """Of the simulated window after the warm-up, in seconds and milliseconds."""

    window_s: float
    sent: int = 0
    acked: int = 0
    # Bids that had no ack at the end, however long ago they were sent.
    in_flight: int = 0
    # Their number, averaged over the window.
    mean_in_flight: float = 0.0
    ack_ms: list[float] = field(default_factory=list)
    # Whole milliseconds from a bid to the first frame with it at a watcher, with the number of watchers.
    update_ms: Counter[int] = field(default_factory=Counter)
    frames: int = 0
    # Share of the window in which the busiest thread of each kind worked; of PostgreSQL's cores that worked.
    busy: dict[str, float] = field(default_factory=dict)

    def ack_p(self, share: float) -> float | None:
        """A percentile of the acks (ms), by nearest rank."""
        ordered = sorted(self.ack_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None

    def update_p(self, share: float) -> float | None:
        """A percentile of the updates (ms)."""
        wanted, passed = share * self.update_ms.total(), 0
        for ms in sorted(self.update_ms):
            passed += self.update_ms[ms]
            if passed >= wanted:
                return float(ms)
        return None
