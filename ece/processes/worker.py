"""`python -m ece.processes.worker`: runs background jobs. Needs PostgreSQL, Redis and the hosts' streams, and no Ray.

SIGTERM: no new jobs; those that run have two seconds to end, the others are left to the next worker.
"""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog
import uvloop

from actors.clock import Clock
from actors.routing.router import Router
from actors.workers.job import Job
from actors.workers.market import RefreshMarket, refresh_jobs
from actors.workers.notify import NotifyUsers
from actors.workers.periodic import ExpireOffers, Maintenance, UpdateAnalytics
from actors.workers.runner import Runner
from actors.workers.settle import Hosts, SettleAuctions
from domain.ids import first_id_at
from ece.data_dir import DataDir, with_secrets
from ece.logs import configure_logs
from ece.processes.gc_tuning import tune_gc
from ece.settings import Settings, load_settings, revealed
from persistence.analytics.following import Analytics
from persistence.catalog.market import CatalogMarket
from persistence.identity.store import RefreshTokens
from persistence.jobs.notifications import listen_for_jobs
from persistence.jobs.store import JobStore
from persistence.ledger.store import Ledger
from persistence.notifications.alerts import Alerts
from persistence.notifications.store import Notifications
from persistence.placement.directory import Directory
from persistence.postgres.errors import StoreUnavailable
from persistence.postgres.idempotency import IdempotencyKeys
from persistence.postgres.pool import Pool, close_pool, open_pool
from persistence.redis.announcements import Announcer
from persistence.sales.listings import Listings
from persistence.sales.second_chances import SecondChances
from persistence.sales.settlement import Settlements

log = structlog.get_logger()

DATABASE_RETRY_S = 0.25
CONNECTIONS_MAX = 6
# Bids wait for what settling locks: a worker that stops in the midst loses its locks in time.
SETTLING_CONNECTIONS_MAX = 2
SETTLING_SETTINGS = {
    "application_name": "ece-settler",
    "idle_in_transaction_session_timeout": "2000",
    "lock_timeout": "4000",
}
NOTIFICATIONS_KEPT_MS = 90 * 24 * 3600 * 1000


def all_jobs(pool: Pool, settling: Pool, hosts: Hosts, announcer: Announcer, clock: Clock) -> list[Job]:
    """Every kind of job. A new kind is a line here."""
    now_ms, jobs = clock.now_ms, JobStore(pool)

    async def copies_moved(auctions: Sequence[int]) -> None:
        await jobs.add_again(refresh_jobs(auctions))

    return [
        SettleAuctions(Settlements(settling), hosts, now_ms, copies_moved),
        NotifyUsers(Alerts(pool), now_ms, announcer.publish),
        RefreshMarket(CatalogMarket(pool)),
        ExpireOffers(SecondChances(pool).expire_due, now_ms),
        UpdateAnalytics(Analytics(pool), now_ms),
        Maintenance(
            [
                IdempotencyKeys(pool).forget_old,
                Ledger(pool).expire_due,
                Listings(pool).free_stale,
                RefreshTokens(pool).forget_expired,
                lambda at_ms: Notifications(pool).forget(first_id_at(at_ms - NOTIFICATIONS_KEPT_MS)),
            ],
            now_ms,
        ),
    ]


@asynccontextmanager
async def worker(settings: Settings, name: str) -> AsyncIterator[Runner]:
    """A runner with everything that its jobs need, open."""
    url, clock = revealed(settings.database_url), Clock()
    pool = await _open_pool(url)
    settling = await open_pool(url, size_max=SETTLING_CONNECTIONS_MAX, size_min=0, settings=SETTLING_SETTINGS)
    router = Router(Directory(pool), revealed(settings.cluster_secret).encode(), settings.slots, clock)
    announcer = Announcer(revealed(settings.redis_url))
    announcer.start()
    await router.start()
    runner = Runner(JobStore(pool), all_jobs(pool, settling, router, announcer, clock), name)
    listening = asyncio.create_task(listen_for_jobs(url, runner.wake), name="job-notifications")
    try:
        yield runner
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await router.stop()
        await announcer.stop()
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
    async with worker(settings, name) as runner:
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
