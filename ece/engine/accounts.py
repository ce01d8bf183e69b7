"""Accounts for benches and replays: made in the database of the engine, with tokens signed by its keys."""

import secrets
import time
from collections.abc import Callable, Sequence

from actors.data_keys import DataKeys
from bench.wire.accounts import Account
from chain.wallets.envelope import EnvelopeCipher
from domain.ids import id_text
from domain.permissions import QUOTA_EXEMPT
from gateway.identity.signing_keys import SigningKeys
from gateway.identity.tokens import TokenIssuer
from persistence.identity.signing_keys import SigningKeyStore
from persistence.identity.store import UserStore
from persistence.keys.data_keys import DataKeyRows
from persistence.ledger.faucet import fund
from persistence.postgres.pool import close_pool, open_pool

# Longer than the longest run of a bench, six hours.
TOKEN_TTL_S = 7 * 3_600
CONNECTIONS_MAX = 2


class ProvisionedAccounts:
    """Users without a password, with enough money for bids.

    Needs the database and the secrets that encrypt the signing keys in it.
    """

    def __init__(self, database_url: str, key_secrets: Callable[[], Sequence[str]], *, limited: bool = False) -> None:
        """`limited`: with the rate limits and quotas that anybody has."""
        self._database_url = database_url
        self._key_secrets = key_secrets
        self._more_roles = () if limited else (QUOTA_EXEMPT,)

    async def provision(self, names: list[str], role: str | None = None) -> dict[str, Account]:
        """Accounts by name: made where they don't exist, fresh tokens for all."""
        pool = await open_pool(self._database_url, size_max=CONNECTIONS_MAX)
        try:
            users = await UserStore(pool).provision(names, role)
            data_keys = DataKeys(DataKeyRows(pool), EnvelopeCipher(self._key_secrets, _now_ms), _now_ms)
            await data_keys.open()
            keys = SigningKeys(SigningKeyStore(pool), data_keys.cipher, _now_ms)
            await keys.load()
            await fund(pool, [user.user_id for user in users.values()], _now_ms())
        finally:
            await close_pool(pool)
        # No refresh tokens follow from this secret: these tokens are for one run.
        issuer, now_s = TokenIssuer(secrets.token_hex(32), TOKEN_TTL_S, keys), int(time.time())
        return {
            name: Account(
                id_text(user.user_id),
                user.username,
                # The role is in the token alone: what a replay lists is no user's.
                issuer.issue(
                    user.user_id, user.username, (*user.roles, *self._more_roles), now_s, None, user.access_version
                ),
            )
            for name, user in users.items()
        }


def _now_ms() -> int:
    return int(time.time() * 1000)
