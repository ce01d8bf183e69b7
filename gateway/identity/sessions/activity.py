"""When sessions were used last: noted by requests and sockets, written to Redis in the background."""

import asyncio
from collections import OrderedDict

import structlog

from persistence.redis.session_uses import SessionUse, SessionUses, UsesUnavailable

# A use is written at most this often for each session.
EVERY_MS = 60_000
WRITE_EVERY_S = 2.0
SESSIONS_MAX = 20_000
WAITING_MAX = 10_000

log = structlog.get_logger(__name__)


class SessionActivity:
    """The uses of sessions on one gateway. ``start`` writes them until ``stop``."""

    def __init__(self, uses: SessionUses) -> None:
        self._uses = uses
        self._noted_at: OrderedDict[str, int] = OrderedDict()
        self._waiting: dict[str, SessionUse] = {}
        self._task: asyncio.Task[None] | None = None
        # Uses that were not written: Redis was away, or too many waited.
        self.lost = 0

    def used(self, session: str, at_ms: int, address: str, device: str) -> None:
        """Note a use. Never waits, never raises."""
        if at_ms - self._noted_at.get(session, -EVERY_MS) < EVERY_MS:
            return
        self._noted_at[session] = at_ms
        self._noted_at.move_to_end(session)
        if len(self._noted_at) > SESSIONS_MAX:
            self._noted_at.popitem(last=False)
        if len(self._waiting) < WAITING_MAX:
            self._waiting[session] = SessionUse(at_ms, address, device)
        else:
            self.lost += 1

    def start(self) -> None:
        """Write what is noted, every two seconds."""
        self._task = asyncio.create_task(self._write_forever(), name="session-activity")

    async def stop(self) -> None:
        """Write what is left, and close the connections."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.write()
        await self._uses.close()

    async def write(self) -> None:
        """Write what waits, in one round trip; what can't be written is lost: the next use is noted again."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, {}
        try:
            await self._uses.record(waiting)
        except UsesUnavailable:
            self.lost += len(waiting)

    async def _write_forever(self) -> None:
        while True:
            await asyncio.sleep(WRITE_EVERY_S)
            await self.write()
