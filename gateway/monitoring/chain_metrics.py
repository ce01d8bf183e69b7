"""Metrics of the work on the chain: the queue, and what minting actors report of themselves."""

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from gateway.monitoring.stored_metrics import StoredMetrics
from persistence.chain.counts import DONE_BUCKETS_S, KindCounts
from persistence.chain.status import ActorReport, ChainWork
from persistence.minting.requests import MINT

_BOUNDS = [*map(str, DONE_BUCKETS_S), "+Inf"]
_EMPTY = ChainWork({}, 0, 0, [])


class ChainMetrics(StoredMetrics[ChainWork]):
    """Reads ``ChainStatus.work``. Actors are few and their names stay; RPC servers have their place in the setting."""

    def collect(self) -> Iterator[Metric]:
        work = self.newest or _EMPTY
        jobs = GaugeMetricFamily("ece_chain_jobs", "Jobs for the chain, by kind and state", labels=["kind", "state"])
        for kind, counts in work.jobs.items():
            for state in ("queued", "signed", "poisoned"):
                jobs.add_metric([kind, state], counts.get(state, 0))
        oldest = GaugeMetricFamily(
            "ece_chain_jobs_oldest_queued_seconds", "Age of the oldest job that an actor could take"
        )
        open_transactions = GaugeMetricFamily("ece_chain_transactions_open", "Transactions without a final outcome")
        # What is not known is absent: zeros would end an alert.
        if self.newest is not None:
            oldest.add_metric([], work.oldest_queued_ms / 1000)
            open_transactions.add_metric([], work.open_transactions)
        yield from (jobs, oldest, open_transactions)
        actors = [actor for actor, _ in work.actors]
        yield from _of_payers(actors)
        yield from _of_transactions(actors)
        yield from _of_jobs(actors)
        yield from _of_endpoints(actors)


def _of_payers(actors: list[ActorReport]) -> Iterator[Metric]:
    working = GaugeMetricFamily("ece_minting_actor_working", "0: something keeps it from working", labels=["actor"])
    balance = GaugeMetricFamily("ece_fee_payer_lamports", "What the actor can pay with", labels=["actor"])
    for actor in actors:
        working.add_metric([actor.name], actor.note is None)
        if actor.balance is not None:
            balance.add_metric([actor.name], actor.balance)
    yield from (working, balance)


def _of_transactions(actors: list[ActorReport]) -> Iterator[Metric]:
    sends = CounterMetricFamily(
        "ece_chain_transaction_sends", "Transactions handed over, repetitions included", labels=["actor"]
    )
    ended = CounterMetricFamily(
        "ece_chain_transactions", "Transactions with a final outcome", labels=["actor", "outcome"]
    )
    for actor in actors:
        sends.add_metric([actor.name], actor.counts.sends)
        for outcome, count in actor.counts.ended.items():
            ended.add_metric([actor.name, outcome], count)
    yield from (sends, ended)


def _of_jobs(actors: list[ActorReport]) -> Iterator[Metric]:
    minted = CounterMetricFamily("ece_nfts_minted", "Copies minted, for good", labels=["actor"])
    seconds = HistogramMetricFamily(
        "ece_chain_job_seconds", "From adding a job to its finality", labels=["actor", "kind"]
    )
    for actor in actors:
        minted.add_metric([actor.name], actor.counts.kinds.get(MINT, KindCounts()).done)
        for kind, counts in actor.counts.kinds.items():
            buckets = list(zip(_BOUNDS, accumulate(counts.buckets), strict=True))
            seconds.add_metric([actor.name, kind], buckets, counts.seconds)
    yield from (minted, seconds)


def _of_endpoints(actors: list[ActorReport]) -> Iterator[Metric]:
    healthy = GaugeMetricFamily("ece_rpc_endpoint_healthy", "Whether an RPC server is", labels=["actor", "endpoint"])
    lag = GaugeMetricFamily(
        "ece_rpc_endpoint_lag_slots", "Slots behind the best RPC server", labels=["actor", "endpoint"]
    )
    for actor in actors:
        for place, one in enumerate(actor.endpoints):
            healthy.add_metric([actor.name, str(place)], one.state == "healthy")
            if one.lag is not None:
                lag.add_metric([actor.name, str(place)], one.lag)
    yield from (healthy, lag)
