"""Counters of the traffic of all sockets of one gateway.

The counts are plain numbers, since a counter of Prometheus with labels costs a microsecond and each command has several
things to count; ``exposition.py`` shows them.
"""

from bisect import bisect_left
from collections import Counter, defaultdict

ACK_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
OK = "ok"


class Traffic:
    """The counters, shared by the sessions of a gateway."""

    __slots__ = (
        "ack_counts",
        "ack_sum_s",
        "answered",
        "closed",
        "received_bytes",
        "received_frames",
        "rejected",
        "sent_bytes",
        "sent_frames",
    )  # fmt: skip

    def __init__(self) -> None:
        # By op and by `ok` or the code of the error.
        self.answered: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.ack_counts = [0] * (len(ACK_BUCKETS_S) + 1)
        self.ack_sum_s = 0.0
        self.received_frames = 0
        self.received_bytes = 0
        self.sent_frames = 0
        self.sent_bytes = 0
        # By close code of ours; those that the client or the network ended are `client`.
        self.closed: Counter[str] = Counter()
        # Sockets that were refused because a limit was reached.
        self.rejected = 0

    def acked(self, after_s: float) -> None:
        """Record the time (s) from a command to its answer."""
        self.ack_counts[bisect_left(ACK_BUCKETS_S, after_s)] += 1
        self.ack_sum_s += after_s
