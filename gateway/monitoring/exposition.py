"""The gateway's metrics for Prometheus, collected on request.

docs/operations.md documents them. No label has ids.
"""

from collections.abc import Callable, Iterator
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.fanout.hub import Hub
from gateway.http.connections import DROP_REASONS, Connections
from gateway.identity.passwords.hasher import PasswordHasher
from gateway.limits.limiter import Limiter
from gateway.websocket.sockets import Sockets
from gateway.websocket.traffic import ACK_BUCKETS_S
from persistence.catalog.cache import CatalogCache
from persistence.postgres.pool import PoolUse


def gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(name, about, value=value)


def counter(name: str, about: str, value: float) -> Metric:
    return CounterMetricFamily(name, about, value=value)


class ConnectionMetrics(Collector):
    """Client connections of all kinds, and those that were refused or dropped."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def collect(self) -> Iterator[Metric]:
        connections = self._connections
        yield gauge("ece_connections_open", "Client connections, WebSockets included", connections.open)
        yield gauge("ece_connections_limit", "Connections that there may be", connections.limits.connections_max)
        yield gauge("ece_connections_waiting", "Connections that wait for a request", connections.waiting)
        yield gauge("ece_unfinished_bytes", "Bytes of requests that are not whole", connections.unfinished_bytes)
        dropped = CounterMetricFamily(
            "ece_connections_dropped", "Connections refused or cut off, by reason", labels=["reason"]
        )
        for reason in DROP_REASONS:
            dropped.add_metric([reason], connections.dropped[reason])
        yield dropped


class SocketMetrics(Collector):
    """Sockets, subscriptions, queues and traffic."""

    def __init__(self, sockets: Sockets) -> None:
        self._sockets = sockets

    def collect(self) -> Iterator[Metric]:
        sockets, traffic = self._sockets, self._sockets.traffic
        totals = sockets.totals()
        yield gauge("ece_sockets_open", "Open WebSockets", totals.sockets)
        yield gauge("ece_socket_subscriptions", "Subscriptions of all sockets", totals.subscriptions)
        yield gauge("ece_socket_subscriptions_behind", "Subscriptions that skip to the newest state", totals.behind)
        yield gauge("ece_socket_unsent_bytes", "Bytes that wait for clients to take them", totals.unsent_bytes)
        yield gauge(
            "ece_socket_commands_in_flight", "Commands that their hosts have not answered", sockets.admission.in_flight
        )
        yield counter("ece_sockets_rejected", "Sockets for which there was no room", traffic.rejected)
        yield counter("ece_socket_received_frames", "Frames of clients", traffic.received_frames)
        yield counter("ece_socket_received_bytes", "Bytes in frames of clients", traffic.received_bytes)
        yield counter("ece_socket_sent_frames", "Writes of answers and updates", traffic.sent_frames)
        yield counter("ece_socket_sent_bytes", "Bytes of answers and updates", traffic.sent_bytes)
        closes = CounterMetricFamily("ece_socket_closes", "Sockets that ended, by the server's code", labels=["code"])
        for code, count in traffic.closed.items():
            closes.add_metric([code], count)
        yield closes
        commands = CounterMetricFamily("ece_socket_commands", "Commands answered", labels=["op", "outcome"])
        for (op, outcome), count in list(traffic.answered.items()):
            commands.add_metric([op, outcome], count)
        yield commands
        bounds = [*map(str, ACK_BUCKETS_S), "+Inf"]
        buckets = list(zip(bounds, accumulate(traffic.ack_counts), strict=True))
        yield HistogramMetricFamily(
            "ece_socket_ack_seconds", "From a bid's arrival to its answer", buckets, traffic.ack_sum_s
        )


class HubMetrics(Collector):
    """Fan-out."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def collect(self) -> Iterator[Metric]:
        hub = self._hub
        yield gauge("ece_hub_channels", "Channels that are followed through this gateway", hub.channels)
        yield gauge("ece_hub_log_reads_in_flight", "Resumes that read the log", hub.counts.log_reads_in_flight)
        yield counter("ece_hub_gaps", "Updates after a gap, sent on as a state", hub.counts.gaps)
        subscribes = CounterMetricFamily("ece_hub_subscribes", "Subscribes, by what the answer had", labels=["by"])
        for by, count in hub.counts.subscribed.items():
            subscribes.add_metric([by], count)
        yield subscribes


class WaitingMetrics(Collector):
    """Queues in a gateway: password checks and database connections."""

    def __init__(self, passwords: PasswordHasher, pool_use: Callable[[], PoolUse]) -> None:
        self._passwords = passwords
        self._pool_use = pool_use

    def collect(self) -> Iterator[Metric]:
        yield gauge("ece_passwords_in_flight", "Passwords being hashed or waiting for it", self._passwords.in_flight)
        yield counter("ece_passwords_refused", "Passwords for which the queue was full", self._passwords.refused)
        use = self._pool_use()
        connections = GaugeMetricFamily("ece_database_connections", "Connections to PostgreSQL", labels=["state"])
        connections.add_metric(["busy"], use.size - use.idle)
        connections.add_metric(["idle"], use.idle)
        yield connections
        yield gauge("ece_database_connections_limit", "Connections that there may be", use.size_max)


class CatalogMetrics(Collector):
    """Hits and misses of the catalog cache."""

    def __init__(self, cache: CatalogCache) -> None:
        self._cache = cache

    def collect(self) -> Iterator[Metric]:
        kept = CounterMetricFamily(
            "ece_catalog_kept", "Looks into Redis before the catalog is read", labels=["outcome"]
        )
        kept.add_metric(["hit"], self._cache.hits)
        kept.add_metric(["miss"], self._cache.misses)
        yield kept


class RateLimitMetrics(Collector):
    """Refusals of the rate limiter, and how often Redis did not answer it."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter

    def collect(self) -> Iterator[Metric]:
        refused = CounterMetricFamily(
            "ece_rate_limited", "Requests and leases that a rate limit refused, by policy", labels=["policy"]
        )
        for policy, count in self._limiter.refused.items():
            refused.add_metric([policy], count)
        yield refused
        yield counter("ece_rate_limiter_failures", "Checks that Redis did not answer", self._limiter.failures)
