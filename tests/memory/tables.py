"""What the stores in memory share: the tables, and when calls fail."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

from persistence.auctions.summary import AUCTIONS
from persistence.log.event_log import EventRow, KeyedRow
from persistence.log.snapshots import Snapshot
from persistence.log.summaries import SummaryRow
from persistence.postgres.errors import StoreUnavailable
from persistence.trades.summary import TRADES

_STATUS = TRADES.names.index("status")
PENDING = ("open", "agreed", "confirmed")


class MemoryTables:
    """What a database holds; several logs may work on it, as several hosts do."""

    def __init__(self) -> None:
        self.events: dict[int, list[EventRow]] = {}
        self.keys: dict[tuple[int, bytes], KeyedRow] = {}
        self.summaries: dict[int, SummaryRow] = {}
        self.snapshots: dict[int, Snapshot] = {}
        # The entity that has a copy locked, by copy.
        self.locks: dict[int, int] = {}
        self.epoch = 1

    def is_over(self, entity: int) -> bool:
        """Whether it is a trade that locks nothing any more, by its summary row."""
        row = self.summaries.get(entity)
        return row is not None and row.kind == "trade" and row.columns[_STATUS] not in PENDING


class Weather:
    """When calls fail. ``pause`` runs before each call takes effect: a place for others to come between.

    ``writes``: for the next appends, ``lost`` (failed before it was written), ``landed`` (failed after), ``fine``.
    """

    def __init__(self) -> None:
        self.writes: deque[str] = deque()
        self.down = False
        self.pause: Callable[[], Awaitable[None]] = _turn

    async def reach(self, server: str) -> None:
        """Pause, then raise StoreUnavailable if it is down."""
        await self.pause()
        if self.down:
            raise StoreUnavailable(f"{server} is away")


async def _turn() -> None:
    await asyncio.sleep(0)


def listed(row: SummaryRow) -> SimpleNamespace:
    """An auction's summary row, its columns by name."""
    columns = dict(zip((name.removesuffix("_id") for name in AUCTIONS.names), row.columns, strict=True))
    return SimpleNamespace(
        auction=row.entity, slot=row.slot, due_at=row.due_at, epoch=row.epoch, seq=row.seq, **columns
    )
