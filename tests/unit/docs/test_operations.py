"""docs/operations.md names every setting and every metric, and no other."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from prometheus_client import CollectorRegistry

from ece.settings import PREFIX, Settings
from gateway.fanout.channels import FanOutCounts
from gateway.fanout.hub import Hub
from gateway.http.address_limit import AddressLimit
from gateway.http.connections import Connections
from gateway.http.middleware import Frontdoor
from gateway.identity.passwords import PasswordHasher
from gateway.monitoring.exposition import CatalogMetrics, ConnectionMetrics, HubMetrics, SocketMetrics, WaitingMetrics
from gateway.monitoring.fleet_metrics import FleetMetrics
from gateway.websocket.admission import Admission
from gateway.websocket.connection import SessionLimits
from gateway.websocket.sockets import Sockets
from gateway.websocket.traffic import Traffic
from persistence.postgres.pool import PoolUse

OPERATIONS = (Path(__file__).parents[3] / "docs/operations.md").read_text()
# Between the supervisor and the processes that it starts.
OWN_SETTINGS = {"brief"}


def first_cells(heading: str) -> str:
    """The first cells of all tables under this heading."""
    section = OPERATIONS.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return "\n".join(line.split("|")[1] for line in section.splitlines() if line.startswith("| `"))


def test_every_setting_is_documented_and_no_other() -> None:
    documented = set(re.findall(r"`(ECE_\w+)`", first_cells("Settings")))
    assert documented == {PREFIX + name.upper() for name in set(Settings.model_fields) - OWN_SETTINGS}


async def test_every_metric_is_documented_and_no_other() -> None:
    registry = CollectorRegistry()
    nothing = cast(Any, SimpleNamespace())
    hub = Hub(nothing, nothing, [], FanOutCounts(), lambda: 0)
    sockets = Sockets(
        nothing, nothing, hub, nothing, SessionLimits(), Admission(1), Traffic(), 1, AddressLimit(1), lambda: 0
    )
    passwords = PasswordHasher(4)
    registry.register(ConnectionMetrics(Connections()))
    registry.register(SocketMetrics(sockets))
    registry.register(HubMetrics(hub))
    registry.register(WaitingMetrics(passwords, lambda: PoolUse(0, 0, 1)))
    registry.register(CatalogMetrics(cast(Any, SimpleNamespace(hits=1, misses=1))))
    registry.register(FleetMetrics(cast(Any, SimpleNamespace(hosts=list, waiting=dict, held=0))))
    Frontdoor(nothing, requests_max=1, body_bytes_max=1, by_address=AddressLimit(1), registry=registry)
    served = {
        family.name + "_total" * (family.type == "counter"): family.type for family in registry.collect()
    }  # fmt: skip
    passwords.close()
    rows = re.findall(r"^\| (`ece_.*?) \| (\w+) \|", OPERATIONS, re.MULTILINE)
    documented = {name: kind for cell, kind in rows for name in re.findall(r"`(ece_\w+)", cell)}
    assert documented == served
