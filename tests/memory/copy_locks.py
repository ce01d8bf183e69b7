"""The locks on copies of cards in memory."""

from collections.abc import Mapping, Sequence

from tests.memory.tables import MemoryTables, Weather


class MemoryCopyLocks:
    """`persistence.sales.copy_locks.CopyLocks`. ``owners`` by copy; ``tables``: those of the log."""

    def __init__(
        self, owners: Mapping[int, int], weather: Weather | None = None, tables: MemoryTables | None = None
    ) -> None:
        self.owners = dict(owners)
        self.tables = tables or MemoryTables()
        self.locks = self.tables.locks
        self.since: dict[int, int] = {}
        self.calls: list[list[tuple[int, int, int]]] = []
        self.weather = weather or Weather()

    async def lock(self, wanted: Sequence[tuple[int, int, int]], now_ms: int) -> set[int]:
        await self.weather.reach("the database")
        self.calls.append(list(wanted))
        failed = set()
        for index, (entity, owner, copy) in enumerate(wanted):
            free = self.locks.get(copy, entity) == entity and not self.tables.is_over(entity)
            if free and self.owners.get(copy) == owner:
                self.locks[copy], self.since[copy] = entity, now_ms
            else:
                failed.add(index)
        return failed

    async def unlock(self, locks: Mapping[tuple[int, int, int], int]) -> None:
        await self.weather.reach("the database")
        for (entity, _, copy), at_ms in locks.items():
            if self.locks.get(copy) == entity and self.since[copy] <= at_ms:
                del self.locks[copy]

    async def locked_by(self, entities: Sequence[int]) -> list[tuple[int, int, int]]:
        await self.weather.reach("the database")
        return [(entity, self.owners[copy], copy) for copy, entity in self.locks.items() if entity in entities]

    async def close(self) -> None:
        pass
