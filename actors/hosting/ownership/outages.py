"""Outages: spans in which no commands were accepted. An end that lies in one moves by its length."""

from collections import deque

OUTAGES_MAX = 64
ENTITIES_MAX = 1_000
SILENCE_MS = 3_000

Span = tuple[int, int]
"""(from, to), milliseconds since the Unix epoch."""


class Outages:
    """The outages that one host knows: before it acquired a slot, and while it could not commit."""

    def __init__(self) -> None:
        self._before: dict[int, Span] = {}
        self._before_dedicated: dict[int, Span] = {}
        self._own: deque[Span] = deque(maxlen=OUTAGES_MAX)
        self._worked_at: int | None = None
        self._failing = False

    def slot_acquired(self, slot: int, owned_until_ms: int, now_ms: int) -> None:
        """The slot's former owner was alive until ``owned_until_ms``; this host serves it from ``now_ms`` on."""
        if owned_until_ms < now_ms:
            self._before[slot] = (owned_until_ms, now_ms)

    def entity_acquired(self, entity: int, owned_until_ms: int, now_ms: int) -> None:
        """As ``slot_acquired``, for an entity that has or had a dedicated host."""
        if owned_until_ms >= now_ms:
            return
        self._before_dedicated.pop(entity, None)
        self._before_dedicated[entity] = (owned_until_ms, now_ms)
        if len(self._before_dedicated) > ENTITIES_MAX:
            del self._before_dedicated[next(iter(self._before_dedicated))]

    def commit_succeeded(self, now_ms: int) -> None:
        """A decision of this time was committed. Ends an outage."""
        if self._worked_at is not None and now_ms < self._worked_at:
            return
        if self._worked_at is not None and self._is_outage(now_ms):
            self._own.append((self._worked_at, now_ms))
        self._failing = False
        self._worked_at = now_ms

    def commit_failed(self) -> None:
        """A commit has failed. The outage began at the last commit that succeeded."""
        self._failing = True

    def covering(self, slot: int, at_ms: int, now_ms: int, entity: int | None = None) -> Span | None:
        """The outage of this slot, entity or host in which ``at_ms`` lies; it may still be going on."""
        spans = [*self._own]
        if slot in self._before:
            spans.append(self._before[slot])
        if entity in self._before_dedicated:
            spans.append(self._before_dedicated[entity])
        if self._worked_at is not None and self._is_outage(now_ms):
            spans.append((self._worked_at, now_ms))
        return next((span for span in spans if span[0] < at_ms <= span[1]), None)

    def _is_outage(self, now_ms: int) -> bool:
        # A heartbeat is committed twice a second: a longer pause means that the process was stopped or starved.
        return self._failing or (self._worked_at is not None and now_ms - self._worked_at > SILENCE_MS)
