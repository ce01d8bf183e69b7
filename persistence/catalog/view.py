"""The catalog with its cache: pages with their totals, facets, sets.

PostgreSQL counts the changes of cards and of the market in the transactions that make them (``catalog_changes``). The
keys of the cache have the counts from before the read: a later change has other counts, so requests after its commit
see it.
"""

import hashlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import asyncpg
import msgspec

from domain.catalog.words import terms
from persistence.catalog.cache import CatalogCache
from persistence.catalog.counting import CatalogCounting, Count, Facets, MarketFacets
from persistence.catalog.query import MARKET_SORTS, Place, Query
from persistence.catalog.reading import WORDS_MAX, Card, CatalogReading, SetRow, Wanted
from persistence.postgres.guard import guarded

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
    """Counts of changes of the cards and of the market."""

    epoch: int
    cards: int
    market: int


class _Asked:
    """What is wanted, as SQL: looked up when it is needed, and then once."""

    def __init__(self, reading: CatalogReading, wanted: Wanted) -> None:
        self._reading = reading
        self._wanted = wanted
        self._query: Query | None = None

    async def query(self) -> Query:
        if self._query is None:
            self._query = await self._reading.query(self._wanted)
        return self._query


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

    async def cards(self, wanted: Wanted, sort: str, after: Place | None, limit: int) -> CardsFound:
        """Up to ``limit`` cards in this order, after that place."""
        of_market = wanted.of_market() or sort in MARKET_SORTS

        changes, normal, fresh = await self._changes(), _normal(wanted), False
        asked = _Asked(self._reading, wanted)

        async def read() -> list[Card]:
            nonlocal fresh
            fresh = True
            return await self._reading.page(await asked.query(), sort, after, limit)

        async def count() -> Count:
            return await self._counting.total(await asked.query())

        cards = await self._kept(changes, ["cards", normal, sort, after, limit], list[Card], read, of_market)
        # All pages of these cards have the same one, and so have their facets.
        total = await self._kept(changes, ["total", normal], Count, count, wanted.of_market())
        # Auctions change all the time what is shown of cards, and seldom which cards these are.
        return CardsFound(cards if fresh or of_market else await self._with_market(cards), total)

    async def facets(self, wanted: Wanted) -> tuple[Facets, MarketFacets]:
        """Facets of these cards, and of their open auctions."""
        changes, normal, asked = await self._changes(), _normal(wanted), _Asked(self._reading, wanted)
        read_together: list[MarketFacets] = []

        async def read() -> Facets:
            total = await self._known(changes, ["total", normal], Count, wanted.of_market())
            facets, market = await self._counting.facets(await asked.query(), total)
            read_together.append(market)
            return facets

        async def read_market() -> MarketFacets:
            if read_together:
                return read_together[0]
            return await self._counting.market(await asked.query(), facets.total)

        facets = await self._kept(changes, ["facets", normal], Facets, read, wanted.of_market())
        return facets, await self._kept(changes, ["market", normal], MarketFacets, read_market, True)

    async def sets(self, after: str | None, limit: int) -> list[SetRow]:
        """Up to ``limit`` sets by code."""

        async def read() -> list[SetRow]:
            return await self._reading.sets(after, limit)

        return await self._kept(await self._changes(), ["sets", after, limit], list[SetRow], read, False)

    async def _changes(self) -> Changes | None:
        """The change counts, to be read before anything that is cached; None without a cache."""
        return None if self._cache is None else Changes(*(await guarded(self._pool.fetch(_CHANGES)))[0])

    async def _kept(
        self, changes: Changes | None, about: list[Any], kind: type[T], read: Callable[[], Awaitable[T]],
        of_market: bool,
    ) -> T:  # fmt: skip
        """From the cache; or read, and put into the cache."""
        found = await self._known(changes, about, kind, of_market)
        if found is None:
            found = await read()
            if self._cache is not None and changes is not None:
                await self._cache.put(_key(changes, about, of_market), msgspec.msgpack.encode(found))
        return found

    async def _known(self, changes: Changes | None, about: list[Any], kind: type[T], of_market: bool) -> T | None:
        if self._cache is None or changes is None:
            return None
        content = await self._cache.get(_key(changes, about, of_market))
        if content is not None:
            # What is not of this kind was put there by somebody else: as good as nothing.
            with suppress(msgspec.DecodeError):
                return msgspec.msgpack.decode(content, type=kind)
        return None

    async def _with_market(self, cards: list[Card]) -> list[Card]:
        rows = await guarded(self._pool.fetch(_MARKET, [card.id for card in cards]))
        market = {row[0]: tuple(row)[1:] for row in rows}
        names = ("open_auctions", "lowest_price", "ends_at_next", "listed_at_last")
        return [
            msgspec.structs.replace(card, **dict(zip(names, market.get(card.id, _NO_MARKET), strict=True)))
            for card in cards
        ]


def _key(changes: Changes, about: list[Any], of_market: bool) -> bytes:
    seen = (changes.epoch, changes.cards, changes.market if of_market else None)
    return hashlib.blake2b(msgspec.msgpack.encode((about, seen)), digest_size=20).digest()


def _normal(wanted: Wanted) -> Wanted:
    """Searches that find the same are the same."""
    its_words = " ".join(sorted("|".join(map("-".join, term)) for term in terms(wanted.q)[:WORDS_MAX]))
    return msgspec.structs.replace(wanted, q=its_words or wanted.q.strip())
