"""Notifications of new jobs: PostgreSQL notifies the channel ``jobs``. They may be lost; workers also poll."""

import asyncio
from collections.abc import Callable

import asyncpg
import structlog

from persistence.postgres.guard import UNAVAILABLE

CHANNEL = "jobs"
CONNECT_TIMEOUT_S = 5.0
RETRY_S = 1.0

log = structlog.get_logger()


async def listen_for_jobs(database_url: str, on_jobs: Callable[[], None], channel: str = CHANNEL) -> None:
    """Call ``on_jobs`` whenever due jobs were added, for ever, over one connection; connects again when it is lost."""
    while True:
        lost = asyncio.Event()
        try:
            connection = await asyncpg.connect(database_url, timeout=CONNECT_TIMEOUT_S)
            try:
                connection.add_termination_listener(lambda _, lost=lost: lost.set())
                await connection.add_listener(channel, lambda *_: on_jobs())
                on_jobs()
                await lost.wait()
            finally:
                connection.terminate()
        except UNAVAILABLE as error:
            log.debug("job_notifications_unavailable", error=str(error))
        await asyncio.sleep(RETRY_S)
