"""The host's lease: while it is valid, no other host answers for what this one owns."""

import math
from collections.abc import Callable

from actors.hosting.commit.batch import Batch
from actors.stream.messages import Refused

# Refusals and reductions of reservations append nothing, so the log does not fence them. They are sent only while the
# directory has confirmed the ownership within this time. A host that acquires what was not handed off waits as long
# before it serves, unless the former owner's process has ended.
LEASE_S = 2.0


class Lease:
    """Valid for LEASE_S from when this host asked the directory what it owns. ``steady_s`` gives monotonic seconds."""

    def __init__(self, steady_s: Callable[[], float]) -> None:
        self._steady_s = steady_s
        self._confirmed_at_s: float | None = None

    def confirm(self, asked_at_s: float) -> None:
        """The directory has confirmed what this host owns. It was asked at this time."""
        self._confirmed_at_s = max(asked_at_s, self._confirmed_at_s or asked_at_s)

    @property
    def ends_at_s(self) -> float:
        """When it ends, on the steady clock, unless it is confirmed again. Never for a host without a directory."""
        return math.inf if self._confirmed_at_s is None else self._confirmed_at_s + LEASE_S

    def runs(self) -> bool:
        """Whether the lease is valid."""
        return not self.passed(self.ends_at_s)

    def passed(self, time_s: float) -> bool:
        """Whether this time has passed, on the steady clock."""
        return self._steady_s() > time_s


def withhold_refusals(batch: Batch) -> None:
    """Without a lease, replace refusals by ``unavailable``, but for entities whose append has confirmed ownership."""
    if batch.leased:
        return
    confirmed = {overlay.entity_id for overlay in batch.touched}
    batch.answers = [
        (
            order,
            batch.unavailable if isinstance(answer, Refused) and order.request.entity not in confirmed else answer,
        )
        for order, answer in batch.answers
    ]
