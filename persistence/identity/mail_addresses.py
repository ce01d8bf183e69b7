"""Addresses of mails in flight: those of orders, and those that tokens prove. Encrypted where users' addresses are.

An order has the address beside it, under the key of its job, so that no payload has one.
"""

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from domain.users import email_key
from persistence.identity.emails import ADDRESS_COLUMNS, address_in, email_keys, stored_email
from persistence.identity.mail_jobs import MAIL, mail_to_user, mail_to_whoever
from persistence.jobs.rows import JobRow
from persistence.jobs.store import add_within, revive_within
from persistence.keys.emails import EmailCipher
from persistence.postgres.guard import guard, guarded
from persistence.postgres.purging import delete_some

# Older than a transaction that is adding the job of a row.
AGE_MIN_MS = 60_000
PURGE_PAGE = 10_000

# An order that is there already has this address. Its time protects it from being forgotten at this moment.
_PUT = f"""
    INSERT INTO mail_addresses (job_key, user_id, {ADDRESS_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (job_key) DO UPDATE
    SET user_id = coalesce(excluded.user_id, mail_addresses.user_id), added_at = excluded.added_at
"""
_OF = f"SELECT {ADDRESS_COLUMNS} FROM mail_addresses WHERE job_key = $1"
_FORGET = f"""
    DELETE FROM mail_addresses WHERE added_at <= clock_ms() - $1::bigint AND job_key IN (
        SELECT job_key FROM mail_addresses a WHERE added_at <= clock_ms() - $1::bigint
            AND NOT EXISTS (SELECT FROM jobs j WHERE j.kind = '{MAIL}' AND j.key = a.job_key)
            AND NOT EXISTS (SELECT FROM mail_tokens t WHERE t.job_key = a.job_key)
        LIMIT $2)
"""


class MailAddresses:
    """The table ``mail_addresses``. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool, emails: EmailCipher | None = None) -> None:
        """``emails``: as of UserStore."""
        self._pool = pool
        self._emails = emails

    async def order(self, about: str, address: str) -> None:
        """Order a mail to whoever has this address, if anybody has. For each address one at most waits."""
        job = mail_to_whoever(about, email_keys(email_key(address), self._emails)[-1])
        async with guard(), self._pool.acquire() as connection, connection.transaction():
            await _add(connection, job, address, self._emails, None)
            # One that was given up long ago is no reason to send none for ever.
            await revive_within(connection, job)

    async def of(self, job_key: str) -> str | None:
        """The address of an order; None if it has none, and empty if it is encrypted and this process has no keys."""
        row = await guarded(self._pool.fetchrow(_OF, job_key))
        return None if row is None else address_in(row, self._emails)

    async def forget_unneeded(self, age_min_ms: int = AGE_MIN_MS) -> int:
        """Delete some of those whose mail was sent and whose token is gone; how many."""
        return await delete_some(self._pool, _FORGET, age_min_ms, PURGE_PAGE)


async def mail_about_user_within(
    connection: PoolConnectionProxy, about: str, user_id: int, address: str, emails: EmailCipher | None
) -> None:
    """Order a mail about a user to this address, in the caller's transaction."""
    await _add(connection, mail_to_user(about, user_id), address, emails, user_id)


async def put_within(
    connection: PoolConnectionProxy, job_key: str, address: str, emails: EmailCipher | None, user_id: int | None
) -> None:
    """Store the address of this order, unless it is stored, in the caller's transaction."""
    stored = stored_email(address, emails)
    await connection.execute(_PUT, job_key, user_id, stored.email, stored.key, stored.key_id, stored.sealed)


async def _add(
    connection: PoolConnectionProxy, job: JobRow, address: str, emails: EmailCipher | None, user_id: int | None
) -> None:
    await put_within(connection, job.key, address, emails, user_id)
    await add_within(connection, [job])
