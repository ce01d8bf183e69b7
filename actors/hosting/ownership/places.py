"""What one host keeps: slots, but for the auctions in them that have a host of their own, and such auctions."""

from collections.abc import Iterable
from dataclasses import dataclass

from persistence.placement.directory import slot_of


@dataclass(frozen=True)
class Taken:
    """What a host is to keep. ``released_at`` (ms): the former keeper let go of it by itself."""

    slots: tuple[int, ...] = ()
    auctions: tuple[int, ...] = ()
    released_at: int | None = None


class Places:
    """Who keeps an auction is decided by the log; this is what a host believes, and acts on."""

    def __init__(self, slots_total: int) -> None:
        self.slots_total = slots_total
        self.slots: frozenset[int] = frozenset()
        # Of which this host is the own host.
        self.dedicated: frozenset[int] = frozenset()
        # In our slots, but kept by a host of their own.
        self.elsewhere: frozenset[int] = frozenset()

    def slot_of(self, auction: int) -> int:
        """The slot that an auction maps to."""
        return slot_of(auction, self.slots_total)

    def keep(self, auction: int) -> bool:
        """Whether this host keeps the auction."""
        if slot_of(auction, self.slots_total) in self.slots:
            return auction not in self.elsewhere
        return auction in self.dedicated

    def add(self, slots: Iterable[int], elsewhere: Iterable[int] = ()) -> None:
        """Keep these slots too, but for these auctions."""
        self.slots |= frozenset(slots)
        self.elsewhere |= frozenset(elsewhere)

    def remove(self, slots: Iterable[int]) -> None:
        """Keep these slots no more."""
        gone = frozenset(slots)
        self.slots -= gone
        self.elsewhere = frozenset(a for a in self.elsewhere if slot_of(a, self.slots_total) not in gone)

    def let_go(self, auctions: Iterable[int]) -> None:
        """Another host keeps these auctions now, whether they were with us by their slot or alone."""
        gone = frozenset(auctions)
        self.dedicated -= gone
        self.elsewhere |= frozenset(a for a in gone if slot_of(a, self.slots_total) in self.slots)

    def take_back(self, auctions: Iterable[int]) -> None:
        """These auctions are with their slots again."""
        self.elsewhere -= frozenset(auctions)

    def clear(self) -> None:
        """Keep nothing."""
        self.slots = self.dedicated = self.elsewhere = frozenset()
