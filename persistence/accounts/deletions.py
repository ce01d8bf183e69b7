"""Deletion of accounts: asked for, cancelled by the next log-in, and carried out when it is due.

What identifies the user is removed or replaced (``personal_tables``); what others' rows rest on stays under the id.
"""

import hashlib

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.ids import id_text
from domain.users import DELETED_PREFIX, skeleton
from persistence.accounts.personal_tables import PERSONAL, REMOVED
from persistence.audit.trail import Act, record_within
from persistence.identity.access_changes import add_change
from persistence.identity.api_keys import revoke_all_within
from persistence.jobs.rows import JobRow
from persistence.jobs.store import Claimed, add_within, complete_within
from persistence.postgres.guard import guard, guarded

DELETE_USER = "delete_user"
# Nobody else gets the name of a deleted account for so long.
NAME_HELD_MS = 365 * 24 * 3600 * 1000
BLOCKED_RETRY_MS = 24 * 3600 * 1000
DELETED_DOMAIN = "deleted.invalid"


class Due(msgspec.Struct, frozen=True):
    """When an account will be deleted (ms), and what keeps it from that (``BLOCKERS``)."""

    requested_at: int
    due_at: int


# What has to be settled before: each is whether the user ``$1`` has some.
BLOCKERS = {
    "funds": "SELECT FROM ledger_accounts WHERE owner_id = $1 AND (posted <> 0 OR held <> 0)",
    "copies": "SELECT FROM copies WHERE owner_id = $1 AND place <> 'withdrawn'",
    "auctions": """SELECT FROM auctions WHERE seller_id = $1
        AND (status NOT IN ('closed', 'cancelled') OR settlement IN ('due', 'paid', 'failed'))""",
    "trades": """SELECT FROM trade_parties p JOIN trades t USING (trade_id) WHERE p.user_id = $1 AND
        t.status IN ('open', 'agreed', 'confirmed', 'executed', 'disputed', 'reversing')""",
    "withdrawals": """SELECT FROM ledger_withdrawals
        WHERE user_id = $1 AND state IN ('requested', 'waiting_for_chain', 'sending')
        UNION ALL SELECT FROM card_withdrawals WHERE user_id = $1 AND state = 'sending'""",
    "swaps": """SELECT FROM swaps WHERE $1 IN (proposer_id, counterparty_id)
        AND state IN ('preparing', 'open', 'signed', 'sent')""",
}
_BLOCKERS = f"SELECT {', '.join(f'EXISTS ({query})' for query in BLOCKERS.values())}"

_REQUEST = """
    INSERT INTO user_deletions (user_id, requested_at, due_at) VALUES ($1, $2, $3)
    ON CONFLICT (user_id) DO UPDATE SET due_at = user_deletions.due_at RETURNING requested_at, due_at
"""
_CANCEL = "DELETE FROM user_deletions WHERE user_id = $1 RETURNING true"
_DUE = "SELECT requested_at, due_at FROM user_deletions WHERE user_id = $1"
_HOLD_NAME = """
    INSERT INTO held_names (skeleton_hash, held_until) VALUES ($1, $2)
    ON CONFLICT (skeleton_hash) DO UPDATE SET held_until = excluded.held_until
"""
_RENAME = """
    UPDATE users SET username = $2, email = $3, email_key = $3, email_sealed = NULL, email_key_id = NULL,
        skeleton = NULL, password_hash = NULL, verified_at = NULL, roles = '{}'
    WHERE user_id = $1
"""
_RENAME_BIDDER = "UPDATE second_chances SET bidder_name = $2 WHERE bidder_id = $1"
_DISOWN = "UPDATE content SET created_by = NULL WHERE created_by = $1"
# Rows of both sides: whoever follows, mutes or blocks a deleted user follows, mutes or blocks nobody.
_REMOVE = {
    name: f"DELETE FROM {name} AS t WHERE " + " OR ".join(f"t.{column} = $1" for column in table.columns)
    for name, table in PERSONAL.items()
    if table.deletion == REMOVED and table.columns
}
_FORGET_NAMES = "DELETE FROM held_names WHERE held_until <= $1"


class Deletions:
    """The table ``user_deletions``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def blockers(self, user: int) -> list[str]:
        """What the user has to settle before (keys of BLOCKERS)."""
        async with guard(), self._pool.acquire() as connection:
            return await _blockers(connection, user)

    async def request(self, user: int, now_ms: int, grace_ms: int) -> Due:
        """Have the account deleted after the grace, and end its log-ins. Once asked for, the first time counts."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(_REQUEST, user, now_ms, now_ms + grace_ms)
            assert row is not None, "INSERT … RETURNING gives a row"
            await connection.execute("DELETE FROM log_ins WHERE user_id = $1", user)
            await add_within(connection, [JobRow(DELETE_USER, f"{user}:{row[1]}", b"", row[1])])
            await record_within(connection, Act("account.deletion_requested", user, subject=id_text(user)))
        return Due(*row)

    async def due(self, user: int) -> Due | None:
        """When the account will be deleted; None if nobody asked for it."""
        row = await guarded(self._pool.fetchrow(_DUE, user))
        return None if row is None else Due(*row)

    async def cancel(self, user: int) -> bool:
        """Keep the account; False if nobody had asked for its deletion."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            cancelled = bool(await connection.fetchval(_CANCEL, user))
            if cancelled:
                await record_within(connection, Act("account.deletion_cancelled", user, subject=id_text(user)))
        return cancelled

    async def carry_out(self, job: Claimed, now_ms: int) -> int:
        """Delete the account of this job, and complete it; or in how many ms to try again. May raise LeaseLost."""
        user, due_at = map(int, job.key.split(":"))
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            # Who logs in meanwhile waits for this row, or is waited for.
            row = await connection.fetchrow(f"{_DUE} FOR UPDATE", user)
            if row is not None and row["due_at"] == due_at:
                if due_at > now_ms:
                    return due_at - now_ms
                if await _blockers(connection, user):
                    return BLOCKED_RETRY_MS
                await _delete(connection, user, now_ms)
            await complete_within(connection, [job])
        return 0

    async def forget_names(self, now_ms: int) -> None:
        """Free the names that were held long enough."""
        await guarded(self._pool.execute(_FORGET_NAMES, now_ms))


async def _blockers(connection: PoolConnectionProxy, user: int) -> list[str]:
    found = await connection.fetchrow(_BLOCKERS, user)
    assert found is not None, "there is one row"
    return [name for name, exists in zip(BLOCKERS, found, strict=True) if exists]


async def _delete(connection: PoolConnectionProxy, user: int, now_ms: int) -> None:
    username = await connection.fetchval("SELECT username FROM users WHERE user_id = $1 FOR UPDATE", user)
    held = hashlib.sha256(skeleton(username).encode()).digest()
    await connection.execute(_HOLD_NAME, held, now_ms + NAME_HELD_MS)
    new_name = f"{DELETED_PREFIX}{id_text(user)}"
    await connection.execute(_RENAME, user, new_name, f"{new_name}@{DELETED_DOMAIN}")
    await connection.execute(_RENAME_BIDDER, user, new_name)
    await connection.execute(_DISOWN, user)
    # Sockets have looked their API keys up long ago: gateways are told before the rows are gone.
    await revoke_all_within(connection, user, now_ms)
    await add_change(connection, user)
    for statement in _REMOVE.values():
        await connection.execute(statement, user)
    await record_within(connection, Act("account.deleted", subject=id_text(user)))
