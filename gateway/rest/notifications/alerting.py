"""The task of each gateway that tells users of auctions; several at once share the work, and none does it twice."""

import asyncio

import structlog

from gateway.rest.services import Services
from persistence.notifications.alerts import PAGE_TIDINGS

LOOK_EVERY_S = 1.0
PAUSE_AFTER_FAILURE_S = 5.0

log = structlog.get_logger(__name__)


async def tell_for_ever(services: Services) -> None:
    """Every second, tell what is due. After a failure a single tiding is tried: perhaps the page was too large."""
    limit = PAGE_TIDINGS
    while True:
        try:
            told = await services.watching.alerts.tell(services.now_ms(), limit)
        except Exception as error:
            # Nothing of the page was told. Whatever it was, the next one may be well.
            log.warning("alerts_failed", error=repr(error))
            limit = 1
            await asyncio.sleep(PAUSE_AFTER_FAILURE_S)
            continue
        if told.users:
            services.watching.told(told.users)
        if told.tidings < limit:
            await asyncio.sleep(LOOK_EVERY_S)
        limit = min(2 * limit, PAGE_TIDINGS)
