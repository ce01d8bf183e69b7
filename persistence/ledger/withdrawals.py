"""Withdrawals and their holds, always in one transaction."""

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.ids import id_text
from domain.ledger.books import HOUSE
from domain.ledger.orders import Pend, Void
from domain.ledger.refusals import Refusal
from domain.ledger.rules import Done
from domain.ledger.withdrawals import DAY_MS, Limits, Recent, State, decide, held_by, released_by, request
from domain.ledger.withdrawals import Refusal as WithdrawalRefusal
from persistence.audit.trail import Act, record_within
from persistence.ledger.store import Ledger
from persistence.postgres.guard import guard, guarded

KIND = "withdrawal"
PAGE_MAX = 100


class NewWithdrawal(msgspec.Struct, frozen=True):
    """A withdrawal to request, with an id that is equal in a retry. Amount in base units."""

    id: int
    user: int
    currency: str
    amount: int
    destination: str


class Withdrawal(msgspec.Struct, frozen=True):
    """One withdrawal. ``decided_by`` is the operator, or its owner who cancelled it. Times in milliseconds.

    ``signature`` is that of the transaction that paid it.
    """

    id: int
    user: int
    currency: str
    amount: int
    destination: str
    state: str
    requested_at: int
    decided_at: int | None
    decided_by: int | None
    reason: str | None
    signature: str | None = None
    finished_at: int | None = None


_COLUMNS = """
    withdrawal_id, user_id, currency, amount, destination, state, requested_at, decided_at, decided_by, reason,
    signature, finished_at
"""

_LOCK_ACCOUNT = """
    SELECT FROM ledger_accounts WHERE owner_id = $1 AND kind = 'user' AND currency = $2 FOR NO KEY UPDATE
"""

_RECENT = """
    SELECT coalesce(sum(amount) FILTER (WHERE state NOT IN ('rejected', 'cancelled', 'failed')), 0)::bigint,
        max(requested_at)
    FROM ledger_withdrawals WHERE user_id = $1 AND currency = $2 AND requested_at > $3
"""

_INSERT = f"""
    INSERT INTO ledger_withdrawals (withdrawal_id, user_id, currency, amount, destination, state, requested_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING {_COLUMNS}
"""

_DECIDE = f"""
    UPDATE ledger_withdrawals SET state = $2, decided_at = $3, decided_by = $4, reason = $5 WHERE withdrawal_id = $1
    RETURNING {_COLUMNS}
"""

_PAGE = f"""
    SELECT {_COLUMNS} FROM ledger_withdrawals
    WHERE ($1::bigint IS NULL OR user_id = $1) AND ($2::text IS NULL OR state = $2)
        AND ($3::bigint IS NULL OR withdrawal_id < $3)
    ORDER BY withdrawal_id DESC LIMIT $4
"""


class Withdrawals:
    """The table ``ledger_withdrawals``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def request(
        self, wanted: NewWithdrawal, limits: Limits, now_ms: int
    ) -> Withdrawal | Refusal | WithdrawalRefusal:
        """Request a withdrawal and hold its amount; idempotent. If it is refused, nothing is held."""
        ledger = Ledger(self._pool)
        user = (await ledger.accounts([wanted.user], wanted.currency))[wanted.user]
        outside = (await ledger.accounts([HOUSE], wanted.currency, "outside"))[HOUSE]
        pend = Pend(held_by(wanted.id), user, outside, wanted.amount, KIND, wanted.id)
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            # One at a time for each user: what the others asked for counts.
            await connection.execute(_LOCK_ACCOUNT, wanted.user, wanted.currency)
            known = await _get(connection, wanted.id)
            if known is not None:
                return known
            row = await connection.fetchrow(_RECENT, wanted.user, wanted.currency, now_ms - DAY_MS)
            assert row is not None, "an aggregate gives a row"
            state = request(wanted.amount, Recent(row[0], row[1]), limits, now_ms)
            if isinstance(state, WithdrawalRefusal):
                return state
            (outcome,) = await Ledger(connection).execute([pend], now_ms)
            if isinstance(outcome, Refusal):
                return outcome
            details = {"amount": wanted.amount, "currency": wanted.currency, "destination": wanted.destination}
            await record_within(connection, Act("withdrawal.requested", wanted.user, None, id_text(wanted.id), details))
            return await _row(connection, _INSERT, *msgspec.structs.astuple(wanted), state.value, now_ms)

    async def decide(
        self, id: int, wanted: State, by: int, now_ms: int, reason: str | None = None, owner: int | None = None
    ) -> Withdrawal | WithdrawalRefusal | None:
        """Approve, reject or cancel; only for this ``owner`` if one is given. None: there is no such withdrawal."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            known = await _get(connection, id, " FOR NO KEY UPDATE")
            if known is None or (owner is not None and known.user != owner):
                return None
            state = decide(State(known.state), wanted)
            if isinstance(state, WithdrawalRefusal):
                return state
            if state.value == known.state:
                return known
            if state in (State.REJECTED, State.CANCELLED):
                (outcome,) = await Ledger(connection).execute([Void(released_by(id), held_by(id))], now_ms)
                assert isinstance(outcome, Done), f"an open withdrawal's amount is held: {outcome}"
            details = {"state": state.value, "amount": known.amount, "currency": known.currency, "reason": reason}
            await record_within(connection, Act("withdrawal.decided", by, None, id_text(id), details))
            return await _row(connection, _DECIDE, id, state.value, now_ms, by, reason)

    async def get(self, id: int) -> Withdrawal | None:
        """One withdrawal."""
        async with guard(), self._pool.acquire() as connection:
            return await _get(connection, id)

    async def page(
        self, limit: int, *, user: int | None = None, state: str | None = None, before: int | None = None
    ) -> list[Withdrawal]:
        """Up to ``limit`` withdrawals, the newest first: of a user, or in a state."""
        rows = await guarded(self._pool.fetch(_PAGE, user, state, before, min(limit, PAGE_MAX + 1)))
        return [Withdrawal(*row) for row in rows]


async def _row(connection: PoolConnectionProxy, statement: str, *values: object) -> Withdrawal:
    row = await connection.fetchrow(statement, *values)
    assert row is not None, "… RETURNING gives a row"
    return Withdrawal(*row)


async def _get(connection: PoolConnectionProxy, id: int, lock: str = "") -> Withdrawal | None:
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM ledger_withdrawals WHERE withdrawal_id = $1{lock}", id)
    return None if row is None else Withdrawal(*row)
