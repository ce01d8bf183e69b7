"""The chain that a database belongs to, by the hash of its genesis: the first one that was ever used with it.

What is recorded of minted cards and of transactions is true of that chain alone, so another one is refused.
"""

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from persistence.jobs.store import NOW_MS
from persistence.postgres.guard import guard, guarded

STATEMENT_TIMEOUT_S = 60.0

_KNOWN = "SELECT genesis FROM chain_genesis"
# Who ends an entity waits for this transaction, or has committed before it: nothing that ends is missed.
_LOCK = "LOCK TABLE entities IN SHARE MODE"
_PIN = f"INSERT INTO chain_genesis (genesis, pinned_at) VALUES ($1, {NOW_MS}) ON CONFLICT DO NOTHING RETURNING true"
_NOTE_ENDED = """
    INSERT INTO unanchored (entity_id, since)
    SELECT entity_id, 0 FROM entities e
    WHERE ended AND NOT EXISTS (SELECT FROM anchor_leaves a WHERE a.entity_id = e.entity_id AND a.seq >= e.seq)
    ORDER BY entity_id
"""
_REPLACE = f"UPDATE chain_genesis SET genesis = $1, pinned_at = {NOW_MS} WHERE genesis <> $1 RETURNING true"
# Transactions of the old chain can't land on the new one, so their jobs can be signed again.
_EXPIRE = f"""
    UPDATE chain_transactions SET state = 'expired', raw = NULL, finished_at = {NOW_MS}, error = 'another chain'
    WHERE state = 'signed'
"""
_QUEUE_AGAIN = """
    UPDATE chain_jobs SET state = 'queued', transaction_id = NULL, claim = NULL, worker = NULL, not_before = 0
    WHERE state = 'signed'
"""
# They are created again at the same addresses, which new copies of their sets need.
_CREATE_AGAIN = """
    WITH again AS (UPDATE collections SET created_slot = NULL WHERE created_slot IS NOT NULL RETURNING job_id)
    UPDATE chain_jobs j SET state = 'queued', transaction_id = NULL, not_before = 0, finished_at = NULL
    FROM again WHERE j.job_id = again.job_id AND j.state = 'done'
"""
# So are the nonces of swaps, at theirs: those that are free can be used once they are there.
_NONCES_AGAIN = """
    WITH free AS (UPDATE nonce_accounts SET address = NULL, value = NULL WHERE swap_id IS NULL AND address IS NOT NULL)
    UPDATE chain_jobs SET state = 'queued', transaction_id = NULL, not_before = 0, finished_at = NULL
    WHERE kind = 'create_nonce' AND state = 'done'
"""
# The history of a wallet begins anew.
_READ_AGAIN = """
    UPDATE custodial_wallets SET last_signature = NULL, scan_newest = NULL, scan_before = NULL
    WHERE last_signature IS NOT NULL OR scan_before IS NOT NULL
"""
_MINTED = "SELECT count(*) FROM assets WHERE state = 'minted'"


class ChainGenesis:
    """The table ``chain_genesis``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def known(self) -> str | None:
        """The genesis of this database's chain; None if it never had one."""
        genesis: str | None = await guarded(self._pool.fetchval(_KNOWN))
        return genesis

    async def pin(self, genesis: str) -> str:
        """The genesis of this database's chain: this one, if it never had one."""
        known = await self.known()
        if known is not None:
            return known
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await _note_all(connection, genesis)
            pinned: str = await connection.fetchval(_KNOWN)
        return pinned

    async def adopt(self, genesis: str) -> tuple[int, int] | None:
        """Have this database belong to another chain; None if it does already.

        Returns how many jobs will be signed again, and how many assets are recorded that the chain before had.
        """
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            if not await connection.fetchval(_REPLACE, genesis):
                return None
            await connection.execute(_EXPIRE, timeout=STATEMENT_TIMEOUT_S)
            queued: str = await connection.execute(_QUEUE_AGAIN, timeout=STATEMENT_TIMEOUT_S)
            for again in (_CREATE_AGAIN, _NONCES_AGAIN, _READ_AGAIN):
                await connection.execute(again, timeout=STATEMENT_TIMEOUT_S)
            minted: int = await connection.fetchval(_MINTED, timeout=STATEMENT_TIMEOUT_S)
        return int(queued.removeprefix("UPDATE ")), minted


async def _note_all(connection: PoolConnectionProxy, genesis: str) -> None:
    await connection.execute(_LOCK, timeout=STATEMENT_TIMEOUT_S)
    if await connection.fetchval(_PIN, genesis):
        await connection.execute(_NOTE_ENDED, timeout=STATEMENT_TIMEOUT_S)
