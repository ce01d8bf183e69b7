"""Changes of passwords, and requests for another address."""

import asyncpg

from persistence.audit.trail import Act, record_within
from persistence.identity.api_keys import revoke_all_within
from persistence.identity.mail_addresses import mail_about_user_within
from persistence.identity.mail_jobs import CHANGE_ADDRESS, PASSWORD_CHANGED, mail_to_user
from persistence.identity.mail_tokens import end_begun_within
from persistence.identity.store import end_log_ins_within
from persistence.jobs.store import add_within
from persistence.keys.emails import EmailCipher
from persistence.postgres.guard import guard, guarded

# Only over the hash that was compared: of two changes at the same time one is refused.
_CHANGE = "UPDATE users SET password_hash = $3 WHERE user_id = $1 AND password_hash = $2 RETURNING true"


class Passwords:
    """The hashes in the table ``users``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool, emails: EmailCipher | None = None) -> None:
        """``emails``: as of UserStore."""
        self._pool = pool
        self._emails = emails

    async def change(
        self, user_id: int, hashes: tuple[str, str], now_ms: int, except_family: str | None, keep_api_keys: bool = False
    ) -> bool:
        """From the old hash to the new one; all log-ins but one end, API keys as well, and the user gets a mail.

        False where the old hash is not the present one any more.
        """
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            if not await connection.fetchval(_CHANGE, user_id, *hashes):
                return False
            await end_begun_within(connection, user_id, now_ms)
            await end_log_ins_within(connection, user_id, except_family)
            if not keep_api_keys:
                await revoke_all_within(connection, user_id, now_ms)
            await record_within(connection, Act("password.changed", user_id))
            await add_within(connection, [mail_to_user(PASSWORD_CHANGED, user_id)])
        return True

    async def rehash(self, user_id: int, old_hash: str, new_hash: str) -> bool:
        """The same password, hashed with more work. False where the old hash is not the present one any more."""
        return bool(await guarded(self._pool.fetchval(_CHANGE, user_id, old_hash, new_hash)))

    async def ask_for_address(self, user_id: int, address: str) -> None:
        """Mail a token to an address that the user wants to have."""
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await record_within(connection, Act("email.change_requested", user_id))
            await mail_about_user_within(connection, CHANGE_ADDRESS, user_id, address, self._emails)
