"""`python -m ece.processes.worker`: runs background jobs. Needs PostgreSQL, Redis and the hosts' streams, and no Ray.

SIGTERM: no new jobs; those that run have two seconds to end, the others are left to the next worker.
"""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import structlog
import uvloop

from actors.clock import Clock
from actors.routing.router import Router
from actors.workers.accounts import DeleteUsers, ExportUsers
from actors.workers.anchors import AnchorEnded
from actors.workers.custody.ownership import EndListings
from actors.workers.job import Job
from actors.workers.market import RefreshMarket, refresh_jobs
from actors.workers.notify import AnnounceUsers, NotifyFollowers, NotifyOutbid, NotifyTraders, NotifyUsers
from actors.workers.periodic import ChainAudit, ExpireOffers, Maintenance, UpdateAnalytics, VerifyAudit
from actors.workers.runner import Runner
from actors.workers.settle import Hosts, SettleAuctions
from actors.workers.trades import ExecuteTrades, InvalidateTrades, ReleaseStale, ReverseTrades
from chain.rpc.client import ChainRpc
from domain.ids import first_id_at
from ece.data_dir import DataDir, with_secrets
from ece.logs import configure_logs
from ece.processes.chain_client import chain_client
from ece.processes.content import content_jobs
from ece.processes.custody_jobs import custody_jobs
from ece.processes.data_keys import opened_keys
from ece.processes.gc_tuning import tune_gc
from ece.processes.mail import mail_jobs, push_job
from ece.settings import Settings, load_settings, revealed
from gateway.identity.emails import EmailEncryption
from gateway.identity.exports import ExportEncryption
from persistence.accounts.collecting import user_data
from persistence.accounts.deletions import Deletions
from persistence.accounts.exports import Exports
from persistence.analytics.following import Analytics
from persistence.auctions.reading import AuctionHistory
from persistence.audit.chain import AuditChain
from persistence.audit.checks import AuditChecks
from persistence.catalog.market import CatalogMarket
from persistence.identity.access_changes import AccessChanges
from persistence.identity.api_keys import ApiKeys
from persistence.identity.mail_addresses import MailAddresses
from persistence.identity.mail_tokens import MailTokens
from persistence.identity.signing_keys import SigningKeyStore
from persistence.identity.store import RefreshTokens
from persistence.jobs.notifications import listen_for_jobs
from persistence.jobs.store import JobStore
from persistence.ledger.store import Ledger
from persistence.log.anchors import Anchors
from persistence.notifications.alerts import Alerts
from persistence.notifications.followers import FollowerAlerts
from persistence.notifications.outbid import OutbidAlerts
from persistence.notifications.store import Notifications
from persistence.placement.directory import Directory
from persistence.postgres.errors import StoreUnavailable
from persistence.postgres.idempotency import IdempotencyKeys
from persistence.postgres.planner import LOOK_UPS
from persistence.postgres.pool import Pool, close_pool, open_pool
from persistence.profiles.activities import Activities
from persistence.redis.announcements import Announcer
from persistence.sales.listings import Listings
from persistence.sales.second_chances import SecondChances
from persistence.sales.settlement import Settlements
from persistence.trades.alerts import TradeAlerts
from persistence.trades.executing import Executions
from persistence.trades.held import StaleHolds
from persistence.trades.protection import Protection
from persistence.trades.reversing import Reversals
from persistence.wallets.links import LinkedWallets

log = structlog.get_logger()

DATABASE_RETRY_S = 0.25
CONNECTIONS_MAX = 6
# Bids wait for what settling locks: a worker that stops in the midst loses its locks in time.
SETTLING_CONNECTIONS_MAX = 3
SETTLING_SETTINGS = {
    "application_name": "ece-settler",
    "idle_in_transaction_session_timeout": "2000",
    "lock_timeout": "4000",
    **LOOK_UPS,
}
ACTIVITIES_KEPT_MS = 400 * 24 * 3600 * 1000
NOTIFICATIONS_KEPT_MS = 90 * 24 * 3600 * 1000
# Longer than any access token (ECE_ACCESS_TOKEN_TTL_S).
ACCESS_CHANGES_KEPT_MS = 2 * 86_400_000


