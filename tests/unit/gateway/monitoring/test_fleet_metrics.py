"""What /metrics says of the hosts, and of what waits for them."""

from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from actors.hosting.load_report import LoadReport, encode_load_report
from gateway.monitoring.fleet_metrics import FleetMetrics
from persistence.placement.directory import HostAddress


class Roads:
    """A router as the collector sees it."""

    held = 3

    def hosts(self) -> list[HostAddress]:
        said = encode_load_report(LoadReport(inbox=7, commits=12, commit_ms=2.5, rss_bytes=1_000, orders_rate=40.5))
        return [
            HostAddress("host-0", 1, "127.0.0.1", 1, 0, (0, 1), (), "n0", said),
            HostAddress("host-1", 1, "127.0.0.1", 2, 0, (), (77,), "n0", b"{}"),
        ]

    def waiting(self) -> dict[str, int]:
        return {"host-0": 5}


def test_load_reports_of_hosts_come_from_the_directory():
    router: Any = Roads()
    registry = CollectorRegistry()
    registry.register(FleetMetrics(router))
    lines = generate_latest(registry).decode().splitlines()
    said = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert {name: said[name] for name in said if float(said[name])} == {
        'ece_host_orders_per_second{host="host-0"}': "40.5",
        'ece_host_inbox{host="host-0"}': "7.0",
        'ece_host_resident_bytes{host="host-0"}': "1000.0",
        'ece_host_commits_total{host="host-0"}': "12.0",
        'ece_host_commit_seconds{host="host-0"}': "0.0025",
        'ece_host_slots{host="host-0"}': "2.0",
        'ece_router_pending{host="host-0"}': "5.0",
        "ece_router_held": "3.0",
    }
    # One that has said nothing yet is not in the picture.
    assert not [name for name in said if "host-1" in name]
