"""The directory of hosts in memory."""

from collections.abc import Mapping, Sequence

from persistence.placement.directory import Claimed, DueEntity, HostAddress, Owned, Superseded
from tests.memory.tables import MemoryTables


class _Host:
    """A row of ``hosts``."""

    def __init__(self) -> None:
        self.incarnation = 0
        self.address, self.port, self.alive_at, self.node = "", 0, 0, ""
        self.load_report = b"{}"


class MemoryDirectory:
    """`persistence.placement.directory.Directory` over dicts. ``tables``: the summary rows, for due times."""

    def __init__(self, tables: MemoryTables | None = None) -> None:
        self.tables = tables or MemoryTables()
        self._hosts: dict[str, _Host] = {}
        # The owner of each, and until when (ms) the former one had it.
        self._slots: dict[int, tuple[str | None, int | None]] = {}
        self._dedicated: dict[int, tuple[int, str | None, int | None]] = {}

    async def register(self, host_id: str, address: str, port: int, now_ms: int, node: str = "") -> int:
        host = self._hosts.setdefault(host_id, _Host())
        for slot, (owner, _) in self._slots.items():
            if owner == host_id:
                self._slots[slot] = (None, host.alive_at)
        for entity, (slot, owner, _) in self._dedicated.items():
            if owner == host_id:
                self._dedicated[entity] = (slot, None, host.alive_at)
        host.incarnation += 1
        host.address, host.port, host.alive_at, host.node, host.load_report = address, port, now_ms, node, b"{}"
        return host.incarnation

    async def claim(self, host_id: str, incarnation: int, slots: Sequence[int]) -> Claimed:
        self._must_be_registered(host_id, incarnation)
        until, owners = {}, set()
        for slot in slots:
            owner, owned_until = self._slots.get(slot, (None, None))
            alive_at = self._hosts[owner].alive_at if owner is not None else None
            if (end := owned_until if owned_until is not None else alive_at) is not None:
                until[slot] = end
            owners.add(owner)
            self._slots[slot] = (host_id, None)
        excluded = {one for one, (slot, owner, _) in self._dedicated.items() if slot in slots and owner != host_id}
        return Claimed(until, frozenset(o for o in owners if o not in (None, host_id)), frozenset(excluded))

    async def claim_entities(self, host_id: str, incarnation: int, entities: Mapping[int, int]) -> None:
        self._must_be_registered(host_id, incarnation)
        self._dedicated |= {entity: (slot, host_id, None) for entity, slot in entities.items()}

    async def reclaim(self, host_id: str, incarnation: int, entities: Sequence[int]) -> Claimed:
        self._must_be_registered(host_id, incarnation)
        until, owners = {}, set()
        for entity in entities:
            if entity in self._dedicated:
                _, owner, owned_until = self._dedicated.pop(entity)
                alive_at = self._hosts[owner].alive_at if owner is not None else None
                if (end := owned_until if owned_until is not None else alive_at) is not None:
                    until[entity] = end
                owners.add(owner)
        return Claimed(until, frozenset(o for o in owners if o not in (None, host_id)))

    async def heartbeat(self, host_id: str, incarnation: int, now_ms: int, load_report: bytes = b"{}") -> Owned:
        host = self._must_be_registered(host_id, incarnation)
        host.alive_at, host.load_report = now_ms, load_report
        slots = {slot for slot, (owner, _) in self._slots.items() if owner == host_id}
        entities = {entity for entity, (_, owner, _) in self._dedicated.items() if owner == host_id}
        away = {entity for entity, (slot, owner, _) in self._dedicated.items() if slot in slots and owner != host_id}
        return Owned(frozenset(slots), frozenset(entities), frozenset(away))

    async def hosts(self) -> list[HostAddress]:
        return [
            HostAddress(
                name, host.incarnation, host.address, host.port, host.alive_at,
                tuple(sorted(slot for slot, (owner, _) in self._slots.items() if owner == name)),
                tuple(sorted(entity for entity, (_, owner, _) in self._dedicated.items() if owner == name)),
                host.node, host.load_report,
            )
            for name, host in sorted(self._hosts.items())
        ]  # fmt: skip

    async def remove_host(self, host_id: str) -> bool:
        owners = [owner for owner, _ in self._slots.values()] + [owner for _, owner, _ in self._dedicated.values()]
        return host_id not in owners and self._hosts.pop(host_id, None) is not None

    async def dedicated(self) -> dict[int, str | None]:
        return {entity: owner for entity, (_, owner, _) in self._dedicated.items()}

    async def due(self, slots: Sequence[int]) -> list[DueEntity]:
        return [one for one in self._due() if one.slot in slots]

    async def due_entities(self, entities: Sequence[int]) -> list[DueEntity]:
        return [one for one in self._due() if one.entity in entities]

    def _due(self) -> list[DueEntity]:
        return [
            DueEntity(row.entity, row.slot, row.due_at)
            for row in self.tables.summaries.values() if row.due_at is not None
        ]  # fmt: skip

    def _must_be_registered(self, host_id: str, incarnation: int) -> _Host:
        host = self._hosts.get(host_id)
        if host is None or host.incarnation != incarnation:
            raise Superseded(host_id)
        return host
