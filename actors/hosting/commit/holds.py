"""The port to the ledger: amounts that users may lose are held before a command is accepted."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from domain.ledger.refusals import Refusal
from domain.ledger.rules import Reserve
from persistence.ledger.store import HeldFor


class Holds(Protocol):
    """Implemented by ``persistence.ledger.bid_holds``. May raise StoreError: then it is unknown what is held."""

    async def reserve(self, wanted: Sequence[Reserve]) -> Mapping[int, Refusal]:
        """Set all of these holds in one call. Returns, by index, those for which the balance is too small."""

    async def held_for(self, references: Sequence[bytes]) -> list[HeldFor]:
        """All that is held for these references (``domain.ledger.ids.held_for``)."""

    async def close(self) -> None:
        """Close the connection."""
