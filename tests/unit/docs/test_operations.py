"""docs/operations.md describes every setting and every metric, and no other."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from prometheus_client import CollectorRegistry

from ece.setting_fields import PREFIX
from ece.settings import OTHER_VARIABLES, Settings
from ece.settings_list import settings_list
from gateway.fanout.channels import FanOutCounts
from gateway.fanout.hub import Hub
from gateway.http.address_limit import AddressLimit
from gateway.http.connections import Connections
from gateway.http.middleware import Frontdoor
from gateway.identity.passwords.hasher import PasswordHasher
from gateway.limits.limiter import Limiter
from gateway.monitoring.audit_metrics import AuditMetrics
from gateway.monitoring.chain_metrics import ChainMetrics
from gateway.monitoring.exposition import (
    CatalogMetrics,
    ConnectionMetrics,
    HubMetrics,
    RateLimitMetrics,
    SocketMetrics,
    WaitingMetrics,
)
from gateway.monitoring.fleet_metrics import FleetMetrics
from gateway.monitoring.job_metrics import JobMetrics
from gateway.websocket.admission import Admission
from gateway.websocket.connection import SessionLimits
from gateway.websocket.sockets import Sockets
from gateway.websocket.traffic import Traffic
from persistence.postgres.pool import PoolUse

ROOT = Path(__file__).parents[3]
OPERATIONS = (ROOT / "docs/operations.md").read_text()
TABLE_HEAD = ["| variable | default | unit | meaning |", "|---|---|---|---|"]


def documented_settings() -> dict[str, list[str]]:
    """The tables of the section by the title above each."""
    section = OPERATIONS.split("\n## Settings\n", 1)[1].split("\n## ", 1)[0]
    parts = [part.splitlines() for part in section.split("\n### ")[1:]]
    tables = {title: [line for line in lines if line.startswith("|")] for title, *lines in parts}
    return {title: rows for title, rows in tables.items() if rows[:1] == TABLE_HEAD[:1]}


def test_the_tables_of_settings_have_name_default_unit_and_meaning_of_each_by_group_and_in_order() -> None:
    expected: dict[str, list[str]] = {}
    for one in settings_list(Settings()):
        row = f"| `{one.variable}` | {one.default} | {one.unit} | {one.meaning} |"
        expected.setdefault(one.group, list(TABLE_HEAD)).append(row)
    documented = documented_settings()
    assert list(documented) == list(expected)
    assert documented == expected


def test_no_page_names_a_setting_that_does_not_exist() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields} | OTHER_VARIABLES
    pages = [*(ROOT / "docs").rglob("*.md"), ROOT / "docs/asyncapi.yaml", ROOT / "README.md", ROOT / "CHANGELOG.md"]
    named = {(page.name, name) for page in pages for name in re.findall(r"\bECE_[A-Z_]+[A-Z]\b", page.read_text())}
    assert {(page, name) for page, name in named if name not in known and name != "ECE_SELLER"} == set()


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
    registry.register(RateLimitMetrics(Limiter()))
    registry.register(JobMetrics(nothing))
    registry.register(ChainMetrics(nothing))
    registry.register(AuditMetrics(nothing))
    Frontdoor(nothing, requests_max=1, body_bytes_max=1, by_address=AddressLimit(1), registry=registry, streamed={})
    served = {
        family.name + "_total" * (family.type == "counter"): family.type for family in registry.collect()
    }  # fmt: skip
    passwords.close()
    rows = re.findall(r"^\| (`ece_.*?) \| (\w+) \|", OPERATIONS, re.MULTILINE)
    documented = {name: kind for cell, kind in rows for name in re.findall(r"`(ece_\w+)", cell)}
    assert documented == served
