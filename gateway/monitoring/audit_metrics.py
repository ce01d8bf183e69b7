"""Metrics of the audit trail, as its last periodic check found it."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from gateway.monitoring.stored_metrics import StoredMetrics
from persistence.audit.trail import AuditCheck


class AuditMetrics(StoredMetrics[AuditCheck | None]):
    """Reads ``AuditTrail.last_check``. Before the first check there are no values."""

    def collect(self) -> Iterator[Metric]:
        ok = GaugeMetricFamily("ece_audit_trail_ok", "Whether the audit trail is as it was written: 1, or 0 if broken")
        at = GaugeMetricFamily("ece_audit_trail_checked_timestamp_seconds", "When the audit trail was checked last")
        if self.newest is not None:
            ok.add_metric([], not self.newest.findings)
            at.add_metric([], self.newest.at // 1000)
        yield from (ok, at)
