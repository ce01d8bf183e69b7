"""Makes changes of holders prompt: a subscription to the program of each standard that is in use.

What subscriptions miss is found by the periodic comparison (ownership.py).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import suppress
from typing import Protocol

import structlog

from actors.workers.custody.ownership import KnowsHoldings, moved_without_us, record_moved
from chain.rpc.errors import ChainUnavailable
from persistence.minting.ownership import Holding
from persistence.postgres.errors import StoreError

EVERY_S = 5.0
# What comes within this time is looked up together.
GATHER_S = 0.2
# Of changes that wait for the database; those beyond are left to the comparison.
CHANGES_MAX = 10_000

log = structlog.get_logger()


class Change(Protocol):
    """``chain.wallets.holder_changes.HolderChange``."""

    @property
    def asset(self) -> str: ...
    @property
    def holder(self) -> str: ...
    @property
    def slot(self) -> int: ...


class Changes(Protocol):
    """A subscription: the final changes of holders."""

    def __aiter__(self) -> AsyncIterator[Change]: ...
    def close(self) -> None: ...


class KnowsAssets(KnowsHoldings, Protocol):
    """``persistence.minting.ownership.Ownership``. May raise StoreUnavailable."""

    async def of_assets(self, assets: Sequence[str]) -> list[Holding]: ...
    async def standards(self) -> Collection[str]: ...


# The changes of a standard. Raises ChainUnavailable if there are too many subscriptions.
Subscribe = Callable[[str], Changes]


class OwnershipWatch:
    """``run`` until it is cancelled. Several may run: of one change only the first is recorded."""

    def __init__(
        self, ownership: KnowsAssets, subscribe: Subscribe, now_ms: Callable[[], int], every_s: float = EVERY_S
    ) -> None:
        self._ownership = ownership
        self._subscribe_to = subscribe
        self._now_ms = now_ms
        self._every_s = every_s
        self._open: dict[str, tuple[Changes, asyncio.Task[None]]] = {}
        self._changes: dict[str, Change] = {}
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Follow the standards that are in use."""
        loop = asyncio.get_running_loop()
        subscribe_at = loop.time()
        try:
            while True:
                try:
                    if loop.time() >= subscribe_at:
                        await self._subscribe()
                        subscribe_at = loop.time() + self._every_s
                    await self._record()
                except (StoreError, ChainUnavailable) as error:
                    log.warning("ownership_watch_waits", error=str(error))
                    await asyncio.sleep(GATHER_S)
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(subscribe_at):
                        await self._changed.wait()
                        await asyncio.sleep(GATHER_S)
        finally:
            for changes, reading in self._open.values():
                changes.close()
                reading.cancel()

    async def _subscribe(self) -> None:
        for standard in set(await self._ownership.standards()) - self._open.keys():
            changes = self._subscribe_to(standard)
            self._open[standard] = changes, asyncio.create_task(self._read(changes), name="ownership-watch")

    async def _read(self, changes: Changes) -> None:
        async for change in changes:
            before = self._changes.get(change.asset)
            if before is None and len(self._changes) >= CHANGES_MAX:
                continue
            if before is None or before.slot <= change.slot:
                self._changes[change.asset] = change
                self._changed.set()

    async def _record(self) -> None:
        """What waits is forgotten only when it is recorded."""
        waiting = dict(self._changes)
        self._changed.clear()
        if not waiting:
            return
        ours = await self._ownership.of_assets(list(waiting))
        found = [moved_without_us(one, waiting[one.asset].holder, waiting[one.asset].slot) for one in ours]
        await record_moved(self._ownership, [one for one in found if one is not None], self._now_ms())
        for asset, change in waiting.items():
            if self._changes.get(asset) is change:
                del self._changes[asset]
        if self._changes:
            self._changed.set()
