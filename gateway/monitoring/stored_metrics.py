"""The base of metrics that are read from the database: every gateway shows the same."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import structlog
from prometheus_client.registry import Collector

from persistence.postgres.errors import StoreError

# They are read at most this often.
KEPT_S = 1.0
READ_WITHIN_S = 2.0

log = structlog.get_logger(__name__)

Read = TypeVar("Read")


class StoredMetrics(Collector, Generic[Read]):
    """``refresh`` reads, ``collect`` shows what was read last; ``newest`` is None if the database did not answer."""

    def __init__(self, read: Callable[[], Awaitable[Read]]) -> None:
        self._read = read
        self._read_at = -KEPT_S
        self._reading = asyncio.Lock()
        self.newest: Read | None = None

    async def refresh(self) -> None:
        """Read, unless that was done just now."""
        async with self._reading:
            if time.monotonic() - self._read_at < KEPT_S:
                return
            try:
                async with asyncio.timeout(READ_WITHIN_S):
                    self.newest = await self._read()
            except (StoreError, TimeoutError) as error:
                self.newest = None
                log.warning("metrics_unavailable", metrics=type(self).__name__, error=str(error))
            self._read_at = time.monotonic()
