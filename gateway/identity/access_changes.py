"""What has changed of who may do what: tokens from before a change of roles, and revoked keys, are not accepted.

Each gateway reads the changes from PostgreSQL every half second, so none is missed. While the database does not answer,
nothing can be changed either.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import structlog

from gateway.identity.tokens import Identity
from persistence.identity.access_changes import CHANGES_MAX, AccessChange
from persistence.postgres.errors import StoreError

READ_EVERY_S = 0.5
READ_WITHIN_S = 5.0
# Changes become visible at their commit, which is later than their time.
OVERLAP_MS = 15_000

log = structlog.get_logger(__name__)


class ReadsChanges(Protocol):
    """``persistence.identity.access_changes.AccessChanges``. May raise StoreError."""

    async def recent(self, within_ms: int) -> list[AccessChange]: ...


class AccessChangeFeed:
    """The newest change of each user and the revoked keys, as long as older tokens are valid (``kept_ms``)."""

    def __init__(self, store: ReadsChanges, kept_ms: int) -> None:
        self._store = store
        self._kept_ms = kept_ms
        # In the order of the changes, so that the oldest are forgotten first.
        self._users: dict[int, AccessChange] = {}
        self._keys: dict[int, AccessChange] = {}
        # More changes than are read at once: whatever is older than this counts as changed.
        self._all_before = 0
        self._read_first = False
        self._task: asyncio.Task[None] | None = None
        # Called after changes were read.
        self.changed: list[Callable[[], None]] = []

    def is_stale(self, identity: Identity) -> bool:
        """Whether the roles of this identity were read before they changed, or its key was revoked."""
        if self.is_revoked(identity):
            return True
        changed = self._users.get(identity.user_id)
        if changed is None:
            return identity.issued_at_ms < self._all_before
        return identity.access_version < changed.version

    def is_revoked(self, identity: Identity) -> bool:
        """Whether its key was revoked."""
        return identity.key is not None and identity.key in self._keys

    async def read(self) -> None:
        """Read what is new. Raises StoreError."""
        rows = await self._store.recent(OVERLAP_MS if self._read_first else self._kept_ms)
        if len(rows) >= CHANGES_MAX:
            self._all_before = max(self._all_before, rows[-1].at)
        self._read_first = True
        new = [row for row in reversed(rows) if self._take(row)]
        if new:
            self._forget(rows[0].at - self._kept_ms)
            for call in self.changed:
                call()

    def _take(self, row: AccessChange) -> bool:
        kept, name = (self._users, row.user) if row.key is None else (self._keys, row.key)
        if name in kept and kept[name].version >= row.version:
            return False
        kept.pop(name, None)
        kept[name] = row
        return True

    def _forget(self, before: int) -> None:
        for kept in (self._users, self._keys):
            while kept:
                name, row = next(iter(kept.items()))
                if row.at >= before and len(kept) <= CHANGES_MAX:
                    break
                del kept[name]
                self._all_before = max(self._all_before, row.at) if row.at >= before else self._all_before

    # -- running

    def start(self) -> None:
        """Begin to follow the changes."""
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Stop following them."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _follow(self) -> None:
        while True:
            try:
                async with asyncio.timeout(READ_WITHIN_S):
                    await self.read()
            except (StoreError, TimeoutError) as error:
                log.warning("access_changes_not_read", error=str(error))
            await asyncio.sleep(READ_EVERY_S)
