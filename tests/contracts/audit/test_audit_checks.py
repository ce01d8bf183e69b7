"""The periodic check of the audit trail: bounded runs find what is broken, log it, and show it as a metric."""

import pytest
import structlog
from prometheus_client import CollectorRegistry, generate_latest

from actors.workers.periodic import VerifyAudit
from gateway.monitoring.audit_metrics import AuditMetrics
from persistence.audit import checks
from persistence.audit.chain import AuditChain
from persistence.audit.checks import AuditChecks
from persistence.audit.trail import Act, AuditTrail
from persistence.postgres.pool import Pool
from tests.contracts.audit.test_audit_trail import tampered, trail_of

NOW = 1_800_000_000_000


@pytest.fixture
async def database_url(postgres: object, database_url: str) -> str:
    await tampered(
        database_url, "DELETE FROM audit_entries", "DELETE FROM audit_chain", "DELETE FROM audit_pending",
        "DELETE FROM audit_checks",
    )  # fmt: skip
    return database_url


async def kinds(pool: Pool) -> list[str]:
    return [text.split(" ")[0].rstrip(":") for text in (await AuditChecks(pool).run(NOW)).findings]


async def grown(pool: Pool) -> None:
    await AuditTrail(pool).record(Act("later"))
    await AuditChain(pool).extend()


async def metrics_of(pool: Pool) -> str:
    metrics, registry = AuditMetrics(AuditTrail(pool).last_check), CollectorRegistry()
    await metrics.refresh()
    registry.register(metrics)
    return generate_latest(registry).decode()


async def test_a_trail_as_it_was_written_is_fine(pool: Pool):
    assert await kinds(pool) == []
    await trail_of(pool, 5)
    assert await kinds(pool) == []
    await grown(pool)
    assert await kinds(pool) == []
    assert "ece_audit_trail_ok 1.0" in await metrics_of(pool)


async def test_a_change_of_what_is_new_is_logged_and_seen_as_a_metric(pool: Pool, database_url: str):
    await trail_of(pool, 5)
    await tampered(database_url, "UPDATE audit_entries SET subject = 'other' WHERE subject = '3'")
    with structlog.testing.capture_logs() as logs:
        await VerifyAudit(AuditChecks(pool), lambda: NOW).run([])
    assert [(line["event"], line["log_level"]) for line in logs] == [("audit_trail_broken", "error")]
    assert "ece_audit_trail_ok 0.0" in await metrics_of(pool)


async def test_a_cut_end_is_found_also_once_the_chain_has_grown_again(pool: Pool, database_url: str):
    await trail_of(pool, 5)
    assert await kinds(pool) == []
    cut = "DELETE FROM audit_chain WHERE position > 3"
    await tampered(database_url, cut, "DELETE FROM audit_entries WHERE subject IN ('3', '4')")
    for _ in range(3):
        await grown(pool)
    assert await kinds(pool) == ["head"]


async def test_a_gap_and_a_missing_entry_are_found(pool: Pool, database_url: str):
    await trail_of(pool, 6)
    await tampered(database_url, "DELETE FROM audit_chain WHERE position = 2")
    await tampered(database_url, "DELETE FROM audit_entries WHERE subject = '4'")
    assert sorted(await kinds(pool)) == ["gap", "missing"]


async def test_older_parts_are_gone_through_in_turn(pool: Pool, database_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checks, "LINKS_MAX", 4)
    await trail_of(pool, 20)
    for _ in range(5):
        assert await kinds(pool) == []
    await tampered(database_url, "UPDATE audit_entries SET subject = 'other' WHERE subject = '9'")
    runs = 0
    while not await kinds(pool):
        runs += 1
        assert runs < 6
    assert runs > 0


async def test_what_was_found_stays_until_it_is_acknowledged(pool: Pool, database_url: str):
    await trail_of(pool, 5)
    assert await kinds(pool) == []
    cut = "DELETE FROM audit_chain WHERE position > 3"
    await tampered(database_url, cut, "DELETE FROM audit_entries WHERE subject IN ('3', '4')")
    assert await kinds(pool) == ["head"]
    assert await kinds(pool) == ["head"]
    assert await AuditChecks(pool).acknowledge() == 1
    assert await kinds(pool) == []
