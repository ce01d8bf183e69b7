"""The server's clock: the wall clock at the start of the process, advanced by the monotonic clock."""

import time
from collections.abc import Callable

import structlog

log = structlog.get_logger()

# Small differences are adjustments of the wall clock (NTP) and are followed. A larger one means that it was set. That
# must not open or close auctions, so it is ignored until the process restarts; then the outage rule applies.
STEP_NS = 2_000_000_000
WARN_EVERY_NS = 60_000_000_000


def steady_ns() -> int:
    """Monotonic nanoseconds; on Linux they include the time in which the machine was suspended."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic_ns()


class Clock:
    """Milliseconds since the Unix epoch; never steps back within a process, and never jumps."""

    def __init__(self, wall: Callable[[], int] = time.time_ns, steady: Callable[[], int] = steady_ns) -> None:
        self._wall = wall
        self._steady = steady
        self._ahead_ns = wall() - steady()
        self._last_ms = 0
        self._warned_at_ns: int | None = None

    def steady_s(self) -> float:
        """Monotonic seconds, for durations."""
        return self._steady() / 1e9

    def now_ms(self) -> int:
        """The time now."""
        steady, wall = self._steady(), self._wall()
        difference = wall - (steady + self._ahead_ns)
        if -STEP_NS <= difference <= STEP_NS:
            self._ahead_ns += difference
        elif self._warned_at_ns is None or steady - self._warned_at_ns >= WARN_EVERY_NS:
            self._warned_at_ns = steady
            log.warning("wall_clock_was_set", by_s=round(difference / 1e9, 1), next_step="restart to follow it")
        now_ms = (steady + self._ahead_ns) // 1_000_000
        if now_ms > self._last_ms:
            self._last_ms = now_ms
        return self._last_ms
