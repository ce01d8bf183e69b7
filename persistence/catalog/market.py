"""Market data of cards: the number of open auctions, the lowest price, the next end, the newest auction."""

from collections.abc import Sequence

import asyncpg

from persistence.postgres.guard import guarded

CARDS_MAX = 10_000

# Auction ids have the time of their making in them (domain/ids.py). What a bundle costs is no price of one card.
_REFRESH = """
    INSERT INTO card_market (card_id, open_auctions, lowest_price, ends_at_next, listed_at_last)
    SELECT given, count(a.auction_id), min(a.price) FILTER (WHERE listed.alone), min(a.ends_at),
        max((a.auction_id >> 22) + 1577836800000)
    FROM unnest($1::bigint[]) AS given
    LEFT JOIN (
        SELECT c.card_id, c.locked_by,
            (SELECT count(*) FROM listed_copies l WHERE l.auction_id = c.locked_by) <= 1 AS alone
        FROM copies c WHERE c.card_id = ANY($1::bigint[]) AND c.place = 'listed' GROUP BY c.card_id, c.locked_by
    ) AS listed ON listed.card_id = given
    LEFT JOIN auctions a ON a.auction_id = listed.locked_by AND a.status = 'open'
    GROUP BY given ORDER BY given
    ON CONFLICT (card_id) DO UPDATE SET open_auctions = excluded.open_auctions, lowest_price = excluded.lowest_price,
        ends_at_next = excluded.ends_at_next,
        listed_at_last = greatest(excluded.listed_at_last, card_market.listed_at_last)
    WHERE (card_market.open_auctions, card_market.lowest_price, card_market.ends_at_next, card_market.listed_at_last)
        IS DISTINCT FROM (excluded.open_auctions, excluded.lowest_price, excluded.ends_at_next,
            greatest(excluded.listed_at_last, card_market.listed_at_last))
"""

_CARDS_OF = "SELECT DISTINCT card_id FROM listed_copies WHERE auction_id = ANY($1::bigint[])"


class CatalogMarket:
    """The table ``card_market``, made of ``copies`` and ``auctions``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def refresh(self, card_ids: Sequence[int]) -> None:
        """Recompute for these cards, at most CARDS_MAX. To be called after a change of an auction or a lock."""
        assert len(card_ids) <= CARDS_MAX, "pages have a maximum"
        await guarded(self._pool.execute(_REFRESH, sorted(set(card_ids))))

    async def cards_of(self, auction_ids: Sequence[int]) -> list[int]:
        """The cards that these auctions are or were of."""
        return [row[0] for row in await guarded(self._pool.fetch(_CARDS_OF, list(auction_ids)))]
