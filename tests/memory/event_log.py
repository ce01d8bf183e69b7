"""The event log in memory."""

from collections.abc import Sequence

from persistence.log.event_log import TAIL_PAGE, EventRow, KeyedRow, Reserves
from persistence.log.summaries import SummaryRow
from persistence.postgres.errors import KeyTaken, StaleSequence, StoreUnavailable
from tests.memory.holds import MemoryHolds
from tests.memory.tables import MemoryTables, Weather


class MemoryEventLog:
    """`persistence.log.event_log.EventLog` over a dict."""

    def __init__(
        self, tables: MemoryTables | None = None, weather: Weather | None = None, holds: MemoryHolds | None = None
    ) -> None:
        self.tables = tables or MemoryTables()
        self.weather = weather or Weather()
        self.holds = holds
        self.appends = 0

    async def append(
        self, events: Sequence[EventRow], summaries: Sequence[SummaryRow] = (), reserve: Reserves | None = None
    ) -> bool:
        await self.weather.pause()
        fate = "lost" if self.weather.down else self.weather.writes.popleft() if self.weather.writes else "fine"
        if fate == "lost":
            raise StoreUnavailable("the connection broke before the write")
        books = None
        if reserve is not None:
            assert self.holds is not None
            books = self.holds.reserved_at_once(reserve)
            if books is None:
                return False
        self._write(events, summaries)
        if books is not None:
            assert self.holds is not None
            self.holds.books = books
        if fate == "landed":
            raise StoreUnavailable("the connection broke after the write")
        await self.weather.pause()
        return True

    def _write(self, events: Sequence[EventRow], summaries: Sequence[SummaryRow]) -> None:
        """All of it or none of it; in order within an entity, as the primary key has it."""
        tables = self.tables
        taken = {(a, row.seq) for a in {e.entity for e in events} for row in tables.events.get(a, ())}
        keys: set[tuple[int, bytes]] = set()
        for event in events:
            if (event.entity, event.seq) in taken:
                raise StaleSequence(f"{event.entity} {event.seq}")
            taken.add((event.entity, event.seq))
            if event.command_key is None:
                continue
            key = (event.entity, event.command_key)
            if key in tables.keys or key in keys:
                raise KeyTaken(f"{event.entity} {event.seq}")
            keys.add(key)
        for event in events:
            rows = tables.events.setdefault(event.entity, [])
            rows.append(event)
            rows.sort(key=lambda row: row.seq)
            if event.command_key is not None:
                tables.keys[event.entity, event.command_key] = KeyedRow(event.seq, event.at, event.epoch, event.body)
        self._bring(summaries)
        self.appends += 1

    def _bring(self, summaries: Sequence[SummaryRow]) -> None:
        for row in summaries:
            known = self.tables.summaries.get(row.entity)
            if known is None or known.seq <= row.seq:
                self.tables.summaries[row.entity] = row
                if self.tables.is_over(row.entity):
                    for copy in [copy for copy, entity in self.tables.locks.items() if entity == row.entity]:
                        del self.tables.locks[copy]

    async def write_summaries(self, summaries: Sequence[SummaryRow]) -> None:
        await self.weather.reach("the database")
        self._bring(summaries)

    async def find_keys(self, wanted: Sequence[tuple[int, bytes]]) -> dict[tuple[int, bytes], KeyedRow]:
        await self.weather.reach("the database")
        return {key: self.tables.keys[key] for key in wanted if key in self.tables.keys}

    async def tail(self, entity: int, after_seq: int, limit: int = TAIL_PAGE) -> list[EventRow]:
        await self.weather.reach("the database")
        return [row for row in self.tables.events.get(entity, ()) if row.seq > after_seq][:limit]

    async def tails(self, after: Sequence[tuple[int, int]], limit_each: int) -> dict[int, list[EventRow]]:
        await self.weather.reach("the database")
        found = {
            auction: [row for row in self.tables.events.get(auction, ()) if row.seq > after_seq][:limit_each]
            for auction, after_seq in after
        }
        return {auction: rows for auction, rows in found.items() if rows}

    async def epoch(self) -> int:
        await self.weather.reach("the database")
        return self.tables.epoch

    async def ensure_partitions(self) -> None:
        await self.weather.reach("the database")
