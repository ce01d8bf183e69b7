"""Executed trades of cards, and with whom a user has traded. Trades that were reversed are left out."""

import asyncpg
import msgspec

from persistence.postgres.guard import guarded

PAGE_MAX = 100
CURRENCY = "USDC"


class TradedCopy(msgspec.Struct, frozen=True):
    """One copy that changed owners in a trade. ``value``: the money that was paid for it, 0: it was paid with copies.

    ``number`` is its position in the list.
    """

    number: int
    copy: int
    giver: str | None
    receiver: str | None
    value: int
    at: int


class Partner(msgspec.Struct, frozen=True):
    """A user with whom somebody has traded, and what both gave, in base units.

    ``value_given`` and ``value_got`` are the last prices of the copies' cards, 0 where they have none. ``paid`` and
    ``got`` are the money for copies.
    """

    user: int
    username: str
    trades: int
    copies_given: int
    copies_got: int
    value_given: int
    value_got: int
    paid: int
    got: int
    last_at: int


_OF_CARD = """
    SELECT trade_copy_no, copy_id, g.username, r.username, value, at
    FROM trade_copies t LEFT JOIN users g ON g.user_id = giver_id LEFT JOIN users r ON r.user_id = receiver_id
    WHERE card_id = $1 AND ($2::bigint IS NULL OR trade_copy_no < $2)
        AND NOT EXISTS (SELECT FROM trades x WHERE x.trade_id = t.trade_id AND x.status = 'reversed')
    ORDER BY trade_copy_no DESC LIMIT $3
"""
_PARTNERS = """
    WITH moved AS (
        SELECT trade_id, receiver_id AS partner, card_id, value, at, true AS given FROM trade_copies WHERE giver_id = $1
        UNION ALL
        SELECT trade_id, giver_id, card_id, value, at, false FROM trade_copies WHERE receiver_id = $1
    ), totals AS (
        SELECT partner, count(DISTINCT trade_id) AS trades, count(*) FILTER (WHERE given) AS copies_given,
            count(*) FILTER (WHERE NOT given) AS copies_got,
            coalesce(sum(last_price) FILTER (WHERE given), 0)::bigint AS value_given,
            coalesce(sum(last_price) FILTER (WHERE NOT given), 0)::bigint AS value_got,
            coalesce(sum(value) FILTER (WHERE NOT given), 0)::bigint AS paid,
            coalesce(sum(value) FILTER (WHERE given), 0)::bigint AS got, max(at) AS last_at
        FROM moved m LEFT JOIN card_prices p ON p.card_id = m.card_id AND p.currency = $2
        WHERE NOT EXISTS (SELECT FROM trades x WHERE x.trade_id = m.trade_id AND x.status = 'reversed')
        GROUP BY partner
    )
    SELECT partner, username, trades, copies_given, copies_got, value_given, value_got, paid, got, last_at
    FROM totals JOIN users ON user_id = partner
    WHERE $3::bigint IS NULL OR partner < $3 ORDER BY partner DESC LIMIT $4
"""


class TradeHistory:
    """Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def of_card(self, card: int, before: int | None, limit: int) -> list[TradedCopy]:
        """The trades of copies of a card, the newest first."""
        rows = await guarded(self._pool.fetch(_OF_CARD, card, before, min(limit, PAGE_MAX + 1)))
        return [TradedCopy(*row) for row in rows]

    async def partners(self, user: int, before: int | None, limit: int) -> list[Partner]:
        """With whom a user has traded, those who registered last first."""
        rows = await guarded(self._pool.fetch(_PARTNERS, user, CURRENCY, before, min(limit, PAGE_MAX + 1)))
        return [Partner(*row) for row in rows]
