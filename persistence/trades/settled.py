"""What became of trades: executions and reversals, and the copies that changed owners."""

from typing import Any

import asyncpg
import msgspec

from domain.trade.settlement import Payment, Settled
from persistence.postgres.guard import guarded

_read_payments = msgspec.json.Decoder(tuple[Payment, ...]).decode

# `sound`: the event that ordered it has the hash that it had then.
_OF = """
    SELECT kind, code, copy_id, at, money, fee, royalties, protected_until, dispute_until, legs::text,
        event_hash IS NOT DISTINCT FROM event_hash(trade_id, ordered_seq),
        ARRAY(SELECT (giver_id, receiver_id, copy_id) FROM trade_copies c WHERE c.trade_id = s.trade_id)
    FROM trade_settlements s WHERE trade_id = $1 ORDER BY ordered_seq
"""


class TradeSettlements:
    """The table ``trade_settlements``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def of(self, trade: int) -> list[Settled]:
        """All of a trade, in the order of its log."""
        rows = await guarded(self._pool.fetch(_OF, trade))
        return [_settled(*row) for row in rows]


def _settled(*columns: Any) -> Settled:
    *values, legs, sound, copies = columns
    return Settled(*[*values, _read_payments(legs), sound, frozenset(tuple(one) for one in copies)])
