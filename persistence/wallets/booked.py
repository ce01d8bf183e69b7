"""What deposits and withdrawals on the chain have come to, by the ledger and by their rows."""

import asyncpg

from domain.wallets.solvency import Booked
from persistence.postgres.guard import guarded

# One statement is one snapshot: a deposit, its posting and its sweep are seen together or not at all.
_BOOKED = """
    SELECT
        (SELECT coalesce(-sum(posted), 0) FROM ledger_accounts WHERE kind = 'outside' AND currency = $1)::bigint,
        (SELECT coalesce(sum(amount), 0) FROM chain_deposits WHERE currency = $1)::bigint,
        (SELECT coalesce(sum(amount), 0) FROM ledger_withdrawals WHERE currency = $1 AND state = 'paid')::bigint,
        (SELECT coalesce(sum(amount), 0) FROM ledger_withdrawals WHERE currency = $1 AND state = 'sending')::bigint,
        (SELECT coalesce(sum(amount), 0) FROM chain_deposits d WHERE currency = $1 AND NOT EXISTS (
            SELECT FROM chain_jobs j WHERE j.kind = 'sweep' AND j.key = id_text(d.deposit_id) AND j.state = 'done'
        ))::bigint,
        (SELECT coalesce(-sum(posted), 0) FROM ledger_accounts WHERE kind LIKE 'faucet%' AND currency = $1)::bigint
"""


async def booked(pool: asyncpg.Pool, currency: str) -> Booked:
    """What the database says of this currency. Raises StoreUnavailable."""
    row = await guarded(pool.fetchrow(_BOOKED, currency))
    assert row is not None, "an aggregate has a row"
    return Booked(*row)
