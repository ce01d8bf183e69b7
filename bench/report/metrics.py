"""Queues and rates from `/metrics` of a gateway, which also has what the hosts report."""

from collections import defaultdict
from collections.abc import Iterator

import httpx
from prometheus_client.parser import text_string_to_metric_families

# Metric, and what the report calls it. The values of all labels are added up.
QUEUES = {
    "ece_host_inbox": "queue.host inbox",
    "ece_host_loading": "queue.host loading",
    "ece_host_updates_waiting": "queue.updates to announce",
    "ece_router_pending": "queue.gateway to hosts",
    "ece_router_held": "queue.held in hand-offs",
    "ece_socket_commands_in_flight": "queue.commands in flight",
    "ece_socket_subscriptions_behind": "queue.watchers behind",
    "ece_http_requests_in_flight": "queue.requests in flight",
    "ece_passwords_in_flight": "queue.passwords",
}
GAUGES = {
    "ece_sockets_open": "sockets.open",
    "ece_socket_subscriptions": "sockets.subscriptions",
    "ece_socket_unsent_bytes": "sockets.unsent_bytes",
    "ece_host_entities": "hosts.entities",
}
COUNTERS = {
    "ece_host_commits_total": "log.commits",
    "ece_host_overloaded_total": "hosts.overloaded",
    "ece_socket_sent_frames_total": "sockets.sent_frames",
    "ece_socket_ack_seconds_count": "engine_ack.count",
    "ece_socket_ack_seconds_sum": "engine_ack.sum_s",
}
JOBS, JOBS_WAITING = "ece_jobs", "queue.background jobs"
COMMIT, COMMIT_MS = "ece_host_commit_seconds", "log.commit_ms"
DATABASE, DATABASE_BUSY = "ece_database_connections", "queue.busy database connections"


async def read_metrics(http: httpx.AsyncClient) -> dict[str, float]:
    """The current values by the names of the report. Raises httpx.HTTPError, or ValueError for another text."""
    answer = await http.get("/metrics")
    answer.raise_for_status()
    return values_of(answer.text)


def values_of(text: str) -> dict[str, float]:
    """Of the Prometheus text format. Of commits, the slowest host counts."""
    found: defaultdict[str, float] = defaultdict(float)
    for name, labels, value in _samples(text):
        if name == COMMIT:
            found[COMMIT_MS] = max(found[COMMIT_MS], value * 1000)
        elif name == JOBS:
            found[JOBS_WAITING] += value if labels.get("state") == "waiting" else 0
        elif name == DATABASE:
            found[DATABASE_BUSY] += value if labels.get("state") == "busy" else 0
        elif (known := QUEUES.get(name) or GAUGES.get(name) or COUNTERS.get(name)) is not None:
            found[known] += value
    return dict(found)


def _samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value
