"""The snapshots in memory."""

from collections.abc import Sequence

from persistence.log.snapshots import Snapshot
from tests.memory.tables import MemoryTables, Weather


class MemorySnapshots:
    """`persistence.log.snapshots.SnapshotStore` over a dict."""

    def __init__(self, tables: MemoryTables | None = None, weather: Weather | None = None) -> None:
        self.tables = tables or MemoryTables()
        self.weather = weather or Weather()

    async def save(self, snapshots: Sequence[Snapshot]) -> None:
        await self.weather.reach("the database")
        for snapshot in snapshots:
            known = self.tables.snapshots.get(snapshot.entity)
            if known is None or known.seq < snapshot.seq:
                self.tables.snapshots[snapshot.entity] = snapshot

    async def load(self, auction: int) -> Snapshot | None:
        await self.weather.reach("the database")
        return self.tables.snapshots.get(auction)

    async def load_many(self, auctions: Sequence[int]) -> dict[int, Snapshot]:
        await self.weather.reach("the database")
        return {auction: self.tables.snapshots[auction] for auction in auctions if auction in self.tables.snapshots}
