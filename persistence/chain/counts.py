"""What a minting actor counts since its start: for metrics."""

from bisect import bisect_left
from collections.abc import Sequence

import msgspec

from persistence.chain.rows import FinishedJob

# Finality alone takes 13 s.
DONE_BUCKETS_S = (10, 15, 20, 30, 60, 120, 300, 900, 3_600)


class KindCounts(msgspec.Struct):
    """Jobs of one kind that are done, by the time since they were added; those in no bucket took longer."""

    buckets: list[int] = msgspec.field(default_factory=lambda: [0] * (len(DONE_BUCKETS_S) + 1))
    seconds: float = 0.0

    @property
    def done(self) -> int:
        return sum(self.buckets)


class PoolCounts(msgspec.Struct):
    """``sends``: transactions that were handed over, each repetition included; ``ended``: by outcome."""

    sends: int = 0
    ended: dict[str, int] = msgspec.field(default_factory=lambda: {"landed": 0, "failed": 0, "expired": 0})
    kinds: dict[str, KindCounts] = {}

    def done(self, jobs: Sequence[FinishedJob]) -> None:
        """Count these."""
        for job in jobs:
            counts = self.kinds.setdefault(job.kind, KindCounts())
            counts.buckets[bisect_left(DONE_BUCKETS_S, job.took_ms / 1000)] += 1
            counts.seconds += job.took_ms / 1000

    @property
    def jobs_done(self) -> int:
        """Jobs of all kinds."""
        return sum(counts.done for counts in self.kinds.values())
