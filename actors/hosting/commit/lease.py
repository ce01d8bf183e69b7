"""How long a host may say what the log does not fence."""

from actors.hosting.commit.batch import Batch
from actors.stream.messages import Refused

# What the log does not fence, refusals, is only said while the directory has lately confirmed that we are the owner.
# A host that is silent for longer (actors/placement/director.py) loses what it owns.
LEASE_MS = 2_000


class Lease:
    """Runs from when the directory last said what this host owns (ms)."""

    def __init__(self) -> None:
        self.confirmed_at: int | None = None

    def runs(self, now_ms: int) -> bool:
        """Whether the directory has lately said so; a host that was never in it has nobody to ask."""
        return self.confirmed_at is None or now_ms - self.confirmed_at <= LEASE_MS

    def hold_back(self, batch: Batch) -> None:
        """Once it has run out, say no refusal that no row of the batch vouches for: another host may have moved on."""
        if self.runs(batch.now_ms):
            return
        vouched = {overlay.entity_id for overlay in batch.touched}
        batch.answers = [
            (
                order,
                batch.unavailable if isinstance(answer, Refused) and order.request.entity not in vouched else answer,
            )
            for order, answer in batch.answers
        ]
