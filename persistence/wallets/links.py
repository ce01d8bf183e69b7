"""Outside wallets that users have linked, and the challenges that they sign for it."""

from collections.abc import Sequence

import asyncpg
import msgspec

from domain.errors import CHALLENGE_EXPIRED, WALLET_TAKEN, WALLETS_FULL
from persistence.postgres.guard import guard, guarded
from persistence.postgres.purging import delete_some

LINKS_MAX = 20
# Of one user: a new challenge removes the oldest ones above.
CHALLENGES_MAX = 10
PURGE_PAGE = 10_000


class Challenge(msgspec.Struct, frozen=True):
    """A text for one wallet to sign, once, before ``expires_at`` (ms)."""

    nonce: str
    user: int
    address: str
    message: str
    expires_at: int


class LinkedWallet(msgspec.Struct, frozen=True):
    """An outside wallet of a user."""

    address: str
    user: int
    linked_at: int


class LinkRefusal(msgspec.Struct, frozen=True):
    """Why a wallet was not linked."""

    code: str


_ISSUE = """
    INSERT INTO wallet_challenges (nonce, user_id, address, message, expires_at) VALUES ($1, $2, $3, $4, $5)
"""
_BOUND = """
    DELETE FROM wallet_challenges WHERE nonce IN
        (SELECT nonce FROM wallet_challenges WHERE user_id = $1 ORDER BY expires_at DESC, nonce OFFSET $2)
"""
_CHALLENGE = """
    SELECT nonce, user_id, address, message, expires_at FROM wallet_challenges
    WHERE nonce = $1 AND user_id = $2 AND expires_at > $3
"""
_SPEND = """
    DELETE FROM wallet_challenges WHERE nonce = $1 AND user_id = $2 AND address = $3 AND expires_at > $4 RETURNING true
"""
_LINKED_BY = "SELECT address, user_id, linked_at FROM linked_wallets WHERE nonce = $1 AND user_id = $2 AND address = $3"
_LINK = """
    INSERT INTO linked_wallets (address, user_id, nonce, linked_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT (address) DO UPDATE SET nonce = excluded.nonce WHERE linked_wallets.user_id = excluded.user_id
    RETURNING address, user_id, linked_at
"""
_LINKS = "SELECT address, user_id, linked_at FROM linked_wallets WHERE user_id = $1 ORDER BY linked_at, address"
_UNLINK = "DELETE FROM linked_wallets WHERE user_id = $1 AND address = $2"
_FORGET = """
    DELETE FROM wallet_challenges WHERE nonce IN
        (SELECT nonce FROM wallet_challenges WHERE expires_at <= $1 LIMIT $2)
"""
# One at a time for each user, so that the maximum holds.
_LOCK_USER = "SELECT FROM users WHERE user_id = $1 FOR NO KEY UPDATE"


class LinkedWallets:
    """The tables ``linked_wallets`` and ``wallet_challenges``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def issue(self, challenge: Challenge) -> None:
        """Store a challenge; the oldest ones of its user beyond the maximum are removed."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_ISSUE, *msgspec.structs.astuple(challenge))
            await connection.execute(_BOUND, challenge.user, CHALLENGES_MAX)

    async def challenge(self, nonce: str, user: int, now_ms: int) -> Challenge | None:
        """The user's challenge with this nonce; None if it is unknown, used or expired."""
        row = await guarded(self._pool.fetchrow(_CHALLENGE, nonce, user, now_ms))
        return None if row is None else Challenge(*row)

    async def linked_by(self, nonce: str, user: int, address: str) -> LinkedWallet | None:
        """The wallet that this challenge linked: for a retry whose first answer was lost."""
        row = await guarded(self._pool.fetchrow(_LINKED_BY, nonce, user, address))
        return None if row is None else LinkedWallet(*row)

    async def link(self, challenge: Challenge, now_ms: int) -> LinkedWallet | LinkRefusal:
        """Use the challenge up and link its wallet. The caller has verified the signature."""
        user, address = challenge.user, challenge.address
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_LOCK_USER, user)
            if await connection.fetchval(_SPEND, challenge.nonce, user, address, now_ms) is None:
                row = await connection.fetchrow(_LINKED_BY, challenge.nonce, user, address)
                return LinkRefusal(CHALLENGE_EXPIRED) if row is None else LinkedWallet(*row)
            others = await connection.fetchval(
                "SELECT count(*) FROM linked_wallets WHERE user_id = $1 AND address <> $2", user, address
            )
            if others >= LINKS_MAX:
                return LinkRefusal(WALLETS_FULL)
            row = await connection.fetchrow(_LINK, address, user, challenge.nonce, now_ms)
            return LinkRefusal(WALLET_TAKEN) if row is None else LinkedWallet(*row)

    async def of(self, user: int) -> Sequence[LinkedWallet]:
        """The user's wallets, in the order of linking."""
        return [LinkedWallet(*row) for row in await guarded(self._pool.fetch(_LINKS, user))]

    async def unlink(self, user: int, address: str) -> bool:
        """Remove a link; False if there is none."""
        status: str = await guarded(self._pool.execute(_UNLINK, user, address))
        return status == "DELETE 1"

    async def forget_expired(self, now_ms: int) -> int:
        """Delete some of the challenges that nobody can use any more; how many."""
        return await delete_some(self._pool, _FORGET, now_ms, PURGE_PAGE)
