"""Has the catalog say what the open auctions of each card say, within about a second."""

from collections.abc import Callable, Sequence
from typing import Protocol

from persistence.postgres.errors import StoreError

# Of one round; what is left comes with the next.
AUCTIONS_MAX = 200


class CountsMarket(Protocol):
    """Where it is written (``persistence.catalog.market``). May raise StoreError."""

    async def cards_of(self, auction_ids: Sequence[int]) -> list[int]:
        """The cards that these auctions are of."""

    async def refresh(self, card_ids: Sequence[int]) -> None:
        """Count anew for these cards."""


class MarketFollower:
    """Takes what has moved from where it is noted, and counts anew for its cards."""

    def __init__(self, market: CountsMarket, take_moved: Callable[[], set[int]]) -> None:
        self._market = market
        self._take_moved = take_moved
        self._waiting: set[int] = set()

    def note(self, auctions: Sequence[int]) -> None:
        """These have changed otherwise: their copies are not with them any more."""
        self._waiting.update(auctions)

    async def follow(self) -> None:
        """Count anew for what has moved since the last time. Raises StoreError: then it is done the next time."""
        self._waiting |= self._take_moved()
        some = sorted(self._waiting)[:AUCTIONS_MAX]
        if not some:
            return
        self._waiting.difference_update(some)
        try:
            cards = await self._market.cards_of(some)
            if cards:
                await self._market.refresh(cards)
        except StoreError:
            self._waiting.update(some)
            raise