def all_jobs(
    pool: Pool, settling: Pool, hosts: Hosts, announcer: Announcer, clock: Clock, emails: EmailEncryption | None
) -> list[Job]:
    """Every kind of job but those of trades, of the chain and of custody (custody_jobs.py)."""
    now_ms, jobs = clock.now_ms, JobStore(pool)
    exports = Exports(pool, None if emails is None else ExportEncryption(emails.cipher, emails.seals))

    async def copies_moved(auctions: Sequence[int]) -> None:
        await jobs.add_again(refresh_jobs(auctions))

    return [
        SettleAuctions(Settlements(settling, AuctionHistory(pool).bidders), hosts, now_ms, copies_moved),
        EndListings(hosts),
        NotifyUsers(Alerts(pool), now_ms, announcer.publish),
        NotifyFollowers(FollowerAlerts(pool), now_ms, announcer.publish),
        NotifyOutbid(OutbidAlerts(pool), now_ms, announcer.publish),
        AnnounceUsers(announcer.publish),
        RefreshMarket(CatalogMarket(pool)),
        ExpireOffers(SecondChances(pool).expire_due, now_ms),
        UpdateAnalytics(Analytics(pool), now_ms),
        ChainAudit(AuditChain(pool)),
        ExportUsers(exports, partial(user_data, pool, emails), now_ms),
        DeleteUsers(Deletions(pool), now_ms),
        VerifyAudit(AuditChecks(pool), now_ms),
        Maintenance(
            [
                IdempotencyKeys(pool).forget_old,
                Ledger(pool).expire_due,
                Listings(pool).free_stale,
                RefreshTokens(pool).forget_expired,
                SigningKeyStore(pool).forget_retired,
                ApiKeys(pool).remind,
                LinkedWallets(pool).forget_expired,
                exports.forget_expired,
                Deletions(pool).forget_names,
                lambda at_ms: Activities(pool).forget(first_id_at(at_ms - ACTIVITIES_KEPT_MS)),
                MailTokens(pool).forget_expired,
                lambda _at_ms: MailAddresses(pool).forget_unneeded(),
                lambda _at_ms: AccessChanges(pool).forget(ACCESS_CHANGES_KEPT_MS),
                lambda at_ms: Notifications(pool).forget(first_id_at(at_ms - NOTIFICATIONS_KEPT_MS)),
            ],
            now_ms,
        ),
    ]


def trade_jobs(
    settings: Settings, pool: Pool, settling: Pool, hosts: Hosts, clock: Clock, publish: Callable[[str, bytes], None]
) -> list[Job]:
    """Those of trades."""
    protection = Protection(
        settings.trade_protection_value, 1000 * settings.trade_protection_s, 1000 * settings.trade_dispute_s
    )
    return [
        ExecuteTrades(Executions(settling, protection), hosts, clock.now_ms),
        ReverseTrades(Reversals(settling), hosts, clock.now_ms),
        InvalidateTrades(hosts),
        ReleaseStale(StaleHolds(pool), hosts),
        NotifyTraders(TradeAlerts(settling), clock.now_ms, publish),
    ]


def anchor_jobs(settings: Settings, pool: Pool, rpc: ChainRpc | None, clock: Clock) -> list[Job]:
    """None without a chain: what ends is anchored once there is one."""
    return [] if rpc is None else [AnchorEnded(Anchors(pool), 1000 * settings.anchor_after_s, clock.now_ms)]


@asynccontextmanager
async def worker(settings: Settings, name: str, rpc: ChainRpc | None = None) -> AsyncIterator[Runner]:
    """A runner with everything that its jobs need, open."""
    url, clock = revealed(settings.database_url), Clock()
    pool = await _open_pool(url)
    settling = await open_pool(url, size_max=SETTLING_CONNECTIONS_MAX, size_min=0, settings=SETTLING_SETTINGS)
    router = Router(Directory(pool), revealed(settings.cluster_secret).encode(), settings.slots, clock)
    announcer = Announcer(revealed(settings.redis_url))
    announcer.start()
    # Only these addresses, and exports with them, need the keys: a worker elsewhere has no other use for their secret.
    data_keys = await opened_keys(settings, pool, clock.now_ms) if settings.encrypt_emails else None
    if data_keys is not None:
        data_keys.start()
    await router.start()
    try:
        async with (
            content_jobs(settings, pool, clock) as of_content,
            custody_jobs(settings, pool, rpc, clock.now_ms) as of_custody,
        ):
            emails = None if data_keys is None else EmailEncryption(data_keys.cipher, seals=True)
            of_engine = all_jobs(pool, settling, router, announcer, clock, emails)
            of_trades = trade_jobs(settings, pool, settling, router, clock, announcer.publish)
            jobs = [*of_engine, *of_trades, *anchor_jobs(settings, pool, rpc, clock), *of_content, *of_custody]
            jobs += mail_jobs(settings, pool, emails, clock.now_ms)
            jobs.append(push_job(settings, pool, clock.now_ms))
            runner = Runner(JobStore(pool), jobs, name)
            listening = asyncio.create_task(listen_for_jobs(url, runner.wake), name="job-notifications")
            try:
                yield runner
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
    finally:
        await router.stop()
        await announcer.stop()
        if data_keys is not None:
            await data_keys.stop()
        await close_pool(settling)
        await close_pool(pool)


async def _open_pool(database_url: str) -> Pool:
    """A worker without a database has nothing else to do than to wait for it."""
    tries = 0
    while True:
        try:
            pool = await open_pool(database_url, size_max=CONNECTIONS_MAX)
        except StoreUnavailable as error:
            if tries % 8 == 0:
                log.warning("waiting_for_database", error=str(error))
            tries += 1
            await asyncio.sleep(DATABASE_RETRY_S)
            continue
        return pool


async def serve(settings: Settings, name: str) -> None:
    """Run jobs until told to stop."""
    async with chain_client(settings) as rpc, worker(settings, name, rpc) as runner:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, runner.stop)
        # For the supervisor: from now on jobs are run.
        sys.stdout.write(json.dumps({"listening": True}) + "\n")
        sys.stdout.flush()
        log.info("worker_runs", worker=name)
        await runner.run()


def main() -> int:
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    settings = with_secrets(settings, DataDir(settings.data_dir))
    tune_gc()
    uvloop.run(serve(settings, f"{socket.gethostname()}:{os.getpid()}"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
