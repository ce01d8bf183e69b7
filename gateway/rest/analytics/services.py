"""What the routes of portfolios and the market work with, and who keeps that up to date."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from persistence.analytics.following import Analytics
from persistence.analytics.market import MarketReading
from persistence.analytics.portfolios import PortfolioReading
from persistence.postgres.errors import StoreError

LOOK_EVERY_S = 2.0
# Between two steps of many it rests as long as the last one took, and so long at least: others want the database, too.
BREATH_S = 0.02
AFTER_FAILURE_S = 15.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Figures:
    """Portfolios and the market as they are read, and their follower."""

    portfolios: PortfolioReading
    market: MarketReading
    following: Analytics


async def follow(following: Analytics, now_ms: Callable[[], int]) -> None:
    """Bring the read models up to date, for ever. Several gateways may: one at a time does."""
    clock = asyncio.get_running_loop().time
    while True:
        began_s = clock()
        try:
            step = await following.step(now_ms())
            wait_s = LOOK_EVERY_S if step.idle or step.busy else max(BREATH_S, clock() - began_s)
        except StoreError as error:
            log.warning("analytics_waits", error=str(error))
            wait_s = AFTER_FAILURE_S
        except Exception:
            # Without this nobody would follow until the next start, and nobody would be told.
            log.exception("analytics_failed")
            wait_s = AFTER_FAILURE_S
        await asyncio.sleep(wait_s)
