"""The host's lease: without it, a host may not answer with a refusal."""

from actors.hosting.commit.batch import Batch
from actors.stream.messages import Refused

# Refusals append nothing, so the log does not fence them. They are sent only while the directory has confirmed the
# ownership within this time. A host without heartbeats for longer (actors/placement/director.py) loses its slots.
LEASE_MS = 2_000


class Lease:
    """Valid for LEASE_MS from the time (ms) at which the directory last confirmed what this host owns."""

    def __init__(self) -> None:
        self.confirmed_at: int | None = None

    def runs(self, now_ms: int) -> bool:
        """Whether the lease is valid. It always is for a host without a directory."""
        return self.confirmed_at is None or now_ms - self.confirmed_at <= LEASE_MS

    def withhold_refusals(self, batch: Batch) -> None:
        """After expiry, replace refusals by ``unavailable``, but for entities whose append has confirmed ownership."""
        if self.runs(batch.now_ms):
            return
        confirmed = {overlay.entity_id for overlay in batch.touched}
        batch.answers = [
            (
                order,
                batch.unavailable if isinstance(answer, Refused) and order.request.entity not in confirmed else answer,
            )
            for order, answer in batch.answers
        ]
