"""Metrics of background jobs, read from the database: every gateway shows the same."""

import asyncio
import time
from collections.abc import Iterator, Sequence

import structlog
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from persistence.jobs.store import JobStore, KindStatus
from persistence.postgres.errors import StoreError

# The counts are read at most this often.
KEPT_S = 1.0
READ_WITHIN_S = 2.0

log = structlog.get_logger(__name__)


class JobMetrics(Collector):
    """``refresh`` reads the counts, ``collect`` shows those read last; none if the database did not answer."""

    def __init__(self, jobs: JobStore) -> None:
        self._jobs = jobs
        self._kinds: Sequence[KindStatus] = ()
        self._read_at = -KEPT_S
        self._reading = asyncio.Lock()

    async def refresh(self) -> None:
        """Read the counts, unless they were read just now."""
        async with self._reading:
            if time.monotonic() - self._read_at < KEPT_S:
                return
            try:
                async with asyncio.timeout(READ_WITHIN_S):
                    self._kinds = await self._jobs.status()
            except (StoreError, TimeoutError) as error:
                self._kinds = ()
                log.warning("job_metrics_unavailable", error=str(error))
            self._read_at = time.monotonic()

    def collect(self) -> Iterator[Metric]:
        jobs = GaugeMetricFamily("ece_jobs", "Background jobs, by kind and state", labels=["kind", "state"])
        oldest = GaugeMetricFamily(
            "ece_jobs_oldest_due_seconds", "For how long the oldest job that waits has been due", labels=["kind"]
        )
        for status in self._kinds:
            for state in ("waiting", "running", "dead"):
                jobs.add_metric([status.kind, state], getattr(status, state))
            oldest.add_metric([status.kind], status.oldest_due_ms / 1000)
        yield from (jobs, oldest)
