"""Reversal of executed trades, exactly once: all copies and all money go back in one transaction, or nothing does.

The row of ``trade_settlements`` is the decision, and locks are taken, as for the execution.
"""

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.errors import COPY_MOVED_ON
from domain.ledger.ids import transfer_id
from domain.ledger.orders import Transfer
from domain.ledger.refusals import SET_REFUSED, Refusal
from domain.trade.commands import ReversalDone
from domain.trade.settlement import Payment
from persistence.ledger.store import Ledger
from persistence.postgres.guard import guard
from persistence.sales.selling import lock_accounts
from persistence.trades.agreements import TRADE
from persistence.trades.executing import Stored, store

REVERSAL = "reversal"

_read_payments = msgspec.json.Decoder(list[Payment]).decode

_LOCK = "SELECT pg_advisory_xact_lock($1)"
_STATUS = "SELECT status FROM trades WHERE trade_id = $1"
_DECIDED = "SELECT code FROM trade_settlements WHERE trade_id = $1 AND ordered_seq = $2 AND kind = 'reversal'"
_EXECUTED = """
    SELECT money, fee, royalties, legs::text FROM trade_settlements
    WHERE trade_id = $1 AND kind = 'execution' AND code IS NULL
"""
_MOVED_ON = """
    SELECT min(copy_id) FILTER (WHERE owner_id <> receiver_id OR place <> 'free') FROM (
        SELECT c.copy_id, c.owner_id, c.place, t.receiver_id FROM trade_copies t JOIN copies c USING (copy_id)
        WHERE t.trade_id = $1 ORDER BY c.copy_id FOR NO KEY UPDATE OF c
    ) AS locked
"""
# The givers have them as before, at what they had cost.
_GIVE_BACK = """
    WITH moved AS (
        UPDATE copies c SET owner_id = t.giver_id, cost = t.giver_cost, acquired_at = t.giver_since,
            provenance_seq = c.provenance_seq + 1
        FROM trade_copies t WHERE t.trade_id = $1 AND c.copy_id = t.copy_id
        RETURNING c.copy_id, c.provenance_seq, t.giver_id, t.receiver_id
    )
    INSERT INTO provenance (copy_id, seq, at, reason, from_owner, to_owner, source_id, event_hash)
    SELECT copy_id, provenance_seq, $2, 'refund', receiver_id, giver_id, $1, event_hash($1, $3) FROM moved
"""


class Reversals:
    """Every method may raise StoreUnavailable, LedgerConflict: then repeat the same call."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def reverse(self, trade: int, ordered: int, now_ms: int) -> ReversalDone | None:
        """Reverse a trade, as ordered by the event at ``ordered`` in its log. None: its log has the outcome.

        Impossible where a copy has moved on (``copy_moved_on``), or somebody can't pay it back
        (``insufficient_funds``).
        """
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_LOCK, trade)
            if await connection.fetchval(_STATUS, trade) != "reversing":
                return None
            decided = await connection.fetchrow(_DECIDED, trade, ordered)
            if decided is not None:
                return ReversalDone(decided[0])
            executed = await connection.fetchrow(_EXECUTED, trade)
            assert executed is not None, "only an executed trade is reversed"
            copy = await connection.fetchval(_MOVED_ON, trade)
            code = await _pay_back(connection, trade, executed[3], ordered, now_ms) if copy is None else COPY_MOVED_ON
            if code is None:
                await connection.execute(_GIVE_BACK, trade, now_ms, ordered)
            money, fee, royalties, legs = executed if code is None else (0, 0, 0, "[]")
            row = Stored(trade, ordered, REVERSAL, code, copy, money, fee, royalties, legs, 0, 0)
            await store(connection, [row], now_ms)
        return ReversalDone(code)


async def _pay_back(connection: PoolConnectionProxy, trade: int, legs: str, ordered: int, now_ms: int) -> str | None:
    """All payments the other way, in one set. Returns why it is impossible."""
    paid = _read_payments(legs)
    if not paid:
        return None
    accounts = await lock_accounts(connection, [user for one in paid for user in (one.payer, one.payee)])
    orders = [
        Transfer(
            transfer_id(TRADE, trade, REVERSAL, ordered, one.kind, one.payer, one.payee), accounts[one.payee],
            accounts[one.payer], one.amount, f"{one.kind}_refund", trade,
        )
        for one in paid
    ]  # fmt: skip
    outcomes = await Ledger(connection).execute(orders, now_ms, together=True)
    refused = [one.code for one in outcomes if isinstance(one, Refusal) and one.code != SET_REFUSED]
    return refused[0] if refused else None
