"""Switching a whole PostgreSQL server between taking writes and refusing them."""

import asyncpg

from persistence.postgres.guard import guard

TIMEOUT_S = 5.0
_READ_ONLY = "ALTER SYSTEM SET default_transaction_read_only = on"
_READ_WRITE = "ALTER SYSTEM RESET default_transaction_read_only"


async def set_read_only(database_url: str, *, read_only: bool) -> None:
    """Have every session refuse writes, or take them again, from its next transaction on.

    The server keeps this over a restart. Needs a superuser. Raises StoreUnavailable.
    """
    async with guard():
        connection = await asyncpg.connect(database_url, timeout=TIMEOUT_S)
        try:
            await connection.execute(_READ_ONLY if read_only else _READ_WRITE, timeout=TIMEOUT_S)
            await connection.execute("SELECT pg_reload_conf()", timeout=TIMEOUT_S)
        finally:
            await connection.close(timeout=TIMEOUT_S)
