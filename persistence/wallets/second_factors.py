"""Second factors of users: encrypted secrets, the last code that was accepted, attempts, and recovery codes."""

from collections.abc import Sequence

import asyncpg
import msgspec

from domain.wallets.second_factor import ATTEMPTS_MAX, FRESH_MS, LOCK_MS, Locked, SecondFactor
from persistence.audit.trail import Act, record_within
from persistence.identity.mail_jobs import CODE_USED_AGAIN, mail_access_changed_within, mail_to_user
from persistence.jobs.store import add_within
from persistence.postgres.batched_reads import BatchedReads
from persistence.postgres.guard import guard, guarded


class Sealing(msgspec.Struct, frozen=True):
    """An encrypted secret of a user, to be stored."""

    user: int
    key_id: str
    sealed: bytes

    def __repr__(self) -> str:
        return f"Sealing(user={self.user}, key_id={self.key_id})"


_COLUMNS = "user_id, key_id, sealed, confirmed_at, last_step"

_GET = f"SELECT {_COLUMNS} FROM second_factors WHERE user_id = ANY($1::bigint[])"

# Attempts and the lock stay: beginning again is no way around them.
_BEGIN = """
    INSERT INTO second_factors (user_id, key_id, sealed, created_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT (user_id) DO UPDATE SET key_id = excluded.key_id, sealed = excluded.sealed,
        created_at = excluded.created_at
    WHERE second_factors.confirmed_at IS NULL
    RETURNING true
"""

# The attempt counts before its code is checked, so that many at once are not more than the maximum.
_ATTEMPT = f"""
    UPDATE second_factors SET attempts = CASE WHEN locked_until > 0 THEN 1 ELSE attempts + 1 END,
        locked_until = CASE WHEN locked_until = 0 AND attempts + 1 >= {ATTEMPTS_MAX} THEN $2 + {LOCK_MS} ELSE 0 END
    WHERE user_id = $1 AND locked_until <= $2 RETURNING {_COLUMNS}
"""
_LOCKED = "SELECT locked_until - $2::bigint FROM second_factors WHERE user_id = $1"

_ACCEPT = """
    UPDATE second_factors SET last_step = $2, attempts = 0, locked_until = 0, confirmed_at = coalesce(confirmed_at, $3)
    WHERE user_id = $1 AND last_step < $2 RETURNING true
"""
_CODES = "INSERT INTO recovery_codes (user_id, code_hash) SELECT $1, * FROM unnest($2::bytea[])"
_USE_CODE = """
    WITH used AS (DELETE FROM recovery_codes WHERE user_id = $1 AND code_hash = $2 RETURNING user_id)
    UPDATE second_factors s SET attempts = 0, locked_until = 0 FROM used WHERE s.user_id = used.user_id RETURNING true
"""
_PROVE = f"""
    WITH gone AS (DELETE FROM second_factor_proofs WHERE session IN (
        SELECT session FROM second_factor_proofs WHERE at <= $3::bigint - {FRESH_MS} AND session <> $1
        ORDER BY at LIMIT 100
    ))
    INSERT INTO second_factor_proofs (session, user_id, at) VALUES ($1, $2, $3)
    ON CONFLICT (session) DO UPDATE SET user_id = excluded.user_id, at = excluded.at
"""
_PROVED = """
    SELECT true FROM second_factor_proofs WHERE session = $1 AND user_id = $2 AND at > $3
"""


class SecondFactors:
    """The tables ``second_factors`` and ``recovery_codes``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._factors = BatchedReads(self._read)

    async def get(self, user: int) -> SecondFactor | None:
        """The second factor of a user, confirmed or not."""
        return await self._factors.get(user)

    async def _read(self, users: Sequence[int]) -> dict[int, SecondFactor]:
        rows = await guarded(self._pool.fetch(_GET, users))
        return {row[0]: SecondFactor(*row) for row in rows}

    async def codes_left(self, user: int) -> int:
        """How many recovery codes are not used yet."""
        return int(await guarded(self._pool.fetchval("SELECT count(*) FROM recovery_codes WHERE user_id = $1", user)))

    async def begin(self, sealing: Sealing, now_ms: int) -> bool:
        """Store a secret that is to be confirmed, in place of one that was not. False: one is confirmed already."""
        values = (sealing.user, sealing.key_id, sealing.sealed, now_ms)
        return bool(await guarded(self._pool.fetchval(_BEGIN, *values)))

    async def attempt(self, user: int, now_ms: int) -> SecondFactor | Locked | None:
        """Count an attempt, and return what its code is checked with. None: the user has no second factor."""
        row = await guarded(self._pool.fetchrow(_ATTEMPT, user, now_ms))
        if row is not None:
            return SecondFactor(*row)
        wait_ms = await guarded(self._pool.fetchval(_LOCKED, user, now_ms))
        return None if wait_ms is None else Locked(max(1, wait_ms))

    async def accept(self, user: int, step: int, now_ms: int) -> bool:
        """The code of this time step was right; False if it, or a later one, was accepted before."""
        return bool(await guarded(self._pool.fetchval(_ACCEPT, user, step, now_ms)))

    async def confirm(self, user: int, step: int, code_hashes: Sequence[bytes], now_ms: int) -> bool:
        """The first right code: from now on it counts, with these recovery codes. False as for ``accept``."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            if await connection.fetchval(_ACCEPT, user, step, now_ms) is None:
                return False
            await connection.execute("DELETE FROM recovery_codes WHERE user_id = $1", user)
            await connection.execute(_CODES, user, code_hashes)
            await record_within(connection, Act("second_factor.enabled", user))
            await mail_access_changed_within(connection, user)
        return True

    async def use_recovery_code(self, user: int, code_hash: bytes) -> bool:
        """Use a recovery code up; False if there is no such one."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            used = bool(await connection.fetchval(_USE_CODE, user, code_hash))
            if used:
                await record_within(connection, Act("recovery_code.used", user))
        return used

    async def code_used_again(self, user: int) -> None:
        """A right code was shown that had counted before, or is older than one that has: the user gets a mail."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await record_within(connection, Act("second_factor.code_used_again", user))
            await add_within(connection, [mail_to_user(CODE_USED_AGAIN, user)])

    async def prove(self, session: str, user: int, now_ms: int) -> None:
        """This session has shown the second factor of its user now."""
        await guarded(self._pool.execute(_PROVE, session, user, now_ms))

    async def is_fresh(self, session: str, user: int, now_ms: int) -> bool:
        """Whether it has done so within FRESH_MS."""
        return bool(await guarded(self._pool.fetchval(_PROVED, session, user, now_ms - FRESH_MS)))

    async def remove(self, user: int) -> None:
        """The user has no second factor any more."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            if await connection.fetchval("DELETE FROM second_factors WHERE user_id = $1 RETURNING true", user):
                await record_within(connection, Act("second_factor.disabled", user))
                await mail_access_changed_within(connection, user)
