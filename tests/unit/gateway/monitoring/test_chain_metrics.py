"""Metrics of the minting pool: what the database says, and nothing while it does not answer."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from gateway.monitoring import stored_metrics
from gateway.monitoring.chain_metrics import ChainMetrics
from persistence.chain.counts import PoolCounts
from persistence.chain.rows import FinishedJob
from persistence.chain.status import ActorReport, ChainWork, EndpointReport
from persistence.postgres.errors import StoreUnavailable

SERVERS = [EndpointReport("healthy", 0), EndpointReport("foreign", None)]


def counts() -> PoolCounts:
    mine = PoolCounts(sends=9, ended={"landed": 3, "failed": 1, "expired": 0})
    mine.done([FinishedJob("mint", 13_900), FinishedJob("mint", 4_000_000), FinishedJob("anchor", 15_000)])
    return mine


class Work:
    """The tables."""

    def __init__(self) -> None:
        actor = ActorReport("minting-0", "payer", 600_000_000, 2, 3, 3, 1.0, None, counts(), SERVERS)
        self.now = ChainWork({"mint": {"queued": 5, "poisoned": 1}}, 2, 2_500, [(actor, 100)])
        self.outage = False

    async def read(self) -> ChainWork:
        if self.outage:
            raise StoreUnavailable
        return self.now


async def test_the_queue_and_each_actor_are_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stored_metrics, "KEPT_S", 0.0)
    work, registry = Work(), CollectorRegistry()
    metrics = ChainMetrics(work.read)
    registry.register(metrics)
    await metrics.refresh()
    lines = set(generate_latest(registry).decode().splitlines())
    assert {
        'ece_chain_jobs{kind="mint",state="queued"} 5.0',
        'ece_chain_jobs{kind="mint",state="signed"} 0.0',
        'ece_chain_jobs{kind="mint",state="poisoned"} 1.0',
        "ece_chain_jobs_oldest_queued_seconds 2.5",
        "ece_chain_transactions_open 2.0",
        'ece_chain_transaction_sends_total{actor="minting-0"} 9.0',
        'ece_chain_transactions_total{actor="minting-0",outcome="landed"} 3.0',
        'ece_chain_transactions_total{actor="minting-0",outcome="failed"} 1.0',
        'ece_chain_transactions_total{actor="minting-0",outcome="expired"} 0.0',
        'ece_nfts_minted_total{actor="minting-0"} 2.0',
        'ece_chain_job_seconds_bucket{actor="minting-0",kind="mint",le="10"} 0.0',
        'ece_chain_job_seconds_bucket{actor="minting-0",kind="mint",le="15"} 1.0',
        'ece_chain_job_seconds_bucket{actor="minting-0",kind="mint",le="3600"} 1.0',
        'ece_chain_job_seconds_bucket{actor="minting-0",kind="mint",le="+Inf"} 2.0',
        'ece_chain_job_seconds_bucket{actor="minting-0",kind="anchor",le="15"} 1.0',
        'ece_fee_payer_lamports{actor="minting-0"} 6e+08',
        'ece_minting_actor_working{actor="minting-0"} 1.0',
        'ece_rpc_endpoint_healthy{actor="minting-0",endpoint="0"} 1.0',
        'ece_rpc_endpoint_healthy{actor="minting-0",endpoint="1"} 0.0',
        'ece_rpc_endpoint_lag_slots{actor="minting-0",endpoint="0"} 0.0',
    } <= lines
    work.outage = True
    await metrics.refresh()
    shown = generate_latest(registry).decode()
    assert "minting-0" not in shown
    assert not any(line.startswith("ece_chain") for line in shown.splitlines())
