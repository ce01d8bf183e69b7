"""Payouts of withdrawals: from the approval to the end on the chain.

A withdrawal becomes ``sending`` in the transaction that adds its chain job. The pool finishes a job in a transaction in
which ``Payouts.finished`` or ``Payouts.failed`` is called, so ledger and job end together, once.
"""

from collections.abc import Sequence

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.ids import id_text, parse_id
from domain.ledger.orders import Order, Post, Void
from domain.ledger.rules import Done
from domain.ledger.withdrawals import State, held_by, paid_by, released_by
from persistence.ledger.store import Ledger
from persistence.postgres.guard import guard, guarded
from persistence.wallets.chain_jobs import WITHDRAWAL, AddChainJobs, TokenTransfer, job_row

BATCH_MAX = 100
REASON_LENGTH_MAX = 200

_WAITING = """
    UPDATE ledger_withdrawals w SET state = 'sending' FROM (
        SELECT withdrawal_id FROM ledger_withdrawals
        WHERE state = 'waiting_for_chain' AND ($2::bigint IS NULL OR withdrawal_id = $2)
        ORDER BY withdrawal_id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
    ) AS due WHERE w.withdrawal_id = due.withdrawal_id
    RETURNING w.withdrawal_id, w.currency, w.amount, w.destination
"""
# What may be signed: the ledger is the truth, whatever a job says.
_OPEN = """
    SELECT withdrawal_id, currency, amount, destination FROM ledger_withdrawals
    WHERE withdrawal_id = ANY($1::bigint[]) AND state = 'sending'
"""
# Signed, and perhaps not in a block yet.
_SIGNED = """
    SELECT coalesce(sum(amount), 0)::bigint FROM ledger_withdrawals w
    WHERE w.state = 'sending' AND w.currency = $1 AND EXISTS (
        SELECT FROM chain_jobs j WHERE j.kind = 'withdrawal' AND j.key = id_text(w.withdrawal_id) AND j.state = 'signed'
    )
"""
_SENDING = """
    SELECT user_id, currency, amount FROM ledger_withdrawals
    WHERE withdrawal_id = $1 AND state = 'sending' FOR NO KEY UPDATE
"""
_END = """
    UPDATE ledger_withdrawals SET state = $2, signature = $3, reason = $4, finished_at = $5 WHERE withdrawal_id = $1
"""
_NOTIFY = """
    SELECT notify_user($1, $2, $3, jsonb_build_object('withdrawal', id_text($4), 'amount', $5::bigint,
        'currency', $6::text, 'signature', $7::text, 'reason', $8::text), $9)
"""


class OpenPayout(msgspec.Struct, frozen=True):
    """A withdrawal that is being sent."""

    id: int
    currency: str
    amount: int
    destination: str


def payout_key(withdrawal: int) -> str:
    """The key of the chain job that pays a withdrawal."""
    return id_text(withdrawal)


def withdrawal_of(key: str) -> int:
    """The withdrawal behind the key of a chain job."""
    return parse_id(key)


class Payouts:
    """Withdrawals on their way to the chain."""

    def __init__(self, pool: asyncpg.Pool, add_jobs: AddChainJobs) -> None:
        self._pool = pool
        self._add_jobs = add_jobs

    async def being_sent(self, withdrawals: Sequence[int]) -> dict[int, OpenPayout]:
        """Those of these that are being sent: no other may be signed. Raises StoreUnavailable."""
        rows = await guarded(self._pool.fetch(_OPEN, list(withdrawals)))
        return {row[0]: OpenPayout(*row) for row in rows}

    async def signed_amount(self, currency: str) -> int:
        """The sum of withdrawals whose transactions are not final. Raises StoreUnavailable."""
        return int(await guarded(self._pool.fetchval(_SIGNED, currency)))

    async def begin(self, withdrawal: int | None = None, limit: int = BATCH_MAX) -> int:
        """Begin to pay those that wait, or this one; returns how many. Raises StoreUnavailable."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(_WAITING, limit, withdrawal)
            jobs = [job_row(WITHDRAWAL, payout_key(row[0]), TokenTransfer(row[1], row[2], row[3])) for row in rows]
            if jobs:
                await self._add_jobs(connection, jobs)
        return len(rows)


async def payout_finished(
    connection: PoolConnectionProxy, withdrawal: int, signature: str | None, now_ms: int
) -> Sequence[int]:
    """The transfer is final: post the hold, in the caller's transaction. Again, nothing changes.

    Returns the users who have a new notification.
    """
    return await _end(connection, withdrawal, State.PAID, Post(paid_by(withdrawal), held_by(withdrawal)), now_ms,
                      signature=signature)  # fmt: skip


async def payout_failed(connection: PoolConnectionProxy, withdrawal: int, reason: str, now_ms: int) -> Sequence[int]:
    """The transfer will never happen: release the hold, in the caller's transaction. Again, nothing changes.

    Returns the users who have a new notification.
    """
    return await _end(connection, withdrawal, State.FAILED, Void(released_by(withdrawal), held_by(withdrawal)), now_ms,
                      reason=reason[:REASON_LENGTH_MAX])  # fmt: skip


async def _end(
    connection: PoolConnectionProxy, withdrawal: int, state: State, order: Order, now_ms: int,
    signature: str | None = None, reason: str | None = None,
) -> Sequence[int]:  # fmt: skip
    row = await connection.fetchrow(_SENDING, withdrawal)
    if row is None:
        return []
    user, currency, amount = row
    (outcome,) = await Ledger(connection).execute([order], now_ms)
    assert isinstance(outcome, Done), f"the amount of a withdrawal that is being sent is held: {outcome}"
    await connection.execute(_END, withdrawal, state.value, signature, reason, now_ms)
    kind = "withdrawal_paid" if state is State.PAID else "withdrawal_failed"
    about = f"{kind} {withdrawal}"
    await connection.execute(_NOTIFY, user, kind, about, withdrawal, amount, currency, signature, reason, now_ms)
    return [user]
