"""Updates the catalog's market data (open auctions of each card) within about a second."""

from collections.abc import Sequence
from typing import Protocol

from actors.workers.job import Job, Later
from domain.auction.formats.format import REFRESH_MARKET
from domain.ids import id_text, parse_id
from persistence.jobs.rows import JobRow
from persistence.jobs.store import Claimed


class Market(Protocol):
    """``persistence.catalog.market``. May raise StoreError."""

    async def cards_of(self, auction_ids: Sequence[int]) -> list[int]:
        """The cards that these auctions are of."""

    async def refresh(self, card_ids: Sequence[int]) -> None:
        """Recompute for these cards."""


class RefreshMarket(Job):
    """``key``: the id of an auction that has changed. Add it with ``add_again``."""

    kind = REFRESH_MARKET
    batch_max = 200

    def __init__(self, market: Market) -> None:
        self._market = market

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        cards = await self._market.cards_of([parse_id(job.key) for job in jobs])
        if cards:
            await self._market.refresh(cards)
        return []


def refresh_jobs(auctions: Sequence[int]) -> list[JobRow]:
    """The jobs for auctions that have changed."""
    return [JobRow(REFRESH_MARKET, id_text(auction)) for auction in sorted(auctions)]
