"""The directory of hosts in memory."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from domain.ledger.ids import held_for_auction
from persistence.placement.directory import (
    Claimed,
    DueEntity,
    Former,
    HostAddress,
    Owned,
    Registered,
    Revoked,
    Superseded,
)
from tests.memory.tables import MemoryTables


class _Host:
    """A row of ``hosts``."""

    def __init__(self) -> None:
        self.incarnation = 0
        self.address, self.port, self.alive_at, self.node = "", 0, 0, ""
        self.load_report = b"{}"


class MemoryDirectory:
    """`persistence.placement.directory.Directory` over dicts. ``tables``: the summary rows, for due times."""

    def __init__(
        self, tables: MemoryTables | None = None, held: Callable[[], Iterable[bytes]] = tuple
    ) -> None:  # fmt: skip
        """``held``: the references of all holds."""
        self.tables = tables or MemoryTables()
        self._held = held
        self._hosts: dict[str, _Host] = {}
        # The owner of each; with a time (ms), the host that owned it until then.
        self._slots: dict[int, tuple[str | None, int | None]] = {}
        self._dedicated: dict[int, tuple[int, str | None, int | None]] = {}

    async def register(self, host_id: str, address: str, port: int, now_ms: int, node: str = "") -> Registered:
        known = self._hosts.get(host_id)
        former = None if known is None else Former(host_id, known.address, known.port)
        host = self._hosts.setdefault(host_id, _Host())
        self._revoke(lambda owner: owner == host_id, list(self._slots), list(self._dedicated))
        host.incarnation += 1
        host.address, host.port, host.alive_at, host.node, host.load_report = address, port, now_ms, node, b"{}"
        return Registered(host.incarnation, former)

    async def free(self, host_id: str, incarnation: int) -> None:
        self._must_be_registered(host_id, incarnation)
        for slot, (owner, until) in self._slots.items():
            if owner == host_id and until is not None:
                self._slots[slot] = (None, until)
        for entity, (slot, owner, until) in self._dedicated.items():
            if owner == host_id and until is not None:
                self._dedicated[entity] = (slot, None, until)

    async def revoke(self, host_id: str, slots: Sequence[int], entities: Sequence[int] = ()) -> Revoked:
        owners = self._revoke(lambda owner: owner != host_id, slots, entities)
        formers = [Former(owner, self._hosts[owner].address, self._hosts[owner].port) for owner in owners]
        before = {slot: self._slots[slot] for slot in slots if slot in self._slots}
        return Revoked(
            frozenset(formers), {slot: one for slot, one in before.items() if one[0] in owners}  # type: ignore[misc]
        )  # fmt: skip

    def _revoke(
        self, concerned: Callable[[str], bool], slots: Sequence[int], entities: Sequence[int]
    ) -> set[str]:  # fmt: skip
        owners = set()
        for slot in slots:
            owner, until = self._slots.get(slot, (None, None))
            if owner is not None and concerned(owner):
                self._slots[slot] = (owner, until or self._hosts[owner].alive_at)
                owners.add(owner)
        for entity in entities:
            slot, owner, until = self._dedicated.get(entity, (0, None, None))
            if owner is not None and concerned(owner):
                self._dedicated[entity] = (slot, owner, until or self._hosts[owner].alive_at)
                owners.add(owner)
        return owners

    async def claim(
        self, host_id: str, incarnation: int, slots: Sequence[int], revoked: Revoked | None = None
    ) -> Claimed:  # fmt: skip
        self._must_be_registered(host_id, incarnation)
        until, refused = {}, set()
        for slot in slots:
            owner, owned_until = self._slots.get(slot, (None, None))
            as_revoked = revoked is None or revoked.slots.get(slot) == (owner, owned_until)
            if not (as_revoked or owner in (None, host_id)):
                refused.add(slot)
                continue
            alive_at = self._hosts[owner].alive_at if owner is not None else None
            if (end := owned_until if owned_until is not None else alive_at) is not None:
                until[slot] = end
            self._slots[slot] = (host_id, None)
        excluded = {one for one, (slot, owner, _) in self._dedicated.items() if slot in slots and owner != host_id}
        return Claimed(until, frozenset(excluded), frozenset(refused))

    async def claim_entities(self, host_id: str, incarnation: int, entities: Mapping[int, int]) -> None:
        self._must_be_registered(host_id, incarnation)
        self._dedicated |= {entity: (slot, host_id, None) for entity, slot in entities.items()}

    async def reclaim(self, host_id: str, incarnation: int, entities: Sequence[int]) -> Claimed:
        self._must_be_registered(host_id, incarnation)
        until = {}
        for entity in entities:
            if entity in self._dedicated:
                _, owner, owned_until = self._dedicated.pop(entity)
                alive_at = self._hosts[owner].alive_at if owner is not None else None
                if (end := owned_until if owned_until is not None else alive_at) is not None:
                    until[entity] = end
        return Claimed(until)

    async def heartbeat(self, host_id: str, incarnation: int, now_ms: int, load_report: bytes = b"{}") -> Owned:
        host = self._must_be_registered(host_id, incarnation)
        host.alive_at, host.load_report = now_ms, load_report
        slots, entities = self._slots_of(host_id), self._entities_of(host_id)
        away = {entity for entity, (slot, owner, _) in self._dedicated.items() if slot in slots and owner != host_id}
        return Owned(frozenset(slots), frozenset(entities), frozenset(away))

    def _slots_of(self, host_id: str) -> tuple[int, ...]:
        return tuple(sorted(slot for slot, owned in self._slots.items() if owned == (host_id, None)))

    def _entities_of(self, host_id: str) -> tuple[int, ...]:
        return tuple(sorted(one for one, (_, *owned) in self._dedicated.items() if owned == [host_id, None]))

    async def hosts(self) -> list[HostAddress]:
        return [
            HostAddress(
                name, host.incarnation, host.address, host.port, host.alive_at,
                self._slots_of(name), self._entities_of(name), host.node, host.load_report,
            )
            for name, host in sorted(self._hosts.items())
        ]  # fmt: skip

    async def remove_host(self, host_id: str) -> bool:
        owners = [owner for owner, _ in self._slots.values()] + [owner for _, owner, _ in self._dedicated.values()]
        return host_id not in owners and self._hosts.pop(host_id, None) is not None

    async def dedicated(self) -> dict[int, str | None]:
        return {one: owner if until is None else None for one, (_, owner, until) in self._dedicated.items()}

    async def due(self, slots: Sequence[int]) -> list[DueEntity]:
        return [one for one in self._due() if one.slot in slots]

    async def left_held(self, slots: Sequence[int], now_ms: int) -> list[DueEntity]:
        counts = Counter(self._held())
        found = {row.entity: row.slot for row in self.tables.summaries.values()
                 if counts[held_for_auction(row.entity)] > (0 if row.ended else 1)}  # fmt: skip
        return [DueEntity(one, slot, now_ms) for one, slot in sorted(found.items()) if slot in slots]

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
