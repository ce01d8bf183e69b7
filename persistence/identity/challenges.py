"""Challenges of log-ins, each good once: nonces, states, and log-ins that wait for a code."""

import hashlib

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from domain.errors import CHALLENGE_EXPIRED
from persistence.postgres.errors import StoreError
from persistence.postgres.guard import guard, guarded

# Each new challenge removes more expired ones than it adds, so that no other process has to.
PURGE_PAGE = 100
# Of one user and purpose: a new challenge removes the oldest ones above.
OF_USER_MAX = 10


class ChallengeExpired(StoreError):
    """The challenge is unknown, used or expired: ask for a new one."""

    code = CHALLENGE_EXPIRED

    def __init__(self) -> None:
        super().__init__("the challenge is unknown, used or expired: ask for a new one")


class Challenge(msgspec.Struct, frozen=True):
    """``data`` is what its purpose needs. Without a ``user``, it was given to somebody unknown."""

    purpose: str
    user: int | None
    data: bytes
    expires_at: int


_PURGE = """
    DELETE FROM log_in_challenges WHERE token_hash IN (
        SELECT token_hash FROM log_in_challenges WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2
        FOR UPDATE SKIP LOCKED
    )
"""
_BOUND = """
    DELETE FROM log_in_challenges WHERE token_hash IN (
        SELECT token_hash FROM log_in_challenges WHERE user_id = $1 AND purpose = $2
        ORDER BY expires_at DESC, token_hash OFFSET $3
    )
"""
_ISSUE = """
    INSERT INTO log_in_challenges (token_hash, purpose, user_id, data, expires_at) VALUES ($1, $2, $3, $4, $5)
"""
_COLUMNS = "purpose, user_id, data, expires_at"
_WHICH = "token_hash = $1 AND purpose = $2 AND expires_at > $3"


class LogInChallenges:
    """The table ``log_in_challenges``, which holds hashes of tokens only. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def issue(self, token: str, challenge: Challenge, now_ms: int) -> None:
        """Store a challenge under its token."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_PURGE, now_ms, PURGE_PAGE)
            await connection.execute(
                _ISSUE, token_hash(token), challenge.purpose, challenge.user, challenge.data, challenge.expires_at
            )
            if challenge.user is not None:
                await connection.execute(_BOUND, challenge.user, challenge.purpose, OF_USER_MAX)

    async def look_up(self, token: str, purpose: str, now_ms: int) -> Challenge:
        """The challenge, which stays good. Raises ChallengeExpired."""
        statement = f"SELECT {_COLUMNS} FROM log_in_challenges WHERE {_WHICH}"
        row = await guarded(self._pool.fetchrow(statement, token_hash(token), purpose, now_ms))
        if row is None:
            raise ChallengeExpired
        return Challenge(*row)

    async def take(self, token: str, purpose: str, now_ms: int) -> Challenge:
        """Use the challenge up: of several at the same time one gets it. Raises ChallengeExpired."""
        async with guard(), self._pool.acquire() as connection:
            return await take_within(connection, token, purpose, now_ms)


async def take_within(connection: PoolConnectionProxy, token: str, purpose: str, now_ms: int) -> Challenge:
    """As ``take``, in the caller's transaction: if that fails, the challenge stays good."""
    statement = f"DELETE FROM log_in_challenges WHERE {_WHICH} RETURNING {_COLUMNS}"
    row = await connection.fetchrow(statement, token_hash(token), purpose, now_ms)
    if row is None:
        raise ChallengeExpired
    return Challenge(*row)


def token_hash(token: str) -> bytes:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).digest()
