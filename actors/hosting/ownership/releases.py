"""What a host has handed off, until somebody else owns it: were the director to die meanwhile, nobody would own it."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from actors.hosting.ownership.ownership import Ownership
from persistence.placement.directory import Owned, slot_of

# Longer than the director needs to hand over what was released.
RETURN_AFTER_S = 3.0


@dataclass(frozen=True)
class Returned:
    """What the directory still says is ours long after we handed it off: slots, dedicated entities, others."""

    slots: frozenset[int] = frozenset()
    entities: frozenset[int] = frozenset()
    excluded: frozenset[int] = frozenset()


class Releases:
    """Remembers when slots and entities were handed off."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._slots: dict[int, float] = {}
        self._entities: dict[int, float] = {}

    def add(self, slots: Iterable[int], entities: Iterable[int]) -> None:
        """These are handed off now."""
        self._slots |= dict.fromkeys(slots, self._clock())
        self._entities |= dict.fromkeys(entities, self._clock())

    def doubt(self, entities: Iterable[int]) -> None:
        """We believe that another owns these entities, and the directory does not know of it: it may yet, or never."""
        now = self._clock()
        for entity in entities:
            self._entities.setdefault(entity, now)

    def difference_update(self, slots: Iterable[int], entities: Iterable[int]) -> None:
        """These are ours again."""
        for slot in slots:
            self._slots.pop(slot, None)
        for entity in entities:
            self._entities.pop(entity, None)

    def returned(self, owned: Owned, ownership: Ownership) -> Returned:
        """What was handed off in vain: nobody acquired it in time. It is forgotten here."""
        before = self._clock() - RETURN_AFTER_S
        slots = {slot for slot, at in self._slots.items() if at <= before}
        entities = {entity for entity, at in self._entities.items() if at <= before}
        self.difference_update(slots, entities)
        return Returned(
            slots=frozenset(slots & owned.slots),
            entities=frozenset(entities & owned.entities),
            excluded=frozenset(
                a
                for a in entities - owned.excluded - owned.entities
                if slot_of(a, ownership.slots_total) in owned.slots
            ),
        )  # fmt: skip
