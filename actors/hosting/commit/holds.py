"""The port for funds: what a user may lose is held before a command counts."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from domain.ledger.refusals import Refusal
from domain.ledger.rules import Reserve
from persistence.ledger.store import HeldFor


class Holds(Protocol):
    """Where funds are held (``persistence.ledger.bid_holds``). May raise StoreError: then nobody knows what is held."""

    async def reserve(self, wanted: Sequence[Reserve]) -> Mapping[int, Refusal]:
        """Bring holds to what is wanted, all at once. Returns, by index, those whose balance is too small."""

    async def held_for(self, references: Sequence[bytes]) -> list[HeldFor]:
        """All that is held for these references (``domain.ledger.ids.held_for``)."""

    async def close(self) -> None:
        """Let go of what it is connected to."""
