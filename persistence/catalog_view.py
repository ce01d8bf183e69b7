"""The catalog as it is shown: pages with their totals, facets, sets; from the cache where nothing has changed since.

PostgreSQL counts the changes of cards and of the market in the transactions that make them (``catalog_changes``). What is
kept is kept under the sums that were there before it was read: a later change has other sums, so it is seen by whoever
asks after its commit.
"""

import hashlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import asyncpg
import msgspec

from domain.catalog.words import words
from persistence.catalog_cache import CatalogCache
from persistence.catalog_counting import CatalogCounting, Count, Facets, MarketFacets
from persistence.catalog_reading import WORDS_MAX, Card, CatalogReading, SetRow, Wanted
from persistence.guard import guarded

T = TypeVar("T")

# A restored backup has older sums: its operator raises the epoch.
_CHANGES = "SELECT (SELECT epoch FROM cluster), sum(cards)::bigint, sum(market)::bigint FROM catalog_changes"
_MARKET = """
    SELECT card_id, open_auctions, lowest_price, ends_at_next, listed_at_last FROM card_market
    WHERE card_id = ANY($1::bigint[])
"""
_NO_MARKET = (0, None, None, None)


class CardsFound(msgspec.Struct, frozen=True):
    """A page, and how many cards there are in all."""

    cards: list[Card]
    total: Count


class Changes(msgspec.Struct, frozen=True):
    """How often the catalog was changed, and how often the market."""

    epoch: int
    cards: int
    market: int


class CatalogView:
    """Everything may raise StoreUnavailable; without ``cache``, or when it is away, everything is read."""

    def __init__(self, pool: asyncpg.Pool, cache: CatalogCache | None = None) -> None:
        self._pool = pool
        self._cache = cache
        self._reading = CatalogReading(pool)
        self._counting = CatalogCounting(pool)

    async def card(self, id: int) -> Card | None:
        """One card. It is not kept: to ask whether it has changed takes as long as to read it."""
        return await self._reading.card(id)

    async def cards(self, wanted: Wanted, sort: str, after: tuple[int, int] | None, limit: int) -> CardsFound:
        """Up to ``limit`` cards in this order, after that (place, card)."""
        of_market = wanted.of_market() or sort in ("price", "ending")

        async def read() -> CardsFound:
            query = await self._reading.query(wanted)
            return CardsFound(await self._reading.page(query, sort, after, limit), await self._counting.total(query))

        found, kept = await self._kept(["cards", _normal(wanted), sort, after, limit], CardsFound, read, of_market)
        # Auctions change all the time what is shown of cards, and seldom which cards these are.
        return await self._with_market(found) if kept and not of_market else found

    async def facets(self, wanted: Wanted) -> tuple[Facets, MarketFacets]:
        """How many of these cards have what, and what their open auctions say."""
        async def read() -> Facets:
            return await self._counting.facets(await self._reading.query(wanted))

        async def read_market() -> MarketFacets:
            return await self._counting.market(await self._reading.query(wanted))

        normal = _normal(wanted)
        facets, _ = await self._kept(["facets", normal], Facets, read, wanted.of_market())
        market, _ = await self._kept(["market", normal], MarketFacets, read_market, True)
        return facets, market

    async def sets(self, after: str | None, limit: int) -> list[SetRow]:
        """Up to ``limit`` sets by code."""
        found, _ = await self._kept(
            ["sets", after, limit], list[SetRow], lambda: self._reading.sets(after, limit), False
        )
        return found

    async def _kept(
        self, about: list[Any], kind: type[T], read: Callable[[], Awaitable[T]], of_market: bool
    ) -> tuple[T, bool]:
        """From the cache (then True), or read, and put there."""
        if self._cache is None:
            return await read(), False
        changes = Changes(*await guarded(self._pool.fetchrow(_CHANGES)))
        seen = [changes.epoch, changes.cards, changes.market if of_market else None]
        key = hashlib.blake2b(msgspec.msgpack.encode([about, seen]), digest_size=20).digest()
        content = await self._cache.get(key)
        if content is not None:
            # What is not of this kind was put there by somebody else: as good as nothing.
            with suppress(msgspec.DecodeError):
                return msgspec.msgpack.decode(content, type=kind), True
        found = await read()
        await self._cache.put(key, msgspec.msgpack.encode(found))
        return found, False

    async def _with_market(self, found: CardsFound) -> CardsFound:
        rows = await guarded(self._pool.fetch(_MARKET, [card.id for card in found.cards]))
        market = {row[0]: tuple(row)[1:] for row in rows}
        names = ("open_auctions", "lowest_price", "ends_at_next", "listed_at_last")
        cards = [
            msgspec.structs.replace(card, **dict(zip(names, market.get(card.id, _NO_MARKET), strict=True)))
            for card in found.cards
        ]
        return CardsFound(cards, found.total)


def _normal(wanted: Wanted) -> Wanted:
    """Searches that find the same are the same."""
    its_words = " ".join(sorted(list(dict.fromkeys(words(wanted.q)))[:WORDS_MAX]))
    return msgspec.structs.replace(wanted, q=its_words or wanted.q.strip())
