"""Metrics of hosts, from their load reports, and of requests that wait for them in this gateway."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from actors.hosting.load_report import LoadReport, load_report_of
from actors.routing.router import Router

# Name, what it is, the field of the load report. All with the label `host`: hosts are few, and their names stay.
_GAUGES = (
    ("ece_host_orders_per_second", "orders that the host decides on", "orders_rate"),
    ("ece_host_inbox", "orders that wait at the host", "inbox"),
    ("ece_host_inbox_max", "orders that may wait there", "inbox_max"),
    ("ece_host_loading", "orders that wait for their entity to be loaded", "loading"),
    ("ece_host_entities", "entities in memory", "entities"),
    ("ece_host_timers", "entities that time alone will change", "timers"),
    ("ece_host_resident_bytes", "memory of the host's process", "rss_bytes"),
    ("ece_host_streams", "command streams", "streams"),
    ("ece_host_unread_bytes", "answers that gateways have not read yet", "unread_bytes"),
    ("ece_host_updates_waiting", "updates that wait for Redis", "updates_waiting"),
)
_COUNTERS = (
    ("ece_host_commits", "appends to the log", "commits"),
    ("ece_host_conflicts", "appends that another writer came before", "conflicts"),
    ("ece_host_overloaded", "orders refused because too many waited", "refused_overloaded"),
    ("ece_host_updates_dropped", "updates dropped because Redis was away", "updates_dropped"),
)


class FleetMetrics(Collector):
    """Reads the router's copy of the directory, without I/O."""

    def __init__(self, router: Router) -> None:
        self._router = router

    def collect(self) -> Iterator[Metric]:
        hosts = [(host, load_report_of(host.load_report)) for host in self._router.hosts() if host.load_report != b"{}"]
        reports = {host.host_id: report for host, report in hosts}
        for name, about, field in _GAUGES:
            yield _family(GaugeMetricFamily(name, about, labels=["host"]), reports, field)
        for name, about, field in _COUNTERS:
            yield _family(CounterMetricFamily(name, about, labels=["host"]), reports, field)
        commit = GaugeMetricFamily("ece_host_commit_seconds", "how long a commit takes, smoothed", labels=["host"])
        slots = GaugeMetricFamily("ece_host_slots", "slots that the host owns", labels=["host"])
        dedicated = GaugeMetricFamily(
            "ece_host_dedicated_entities", "entities of which it is the dedicated host", labels=["host"]
        )
        for host, report in hosts:
            commit.add_metric([host.host_id], report.commit_ms / 1000)
            slots.add_metric([host.host_id], len(host.slots))
            dedicated.add_metric([host.host_id], len(host.entities))
        yield from (commit, slots, dedicated)
        pending = GaugeMetricFamily("ece_router_pending", "requests that wait for a host", labels=["host"])
        for host_id, waiting in self._router.waiting().items():
            pending.add_metric([host_id], waiting)
        yield pending
        yield GaugeMetricFamily("ece_router_held", "requests that wait for a hand-off to end", self._router.held)


def _family(family: GaugeMetricFamily | CounterMetricFamily, reports: dict[str, LoadReport], field: str) -> Metric:
    for host_id, report in reports.items():
        family.add_metric([host_id], getattr(report, field))
    return family
