"""Accounts for benches and replays: made in the database of the engine, with tokens signed by its secret."""

import time

from bench.wire.accounts import Account
from domain.ids import id_text
from gateway.identity.tokens import TokenIssuer
from gateway.rest.callers import QUOTA_EXEMPT
from persistence.identity.store import UserStore
from persistence.ledger.faucet import fund
from persistence.postgres.pool import close_pool, open_pool

TOKEN_TTL_S = 3600
CONNECTIONS_MAX = 2


class ProvisionedAccounts:
    """Users without a password, with enough money for bids.

    Needs the database and the secret of the tokens.
    """

    def __init__(self, database_url: str, jwt_secret: str) -> None:
        self._database_url = database_url
        self._issuer = TokenIssuer(jwt_secret, TOKEN_TTL_S)

    async def provision(self, names: list[str], role: str | None = None) -> dict[str, Account]:
        """Accounts by name: made where they don't exist, fresh tokens for all."""
        pool = await open_pool(self._database_url, size_max=CONNECTIONS_MAX)
        try:
            users = await UserStore(pool).provision(names, role)
            await fund(pool, [user.user_id for user in users.values()], int(time.time() * 1000))
        finally:
            await close_pool(pool)
        now_s = int(time.time())
        return {
            name: Account(
                id_text(user.user_id),
                user.username,
                # The role is in the token alone: what a replay lists is no user's.
                self._issuer.issue(user.user_id, user.username, (*user.roles, QUOTA_EXEMPT), now_s),
            )
            for name, user in users.items()
        }
