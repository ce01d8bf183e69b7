"""The ledger in PostgreSQL: orders and holds in batches, one statement a batch.

The rules are in ``domain/ledger/rules.py`` and, for the database, in ``migrations/0004_ledger.sql`` and, for holds,
``migrations/0011_cover_at_once.sql``. The statements get arrays without duplicates and indexes into them, so that the
database does not have to search.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress

import asyncpg
import asyncpg.pool
import msgspec

from domain.errors import INSUFFICIENT_FUNDS
from domain.ledger.books import Recorded
from domain.ledger.ids import transfer_id
from domain.ledger.orders import Expire, Order, Pend, Transfer
from domain.ledger.refusals import Refusal
from domain.ledger.rules import Outcome, Reserve, as_set
from persistence.ledger.batch import LedgerBatch
from persistence.ledger.reserves import reserves_at_once, reserves_in_turn
from persistence.postgres.errors import StoreError
from persistence.postgres.guard import guarded

BATCH_MAX = 10_000
TRIES_MAX = 3
EXPIRE_PAGE = 1_000

Connection = asyncpg.Pool | asyncpg.Connection | asyncpg.pool.PoolConnectionProxy


class LedgerConflict(StoreError):
    """A concurrent order used the same transfer id for other accounts: nothing was done, try again."""


class HeldFor(msgspec.Struct, frozen=True):
    """The amount held of a user's balance for a reference."""

    reference: bytes
    owner: int
    amount: int


_EXECUTE = "SELECT * FROM ledger_execute($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"

_RESERVE = "SELECT * FROM ledger_cover($1, $2, $3, $4, $5, $6, $7, $8)"

_RESERVE_AT_ONCE = "SELECT ledger_cover_at_once($1, $2, $3, $4, $5, $6, $7, $8)"

_RECORDED = """
    SELECT transfer_id, action, pending_id, debit_account, credit_account, amount, kind, about, at, expires_at
    FROM ledger_transfers WHERE transfer_id = ANY($1::bytea[])
"""

_ACCOUNTS = """
    SELECT owner_id, account_id FROM ledger_accounts
    WHERE owner_id = ANY($1::bigint[]) AND kind = $2 AND currency = $3
"""

_HELD_FOR = """
    SELECT reference, owner_id, amount FROM ledger_holds JOIN ledger_accounts USING (account_id)
    WHERE reference = ANY($1::bytea[]) AND currency = $2 ORDER BY reference, owner_id
"""

_DUE = "SELECT reference FROM ledger_holds WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2"


class Ledger:
    """Orders and holds. Every method may raise StoreUnavailable: the outcome is unknown, repeat the same call."""

    def __init__(self, database: Connection) -> None:
        """``database``: a pool, or a connection whose transaction this is to be part of."""
        self._database = database

    async def accounts(self, owners: Sequence[int], currency: str, kind: str = "user") -> dict[int, int]:
        """The account of each owner in this currency, opened where missing. The house is the owner 0."""
        wanted = sorted(set(owners))
        rows = await guarded(self._database.fetch(_ACCOUNTS, wanted, kind, currency))
        if len(rows) < len(wanted):
            await guarded(self._database.execute("SELECT ledger_open($1, $2, $3)", wanted, kind, currency))
            rows = await guarded(self._database.fetch(_ACCOUNTS, wanted, kind, currency))
        return {row[0]: row[1] for row in rows}

    async def execute(self, orders: Sequence[Order], now_ms: int, *, together: bool = False) -> list[Outcome]:
        """Execute the orders one after the other, in one commit; ``together``: all of them, or none.

        One round trip, or one more where pending transfers of before are ended, or where ids are known already.
        Raises LedgerConflict.
        """
        if len(orders) > BATCH_MAX:
            raise ValueError(f"a batch has at most {BATCH_MAX} orders")
        pendings = await self._recorded([o.pending for o in orders if not isinstance(o, (Transfer, Pend))])
        batch = LedgerBatch(orders, pendings, now_ms)
        if batch.sent:
            batch.take(await self._executed(batch, len(orders) if together else 0))
        ids = batch.ids_to_look_up()
        if ids:
            batch.settle(await self._recorded(ids))
        outcomes = batch.outcomes()
        return as_set(outcomes) if together else outcomes

    async def reserve(self, wanted: Sequence[Reserve], currency: str) -> Mapping[int, Refusal]:
        """Set these holds one after the other, in one commit; in one round trip if none has to be refused.

        Returns, by index, those whose balance is too small; the others are as wanted.
        """
        if len(wanted) > BATCH_MAX:
            raise ValueError(f"a batch has at most {BATCH_MAX} holds")
        at_once = reserves_at_once(wanted)
        if at_once is not None and await guarded(self._database.fetchval(_RESERVE_AT_ONCE, currency, *at_once)):
            return {}
        rows = await guarded(self._database.fetch(_RESERVE, currency, *reserves_in_turn(wanted)))
        return {row[0] - 1: Refusal(INSUFFICIENT_FUNDS, row[1], row[2]) for row in rows}

    async def held_for(self, references: Sequence[bytes], currency: str) -> list[HeldFor]:
        """All holds for these references."""
        rows = await guarded(self._database.fetch(_HELD_FOR, references, currency))
        return [HeldFor(*row) for row in rows]

    async def expire_due(self, now_ms: int, limit: int = EXPIRE_PAGE) -> int:
        """Release up to ``limit`` expired pending transfers. Returns how many there were."""
        due = [row[0] for row in await guarded(self._database.fetch(_DUE, now_ms, limit))]
        await self.execute([Expire(transfer_id("expire", pending), pending) for pending in due], now_ms)
        return len(due)

    async def _executed(self, batch: LedgerBatch, all_of: int) -> list[asyncpg.Record]:
        arguments = batch.arguments()
        # In a transaction of the caller's nothing can be tried again.
        tries = TRIES_MAX if isinstance(self._database, asyncpg.Pool) else 1
        for _ in range(tries):
            with suppress(asyncpg.UniqueViolationError):
                rows: list[asyncpg.Record] = await guarded(
                    self._database.fetch(_EXECUTE, batch.now_ms, all_of, *arguments)
                )
                return rows
        raise LedgerConflict("a transfer id was taken for other accounts at the same moment")

    async def _recorded(self, ids: Sequence[bytes]) -> dict[bytes, Recorded]:
        if not ids:
            return {}
        rows = await guarded(self._database.fetch(_RECORDED, ids))
        return {row[0]: Recorded(*row) for row in rows}
