"""When the engine could take no bids. An entity whose end lies in such a span gets its length back."""

from collections import deque

OUTAGES_MAX = 64
ENTITIES_MAX = 1_000
SILENCE_MS = 3_000

Span = tuple[int, int]
"""(from, to), milliseconds since the Unix epoch."""


class Outages:
    """What one host knows: spans before it took a slot, and spans in which it could not commit."""

    def __init__(self) -> None:
        self._before: dict[int, Span] = {}
        self._before_dedicated: dict[int, Span] = {}
        self._own: deque[Span] = deque(maxlen=OUTAGES_MAX)
        self._worked_at: int | None = None
        self._failing = False

    def slot_acquired(self, slot: int, owned_until_ms: int, now_ms: int) -> None:
        """The slot's former owner was alive until then; this host serves from now on."""
        if owned_until_ms < now_ms:
            self._before[slot] = (owned_until_ms, now_ms)

    def entity_acquired(self, entity: int, owned_until_ms: int, now_ms: int) -> None:
        """The same for an entity that had, or now has, a dedicated host."""
        if owned_until_ms >= now_ms:
            return
        self._before_dedicated.pop(entity, None)
        self._before_dedicated[entity] = (owned_until_ms, now_ms)
        if len(self._before_dedicated) > ENTITIES_MAX:
            del self._before_dedicated[next(iter(self._before_dedicated))]

    def works(self, now_ms: int) -> None:
        """Something that the host decided at this time is committed. Ends an outage."""
        if self._worked_at is not None and now_ms < self._worked_at:
            return
        if self._worked_at is not None and self._is_outage(now_ms):
            self._own.append((self._worked_at, now_ms))
        self._failing = False
        self._worked_at = now_ms

    def fails(self) -> None:
        """A commit has just failed. The outage began when the last one worked."""
        self._failing = True

    def covering(self, slot: int, at_ms: int, now_ms: int, entity: int | None = None) -> Span | None:
        """The outage, of this slot, this entity or the whole host, in which this time lies; perhaps still going on."""
        spans = [*self._own]
        if slot in self._before:
            spans.append(self._before[slot])
        if entity in self._before_dedicated:
            spans.append(self._before_dedicated[entity])
        if self._worked_at is not None and self._is_outage(now_ms):
            spans.append((self._worked_at, now_ms))
        return next((span for span in spans if span[0] < at_ms <= span[1]), None)

    def _is_outage(self, now_ms: int) -> bool:
        # A host commits a heartbeat twice a second: long silence means that it was stopped or starved.
        return self._failing or (self._worked_at is not None and now_ms - self._worked_at > SILENCE_MS)
