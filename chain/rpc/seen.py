"""The newest slots that the client knows of: answers that go behind them, or far ahead of them, are wrong."""

from chain.rpc.answers import Commitment
from chain.rpc.errors import InvalidAnswer, NodeBehind

# Endpoints of one provider may differ by so much.
TOLERANCE_SLOTS = 150
# A slot so much ahead of the newest known one, and of the time since then, is not of this chain.
AHEAD_MAX, SLOTS_PER_S_MAX = 10_000, 250


class Seen:
    """By commitment, the highest slot; and the highest final block height."""

    def __init__(self) -> None:
        self._slots: dict[Commitment, int] = {}
        self._at = 0.0
        self._height = 0
        self._height_slot = 0

    @property
    def final_slot(self) -> int:
        """0 before the first."""
        return self._slots.get("finalized", 0)

    @property
    def settled_slot(self) -> int:
        """What is known to be final is in blocks up to this slot: a node that has not reached it lacks some."""
        return max(self.final_slot, self._height_slot)

    def check(self, commitment: Commitment, slot: int, now: float, least: int | None = None) -> None:
        """Note the slot of an answer. ``least``: what it has to reach. Raises NodeBehind, InvalidAnswer."""
        self.check_future(commitment, slot, now)
        floor = self._slots.get(commitment, 0) - TOLERANCE_SLOTS
        if slot < (floor if least is None else max(floor, least)):
            raise NodeBehind(f"an answer of slot {slot}, which is too old: {self._slots.get(commitment)} is known")
        self.note(commitment, slot, now)

    def check_future(self, commitment: Commitment, slot: int, now: float) -> None:
        """Raises InvalidAnswer for a slot that this chain can't have reached."""
        if slot < 0:
            raise InvalidAnswer(f"slot {slot} of {commitment}")
        newest = max(self._slots.values(), default=None)
        if newest is not None and slot > newest + AHEAD_MAX + (now - self._at) * SLOTS_PER_S_MAX:
            raise InvalidAnswer(f"slot {slot} is far ahead of {newest}, the newest that is known")

    def note(self, commitment: Commitment, slot: int, now: float) -> None:
        """Remember it, if it is the highest."""
        if slot >= max(self._slots.values(), default=0):
            self._at = now
        self._slots[commitment] = max(slot, self._slots.get(commitment, 0))

    def final_height(self, height: int, slot: int) -> int:
        """The highest final height: what was final once is final.

        ``slot`` is that of the same answer. Some servers give there the newest slot, not the final one, so it is only a
        bound.
        """
        self._height = max(self._height, height)
        self._height_slot = max(self._height_slot, slot)
        return self._height
