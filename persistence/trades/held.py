"""What is held for trades whose state does not hold it any more."""

import asyncpg

from domain.ledger.ids import REFERENCE_KIND_BYTES, held_for
from persistence.postgres.guard import guarded

_STALE = f"""
    WITH held AS (
        SELECT locked_by AS trade_id FROM copies WHERE place = 'trade' AND locked_by IS NOT NULL
        UNION
        SELECT ('x' || encode(substr(reference, {REFERENCE_KIND_BYTES + 1}), 'hex'))::bit(64)::bigint FROM ledger_holds
        WHERE substr(reference, 1, {REFERENCE_KIND_BYTES}) = $1
    )
    SELECT trade_id FROM held JOIN trades USING (trade_id) WHERE status NOT IN ('agreed', 'confirmed')
    ORDER BY trade_id LIMIT $2
"""


class StaleHolds:
    """Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def trades(self, limit: int) -> list[int]:
        """Trades that hold nothing by their state, for which copies are locked or money is held."""
        prefix = held_for("trade", 0)[:REFERENCE_KIND_BYTES]
        return [row[0] for row in await guarded(self._pool.fetch(_STALE, prefix, limit))]
