"""Which trades are protected: a moderator may reverse them for some time.

Those of a high value are, and those of a party with a new log-in to an account that is older: it may be a thief's.
"""

from collections.abc import Mapping, Sequence

import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.ids import first_id_at
from domain.trade.settlement import largest_side
from domain.trade.terms import Leg
from persistence.trades.values import CopyValues

NEW_MS = 7 * 24 * 3_600_000

# From the audit trail: of a session that has ended by now nothing else is left, and a thief may end it in time.
_NEW = """
    SELECT user_id FROM users u
    WHERE user_id = ANY($1::bigint[]) AND extract(epoch FROM created_at) * 1000 <= $2::bigint AND EXISTS (
        SELECT FROM audit_entries WHERE actor_id = u.user_id AND entry_id >= $3 AND action = 'login.succeeded')
"""


class Protection(msgspec.Struct, frozen=True):
    """``value``: from this value on (base units) a trade is protected, for ``protect_ms``.

    Any trade can be disputed for ``dispute_ms``.
    """

    value: int
    protect_ms: int
    dispute_ms: int

    async def protected(
        self, connection: PoolConnectionProxy, trades: Mapping[int, Sequence[Leg]], now_ms: int
    ) -> set[int]:
        """Those of these trades that are protected. A copy is worth its card's last price, else the lowest now."""
        if not self.protect_ms:
            return set()
        legs = [leg for its_legs in trades.values() for leg in its_legs]
        since = now_ms - NEW_MS
        rows = await connection.fetch(_NEW, sorted({leg.giver for leg in legs}), since, first_id_at(since))
        new = {row[0] for row in rows}
        known = await CopyValues(connection).of([copy for leg in legs for copy in leg.copies])
        values = {copy: one.last_price or one.floor or 0 for copy, one in known.items()}
        return {
            trade
            for trade, its_legs in trades.items()
            if largest_side(its_legs, values) >= self.value or any(leg.giver in new for leg in its_legs)
        }
