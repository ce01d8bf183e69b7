"""The states of trades, from the log: what was agreed on."""

from collections.abc import Sequence
from typing import cast

import asyncpg

from domain.kinds import kind_of
from domain.trade.state import Trade
from persistence.log.snapshots import SnapshotStore
from persistence.postgres.guard import guarded

TRADE = "trade"

_TAILS = """
    SELECT e.entity_id, e.body FROM unnest($1::bigint[], $2::bigint[]) AS w (entity_id, after_seq),
        LATERAL (SELECT entity_id, seq, body FROM entity_events
            WHERE entity_id = w.entity_id AND seq > w.after_seq) AS e
    ORDER BY e.entity_id, e.seq
"""


async def states_of(pool: asyncpg.Pool, trades: Sequence[int]) -> dict[int, Trade]:
    """The states of these trades after their last events. Raises StoreUnavailable.

    The rules limit the events of a trade (``domain/trade/rules.py``), and most have less than ten.
    """
    kind = kind_of(TRADE)
    snapshots = await SnapshotStore(pool).load_many(trades)
    after = [snapshots[trade].seq if trade in snapshots else 0 for trade in trades]
    rows = await guarded(pool.fetch(_TAILS, list(trades), after))
    states = {trade: cast(Trade | None, kind.codec.decode_state(one.state)) for trade, one in snapshots.items()}
    for trade, body in rows:
        states[trade] = kind.rules.apply(states.get(trade), kind.codec.decode_event(body))
    return {trade: state for trade, state in states.items() if state is not None}
