"""The timers of all entities of a host, on one timer of the event loop."""

import asyncio
import heapq
from collections.abc import Callable

from actors.clock import Clock

# The wall clock may be set while a timer is pending: check at least this often.
ALARM_MAX_S = 1.0


class Timers:
    """Calls ``on_due(entity)`` once when it is due. Setting a time replaces the earlier one."""

    def __init__(self, clock: Clock, on_due: Callable[[int], None]) -> None:
        self._clock = clock
        self._on_due = on_due
        self._due: dict[int, int] = {}
        self._heap: list[tuple[int, int]] = []
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at: int | None = None

    def __len__(self) -> int:
        return len(self._due)

    def set(self, entity: int, due_at: int | None) -> None:
        """Set the due time (ms) of this entity; None removes it."""
        if due_at is None:
            self._due.pop(entity, None)
            return
        before = self._due.get(entity)
        self._due[entity] = due_at
        # A later time needs no entry of its own: the earlier entry is replaced when it is reached.
        if before is None or due_at < before:
            heapq.heappush(self._heap, (due_at, entity))
            self._arm()

    def stop(self) -> None:
        """Remove all timers."""
        self._due.clear()
        self._heap.clear()
        if self._alarm is not None:
            self._alarm.cancel()

    def _arm(self) -> None:
        due_at = self._heap[0][0]
        if self._alarm is not None:
            if self._alarm_at is not None and self._alarm_at <= due_at:
                return
            self._alarm.cancel()
        delay_s = min(max(0, due_at - self._clock.now_ms()) / 1000, ALARM_MAX_S)
        self._alarm_at = due_at
        self._alarm = asyncio.get_running_loop().call_later(delay_s, self._on_alarm)

    def _on_alarm(self) -> None:
        self._alarm = None
        now = self._clock.now_ms()
        heap, due = self._heap, self._due
        while heap and heap[0][0] <= now:
            _, entity = heapq.heappop(heap)
            due_at = due.get(entity)
            if due_at is None:
                continue
            if due_at <= now:
                del due[entity]
                self._on_due(entity)
            else:
                heapq.heappush(heap, (due_at, entity))
        if heap:
            self._arm()
