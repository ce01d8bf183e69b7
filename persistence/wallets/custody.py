"""Custodial wallets: for each user one encrypted key."""

from collections.abc import Sequence

import asyncpg

from domain.wallets.custody import CustodialWallet
from persistence.postgres.guard import guarded

PAGE_MAX = 1_000

_COLUMNS = "user_id, address, key_id, sealed"

_OF = f"SELECT {_COLUMNS} FROM custodial_wallets WHERE user_id = ANY($1::bigint[])"

# Users who have a wallet keep it, so of two that make one for the same user one is stored.
_ADD = """
    INSERT INTO custodial_wallets (user_id, address, key_id, sealed)
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bytea[]) AS given (user_id, address, key_id, sealed)
    ORDER BY user_id ON CONFLICT (user_id) DO NOTHING
"""

_USERS = "SELECT address, user_id FROM custodial_wallets WHERE address = ANY($1::text[])"

_PAGE = f"SELECT {_COLUMNS} FROM custodial_wallets WHERE user_id > $1 ORDER BY user_id LIMIT $2"


class CustodialWallets:
    """The table ``custodial_wallets``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def of(self, users: Sequence[int]) -> dict[int, CustodialWallet]:
        """The wallets of these users; who has none is not in the result."""
        rows = await guarded(self._pool.fetch(_OF, list(users)))
        return {row[0]: CustodialWallet(*row) for row in rows}

    async def add(self, wallets: Sequence[CustodialWallet]) -> dict[int, CustodialWallet]:
        """Store these, each unless its user has one; returns the stored ones."""
        await guarded(self._pool.execute(_ADD, *_columns(wallets)))
        return await self.of([wallet.user for wallet in wallets])

    async def users_of(self, addresses: Sequence[str]) -> dict[str, int]:
        """Whose wallets these addresses are; an address that is no custodial wallet is not in the result."""
        return {row[0]: row[1] for row in await guarded(self._pool.fetch(_USERS, list(addresses)))}

    async def page(self, after_user: int, limit: int) -> list[CustodialWallet]:
        """The next wallets by user."""
        return [CustodialWallet(*row) for row in await guarded(self._pool.fetch(_PAGE, after_user, limit))]


def _columns(wallets: Sequence[CustodialWallet]) -> list[list[object]]:
    return [
        [wallet.user for wallet in wallets],
        [wallet.address for wallet in wallets],
        [wallet.key_id for wallet in wallets],
        [wallet.sealed for wallet in wallets],
    ]
