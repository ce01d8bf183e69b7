"""What a user has bid, bought and sold, day by day, from the read models."""

import asyncpg
import msgspec

from persistence.postgres.guard import guarded

DAYS_MAX = 400


class UserDay(msgspec.Struct, frozen=True):
    """A day, or all days of a range (``day`` is the first then). ``auctions``: those with bids that ended then."""

    day: int
    bids: int
    auctions: int
    wins: int
    copies_bought: int
    spent: int
    auctions_sold: int
    copies_sold: int
    gross: int
    fees: int
    royalties: int


# Ranges of four indexes, each of at most DAYS_MAX days.
_DAYS = """
    SELECT day, sum(bids), sum(auctions), sum(wins), sum(copies_bought), sum(spent), sum(auctions_sold),
        sum(copies_sold), sum(gross), sum(fees), sum(royalties)
    FROM (
        SELECT day, sum(bids) AS bids, 0 AS auctions, 0 AS wins, 0 AS copies_bought, 0 AS spent, 0 AS auctions_sold,
            0 AS copies_sold, 0 AS gross, 0 AS fees, 0 AS royalties
        FROM auction_bidders WHERE user_id = $1 AND day BETWEEN $3 AND $4 GROUP BY day
        UNION ALL
        SELECT ended_day, 0, count(DISTINCT auction_id), 0, 0, 0, 0, 0, 0, 0, 0
        FROM auction_bidders WHERE user_id = $1 AND ended_day BETWEEN $3 AND $4 GROUP BY ended_day
        UNION ALL
        SELECT day, 0, 0, wins, copies, spent, 0, 0, 0, 0, 0
        FROM buyer_days WHERE buyer_id = $1 AND currency = $2 AND day BETWEEN $3 AND $4
        UNION ALL
        SELECT day, 0, 0, 0, 0, 0, auctions_sold, copies_sold, gross, fees, royalties
        FROM seller_days WHERE seller_id = $1 AND currency = $2 AND day BETWEEN $3 AND $4
    ) AS parts GROUP BY day ORDER BY day
"""


class UserActivity:
    """What users see of their own bids, purchases and sales. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def days(self, user: int, currency: str, first: int, last: int) -> list[UserDay]:
        """The days from ``first`` to ``last`` on which there was something, DAYS_MAX at the most."""
        last = min(last, first + DAYS_MAX - 1)
        rows = await guarded(self._pool.fetch(_DAYS, user, currency, first, last))
        return [UserDay(*map(int, row)) for row in rows]


def total(days: list[UserDay], first: int) -> UserDay:
    """The sums of these days."""
    names = UserDay.__struct_fields__[1:]
    return UserDay(first, *(sum(getattr(day, name) for day in days) for name in names))
