"""The data keys of the database in one process: loaded before the first use, and again every few seconds."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

import structlog

from chain.wallets.cipher import CannotDecrypt
from chain.wallets.envelope import EnvelopeCipher
from domain.data_keys import EMAIL_INDEX, WrappedKey
from persistence.postgres.errors import StoreUnavailable

log = structlog.get_logger(__name__)

REFRESH_S = 10.0
# A new key encrypts so long after it was stored. By then each process that reaches the database has loaded it.
ACTIVATION_MS = 30_000


class Rows(Protocol):
    """``persistence.keys.data_keys.DataKeyRows``. May raise StoreUnavailable."""

    async def all(self) -> list[WrappedKey]: ...
    async def ensure(self, key: WrappedKey) -> list[WrappedKey]: ...


class DataKeys:
    """Keeps ``cipher`` up to date."""

    def __init__(self, rows: Rows, cipher: EnvelopeCipher, now_ms: Callable[[], int]) -> None:
        self.cipher = cipher
        self._rows = rows
        self._now_ms = now_ms
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Load the keys; the first process of a new engine makes them. Raises CannotDecrypt, StoreUnavailable.

        An engine whose master key is gone does not begin with new keys beside unreadable values: it does not start.
        """
        rows = await self._rows.all()
        if rows and len(self._installed(rows)) == len(rows):
            raise CannotDecrypt("no secret unwraps the data keys: restore the secret that was used before")
        purposes = {row.purpose for row in rows}
        for key in (self.cipher.new_data_key(0), self.cipher.new_data_key(0, EMAIL_INDEX)):
            if key.purpose not in purposes:
                rows = await self._rows.ensure(key)
        self._installed(rows)

    async def refresh(self) -> None:
        """Load the keys again. Raises StoreUnavailable."""
        self._installed(await self._rows.all())

    async def run(self) -> None:
        """Refresh until cancelled. Without the database the keys stay as they are."""
        while True:
            await asyncio.sleep(REFRESH_S)
            with suppress(StoreUnavailable):
                await self.refresh()

    def start(self) -> None:
        """Run in the background."""
        self._task = asyncio.get_running_loop().create_task(self.run(), name="data-keys")

    async def stop(self) -> None:
        """End ``start``."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _installed(self, rows: Sequence[WrappedKey]) -> list[str]:
        lost = self.cipher.install(rows)
        for key_id in lost:
            log.error("data_key_unusable", key=key_id, next_step="restore the older secret: docs/operations.md")
        return lost
