"""When the engine could take no bids. An auction whose end lies in such a span gets its length back."""

from collections import deque

OUTAGES_MAX = 64
SILENCE_MS = 3_000

Span = tuple[int, int]
"""(from, to), milliseconds since the Unix epoch."""


class Outages:
    """What one host knows: spans before it took a slot, and spans in which it could not commit."""

    def __init__(self) -> None:
        self._before: dict[int, Span] = {}
        self._own: deque[Span] = deque(maxlen=OUTAGES_MAX)
        self._worked_at: int | None = None
        self._failing = False

    def slot_taken(self, slot: int, kept_until_ms: int, now_ms: int) -> None:
        """The slot's former keeper was alive until then; this host serves from now on."""
        if kept_until_ms < now_ms:
            self._before[slot] = (kept_until_ms, now_ms)

    def works(self, now_ms: int) -> None:
        """The host has just committed something. Ends an outage."""
        if self._worked_at is not None and self._is_outage(now_ms):
            self._own.append((self._worked_at, now_ms))
        self._failing = False
        self._worked_at = now_ms

    def fails(self) -> None:
        """A commit has just failed. The outage began when the last one worked."""
        self._failing = True

    def covering(self, slot: int, at_ms: int, now_ms: int) -> Span | None:
        """The outage, of this slot or of the whole host, in which this time lies; perhaps one that goes on now."""
        spans = [*self._own]
        if slot in self._before:
            spans.append(self._before[slot])
        if self._worked_at is not None and self._is_outage(now_ms):
            spans.append((self._worked_at, now_ms))
        return next((span for span in spans if span[0] < at_ms <= span[1]), None)

    def _is_outage(self, now_ms: int) -> bool:
        # A host commits a heartbeat twice a second: long silence means that it was stopped or starved.
        return self._failing or (self._worked_at is not None and now_ms - self._worked_at > SILENCE_MS)
