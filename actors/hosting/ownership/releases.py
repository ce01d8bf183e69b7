"""What a host has let go of, until somebody else has it: were the one who ordered it to die, it would be nobody's."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from actors.hosting.ownership.places import Places
from persistence.placement.directory import Kept, slot_of

# Longer than the director needs to hand over what was released.
RETURN_AFTER_S = 3.0


@dataclass(frozen=True)
class Returned:
    """What the directory still says is ours, long after we let it go: slots, own auctions, auctions of our slots."""

    slots: frozenset[int] = frozenset()
    auctions: frozenset[int] = frozenset()
    elsewhere: frozenset[int] = frozenset()


class Releases:
    """Remembers when slots and auctions were released."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._slots: dict[int, float] = {}
        self._auctions: dict[int, float] = {}

    def add(self, slots: Iterable[int], auctions: Iterable[int]) -> None:
        """These are let go now."""
        self._slots |= dict.fromkeys(slots, self._clock())
        self._auctions |= dict.fromkeys(auctions, self._clock())

    def doubt(self, auctions: Iterable[int]) -> None:
        """We believe that another keeps these auctions, and the directory does not know of it: it may yet, or never."""
        now = self._clock()
        for auction in auctions:
            self._auctions.setdefault(auction, now)

    def difference_update(self, slots: Iterable[int], auctions: Iterable[int]) -> None:
        """These are ours again."""
        for slot in slots:
            self._slots.pop(slot, None)
        for auction in auctions:
            self._auctions.pop(auction, None)

    def returned(self, kept: Kept, places: Places) -> Returned:
        """What was let go in vain: nobody took it in time. It is forgotten here."""
        before = self._clock() - RETURN_AFTER_S
        slots = {slot for slot, at in self._slots.items() if at <= before}
        auctions = {auction for auction, at in self._auctions.items() if at <= before}
        self.difference_update(slots, auctions)
        return Returned(
            slots=frozenset(slots & kept.slots),
            auctions=frozenset(auctions & kept.auctions),
            elsewhere=frozenset(
                a for a in auctions - kept.elsewhere - kept.auctions if slot_of(a, places.slots_total) in kept.slots
            ),
        )
