"""Balances and entries, as their owner may see them."""

import asyncpg
import msgspec

from persistence.postgres.guard import guarded

PAGE_MAX = 1_000
SEQ_MAX = 2**63 - 1


class BalanceRow(msgspec.Struct, frozen=True):
    """A user's account: ``posted`` is the balance, ``held`` the part on hold."""

    currency: str
    posted: int
    held: int


class EntryFilter(msgspec.Struct, frozen=True):
    """Which entries of an account. Times in milliseconds: from ``since`` on, before ``until``."""

    kind: str | None = None
    since: int | None = None
    until: int | None = None


class EntryRow(msgspec.Struct, frozen=True):
    """One entry. ``size`` is the transfer's amount, ``amount`` what it moved: 0 if it only held or released."""

    account: int
    seq: int
    transfer: bytes
    action: str
    pending: bytes | None
    kind: str
    about: int | None
    at: int
    expires_at: int | None
    size: int
    amount: int
    posted: int
    held: int
    hash: bytes


_BALANCES = """
    SELECT currency, posted, held FROM ledger_accounts WHERE owner_id = $1 AND kind = 'user' ORDER BY currency
"""

_MOVED = {
    "debit": "CASE WHEN action IN ('transfer', 'post') THEN -amount ELSE 0 END",
    "credit": "amount",
}


def _side(side: str) -> str:
    """The newest entries of one side: an index gives them in order, and no more are read than are wanted."""
    return f"""
        SELECT {side}_account, {side}_seq AS seq, transfer_id, action, pending_id, kind, about, at, expires_at,
            amount AS size, {_MOVED[side]} AS amount, {side}_posted, {side}_held, {side}_hash
        FROM ledger_transfers
        WHERE {side}_account = (
                SELECT account_id FROM ledger_accounts WHERE owner_id = $1 AND kind = 'user' AND currency = $2
            )
            AND {side}_seq < coalesce($3::bigint, {SEQ_MAX}) AND ($4::text IS NULL OR kind = $4)
            AND ($5::bigint IS NULL OR at >= $5) AND ($6::bigint IS NULL OR at < $6)
        ORDER BY {side}_seq DESC LIMIT $7
    """


# The view ledger_entries has the same; over it PostgreSQL sorts all credits of the account for every page.
_ENTRIES = f"({_side('debit')}) UNION ALL ({_side('credit')}) ORDER BY seq DESC LIMIT $7"


class LedgerReading:
    """What users see of their own accounts. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def balances(self, owner: int) -> list[BalanceRow]:
        """The accounts that this user has, by currency."""
        return [BalanceRow(*row) for row in await guarded(self._pool.fetch(_BALANCES, owner))]

    async def entries(
        self, owner: int, currency: str, wanted: EntryFilter, before_seq: int | None, limit: int
    ) -> list[EntryRow]:
        """Up to ``limit`` entries of the user's account, the newest first."""
        rows = await guarded(
            self._pool.fetch(
                _ENTRIES, owner, currency, before_seq, wanted.kind, wanted.since, wanted.until, min(limit, PAGE_MAX + 1)
            )
        )
        return [EntryRow(*row) for row in rows]
