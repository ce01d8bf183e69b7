"""What one host owns: slots, but for the entities that have a dedicated host, and entities that are dedicated to it."""

from collections.abc import Iterable
from dataclasses import dataclass

from persistence.placement.directory import slot_of


@dataclass(frozen=True)
class Assignment:
    """What a host acquires. ``released_at`` (ms): when the host ``released_by`` handed it off; None: none did."""

    slots: tuple[int, ...] = ()
    entities: tuple[int, ...] = ()
    released_at: int | None = None
    released_by: str | None = None


class Ownership:
    """What a host assumes that it owns. Only the log decides who may write."""

    def __init__(self, slots_total: int) -> None:
        self.slots_total = slots_total
        self.slots: frozenset[int] = frozenset()
        # Entities that are dedicated to this host.
        self.dedicated: frozenset[int] = frozenset()
        # Entities in the owned slots that a dedicated host owns.
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
        """Add these slots, but for the excluded entities."""
        self.slots |= frozenset(slots)
        self.excluded |= frozenset(excluded)

    def remove(self, slots: Iterable[int]) -> None:
        """Remove these slots."""
        gone = frozenset(slots)
        self.slots -= gone
        self.excluded = frozenset(a for a in self.excluded if slot_of(a, self.slots_total) not in gone)

    def hand_off(self, entities: Iterable[int]) -> None:
        """Remove these entities, which another host owns now: dedicated ones, or those in an owned slot."""
        gone = frozenset(entities)
        self.dedicated -= gone
        self.excluded |= frozenset(a for a in gone if slot_of(a, self.slots_total) in self.slots)

    def reacquire(self, entities: Iterable[int]) -> None:
        """Own these entities with their slots again."""
        self.excluded -= frozenset(entities)

    def clear(self) -> None:
        """Remove everything."""
        self.slots = self.dedicated = self.excluded = frozenset()
