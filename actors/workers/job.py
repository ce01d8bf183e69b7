"""The base of all kinds of jobs. A new kind is a subclass of Job, and one line in ``ece/processes/worker.py``."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import msgspec

from persistence.jobs.store import Claimed

# The key of the only job of a periodic kind.
PERIODIC_KEY = "periodic"


class Retry(msgspec.Struct, frozen=True):
    """Attempts and the time between them (ms): twice as long each time, up to ``longest_ms``. Then the job is dead."""

    attempts_max: int = 12
    first_ms: int = 1_000
    longest_ms: int = 300_000

    def delay_ms(self, attempts: int, jitter: float) -> int:
        """The delay (ms) after this many failed attempts. ``jitter`` in 0 .. 1 shortens it by up to a half."""
        longest = min(self.longest_ms, self.first_ms << min(attempts - 1, 30))
        return round(longest * (1 - jitter / 2))


class Later(msgspec.Struct, frozen=True):
    """A job that can't be done yet, through no fault of its own: it runs again after ``delay_ms``."""

    job: Claimed
    delay_ms: int


class Job(ABC):
    """One kind of job. ``run`` may be called twice for one job: a worker may die after the effect.

    Effects in PostgreSQL commit together with ``complete_within``; others are idempotent by the job's key.
    """

    kind: ClassVar[str]
    # The most jobs of one call.
    batch_max: ClassVar[int] = 1
    # The least time from the beginning of one call to the next: under load, jobs gather to larger batches.
    gather_s: ClassVar[float] = 0.0
    # A call that takes longer has failed.
    timeout_s: ClassVar[float] = 60.0
    retry: ClassVar[Retry] = Retry()
    # For a periodic job: the time from the end of one run to the next. It is never dead.
    every_ms: ClassVar[int | None] = None

    @abstractmethod
    async def run(self, jobs: Sequence[Claimed]) -> Sequence[Later]:
        """Do these jobs, and return those that have to run again later.

        An exception is a failed attempt. StoreUnavailable and LeaseLost are not: the job runs again in a second.
        """
