"""What one host owns: slots, without the entities that have a dedicated host, and entities of which it is that."""

from collections.abc import Iterable
from dataclasses import dataclass

from persistence.placement.directory import slot_of


@dataclass(frozen=True)
class Assignment:
    """What a host is to own. ``released_at`` (ms): the former owner handed it off by itself."""

    slots: tuple[int, ...] = ()
    entities: tuple[int, ...] = ()
    released_at: int | None = None


class Ownership:
    """Who owns an entity is decided by the log; this is what a host believes, and acts on."""

    def __init__(self, slots_total: int) -> None:
        self.slots_total = slots_total
        self.slots: frozenset[int] = frozenset()
        # Of which this host is the dedicated host.
        self.dedicated: frozenset[int] = frozenset()
        # In our slots, but owned by a dedicated host.
        self.excluded: frozenset[int] = frozenset()

    def slot_of(self, entity: int) -> int:
        """The slot that an entity maps to."""
        return slot_of(entity, self.slots_total)

    def owns(self, entity: int) -> bool:
        """Whether this host owns the entity."""
        if slot_of(entity, self.slots_total) in self.slots:
            return entity not in self.excluded
        return entity in self.dedicated

    def add(self, slots: Iterable[int], excluded: Iterable[int] = ()) -> None:
        """Own these slots too, but for these entities."""
        self.slots |= frozenset(slots)
        self.excluded |= frozenset(excluded)

    def remove(self, slots: Iterable[int]) -> None:
        """Own these slots no more."""
        gone = frozenset(slots)
        self.slots -= gone
        self.excluded = frozenset(a for a in self.excluded if slot_of(a, self.slots_total) not in gone)

    def hand_off(self, entities: Iterable[int]) -> None:
        """Another host owns these entities now, whether they were ours by their slot or dedicated."""
        gone = frozenset(entities)
        self.dedicated -= gone
        self.excluded |= frozenset(a for a in gone if slot_of(a, self.slots_total) in self.slots)

    def reacquire(self, entities: Iterable[int]) -> None:
        """These entities are with their slots again."""
        self.excluded -= frozenset(entities)

    def clear(self) -> None:
        """Own nothing."""
        self.slots = self.dedicated = self.excluded = frozenset()
