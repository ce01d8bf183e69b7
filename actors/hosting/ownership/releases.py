"""What a host has handed off and no host has acquired yet, as happens when the director dies during a hand-off."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from actors.hosting.ownership.ownership import Ownership
from persistence.placement.directory import Owned, slot_of

# Longer than the director needs to complete a hand-off.
RETURN_AFTER_S = 3.0
# Until so long after a hand-off, by the time of its last heartbeat, a host has surely acquired nothing again: its clock
# may have been adjusted meanwhile.
HANDED_OFF_MS = 2_500


@dataclass(frozen=True)
class Returned:
    """What the directory still assigns to this host long after the hand-off: slots, dedicated and excluded entities."""

    slots: frozenset[int] = frozenset()
    entities: frozenset[int] = frozenset()
    excluded: frozenset[int] = frozenset()


class Releases:
    """Remembers when slots and entities were handed off."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """``clock`` gives monotonic seconds."""
        self._clock = clock
        self._slots: dict[int, float] = {}
        self._entities: dict[int, float] = {}

    def add(self, slots: Iterable[int], entities: Iterable[int]) -> None:
        """Record that these are handed off now."""
        self._slots |= dict.fromkeys(slots, self._clock())
        self._entities |= dict.fromkeys(entities, self._clock())

    def add_unconfirmed(self, entities: Iterable[int]) -> None:
        """Record entities that this host excludes and the directory does not: they may come back to this host."""
        now = self._clock()
        for entity in entities:
            self._entities.setdefault(entity, now)

    def difference_update(self, slots: Iterable[int], entities: Iterable[int]) -> None:
        """Remove these: the host owns them again."""
        for slot in slots:
            self._slots.pop(slot, None)
        for entity in entities:
            self._entities.pop(entity, None)

    def returned(self, owned: Owned, ownership: Ownership, asked_at_s: float) -> Returned:
        """What no host has acquired in time, and is assigned to this host again. It is removed here.

        ``asked_at_s``: when the directory was asked for ``owned``, on the clock.
        """
        before = asked_at_s - RETURN_AFTER_S
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
