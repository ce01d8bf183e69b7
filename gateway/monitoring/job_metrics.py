"""Metrics of background jobs."""

from collections.abc import Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric

from gateway.monitoring.stored_metrics import StoredMetrics
from persistence.jobs.store import KindStatus


class JobMetrics(StoredMetrics[Sequence[KindStatus]]):
    """Reads ``JobStore.status``."""

    def collect(self) -> Iterator[Metric]:
        jobs = GaugeMetricFamily("ece_jobs", "Background jobs, by kind and state", labels=["kind", "state"])
        oldest = GaugeMetricFamily(
            "ece_jobs_oldest_due_seconds", "For how long the oldest job that waits has been due", labels=["kind"]
        )
        for status in self.newest or ():
            for state in ("waiting", "running", "dead"):
                jobs.add_metric([status.kind, state], getattr(status, state))
            oldest.add_metric([status.kind], status.oldest_due_ms / 1000)
        yield from (jobs, oldest)
