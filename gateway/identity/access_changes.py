"""What has changed of who may do what: tokens from before a change of roles, tokens of sessions that have ended, and
revoked keys are not accepted.

Each gateway reads the changes from PostgreSQL every half second, so none is missed: one that did not reach it for a
while reads what it missed. Ends of sessions are announced over Redis as well, so that a gateway that reaches one of
both knows them within a second.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import structlog

from gateway.identity.tokens import Identity
from persistence.identity.access_changes import CHANGES_MAX, AccessChange
from persistence.postgres.errors import StoreError
from persistence.redis.announcements import Listener

READ_EVERY_S = 0.5
READ_WITHIN_S = 5.0
# Changes become visible at their commit, which is later than their time.
OVERLAP_MS = 15_000
# Ends that are announced in this time close their sockets together: each pass looks at all sockets.
GATHER_S = 0.05
IDS_IN_MESSAGE_MAX = 100

# By the id of what has changed.
Known = dict[int | str | None, AccessChange]

log = structlog.get_logger(__name__)


class ReadsChanges(Protocol):
    """``persistence.identity.access_changes.AccessChanges``. May raise StoreError."""

    async def recent(self, within_ms: int) -> list[AccessChange]: ...


class AccessChangeFeed:
    """The newest change of each user, the revoked keys and the ended sessions.

    They are known as long as older tokens are valid (``kept_ms``), CHANGES_MAX of each at most.
    """

    def __init__(
        self, store: ReadsChanges, kept_ms: int, now_ms: Callable[[], int], listener: Listener | None = None
    ) -> None:
        """``listener`` hears of ended sessions; without it, as in tests, PostgreSQL alone tells."""
        self._store = store
        self._kept_ms = kept_ms
        self._now_ms = now_ms
        self._listener = listener
        # Nearly in the order of the changes, so that the oldest are forgotten first.
        self._users: Known = {}
        self._keys: Known = {}
        self._sessions: Known = {}
        # More changes than are read or known at once: whatever is older than this counts as changed.
        self._all_before = 0
        # When the last reading that succeeded began, by the clock of the event loop.
        self._read_at_s: float | None = None
        self._announced: list[AccessChange] = []
        self._tasks: list[asyncio.Task[None]] = []
        # Called with what is new.
        self.changed: list[Callable[[Sequence[AccessChange]], None]] = []

    def is_stale(self, identity: Identity) -> bool:
        """Whether the roles of this identity were read before they changed, or its key or session has ended."""
        if self.is_revoked(identity) or identity.issued_at_ms < self._all_before:
            return True
        changed = self._users.get(identity.user_id)
        return changed is not None and identity.access_version < changed.version

    def is_revoked(self, identity: Identity) -> bool:
        """Whether its key was revoked, or its session has ended."""
        return identity.key in self._keys or self.has_ended(identity.session)

    def has_ended(self, session: str) -> bool:
        """Whether this session has ended before its time."""
        return session in self._sessions

    def end(self, sessions: Iterable[str]) -> None:
        """These sessions have ended: their tokens are refused from now on, their sockets closed in a moment."""
        at_ms = self._now_ms()
        new = [row for session in sessions if self._take(row := AccessChange(at_ms, session=session))]
        if new and not self._announced:
            asyncio.get_running_loop().call_later(GATHER_S, self._report_announced)
        self._announced += new
        self._forget(0)

    async def read(self) -> None:
        """Read what is new. Raises StoreError."""
        began_s, within_ms = asyncio.get_running_loop().time(), self._kept_ms
        if self._read_at_s is not None:
            within_ms = min(within_ms, OVERLAP_MS + int((began_s - self._read_at_s) * 1000))
        rows = await self._store.recent(within_ms)
        if len(rows) >= CHANGES_MAX:
            self._all_before = max(self._all_before, rows[-1].at)
        self._read_at_s = began_s
        new = [row for row in reversed(rows) if self._take(row)]
        if new:
            self._forget(rows[0].at - self._kept_ms)
            self._report(new)

    def _take(self, row: AccessChange) -> bool:
        """Whether it is new."""
        if row.session is not None:
            return _taken(self._sessions, row.session, row)
        return _taken(self._keys, row.key, row) if row.key is not None else _taken(self._users, row.user, row)

    def _forget(self, before: int) -> None:
        """What is older, and the oldest where there are too many."""
        self._all_before = max(
            self._all_before, *(_forgotten(known, before) for known in (self._users, self._keys, self._sessions))
        )

    def _report(self, changes: Sequence[AccessChange]) -> None:
        for call in self.changed:
            call(changes)

    def _report_announced(self) -> None:
        announced, self._announced = self._announced, []
        self._report(announced)

    # -- running

    def start(self) -> None:
        """Begin to follow the changes."""
        self._tasks = [asyncio.create_task(self._follow(), name="access-changes")]
        if self._listener is not None:
            self._tasks.append(asyncio.create_task(self._listen(self._listener), name="ended-sessions"))

    async def stop(self) -> None:
        """Stop following them, and close the connection to Redis."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._listener is not None:
            await self._listener.close()

    async def _follow(self) -> None:
        while True:
            await self._read_or_warn()
            await asyncio.sleep(READ_EVERY_S)

    async def _listen(self, listener: Listener) -> None:
        async for item in listener.messages():
            if item is None:
                # Connected: what was announced before is in PostgreSQL.
                await self._read_or_warn()
            else:
                self.end(item[1].decode(errors="replace").split(",")[:IDS_IN_MESSAGE_MAX])

    async def _read_or_warn(self) -> None:
        try:
            async with asyncio.timeout(READ_WITHIN_S):
                await self.read()
        except (StoreError, TimeoutError) as error:
            # Read again in a moment.
            log.warning("access_changes_not_read", error=str(error))


def _taken(known: Known, name: int | str | None, row: AccessChange) -> bool:
    """Whether it is new. The time of a row takes the place of that of an announcement, which is by another clock."""
    before = known.get(name)
    if before is not None and before.version < row.version:
        del known[name]
    if before is None or before.version <= row.version:
        known[name] = row
    return before is None or before.version < row.version


def _forgotten(known: Known, before: int) -> int:
    """Forget what is older, and the oldest where there are too many: until when something is missing, or 0."""
    missing_until = 0
    while known:
        name, row = next(iter(known.items()))
        if row.at >= before and len(known) <= CHANGES_MAX:
            break
        del known[name]
        missing_until = max(missing_until, row.at) if row.at >= before else missing_until
    return missing_until
