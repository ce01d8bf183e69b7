"""E-mail addresses of users as they are stored: as they are, or encrypted."""

from collections.abc import Sequence
from dataclasses import replace

import asyncpg
import msgspec

from domain.users import RESERVED_DOMAIN, email_key
from persistence.keys.emails import EmailCipher
from persistence.keys.sealed_values import SealedColumns
from persistence.postgres.guard import guarded

# The columns of an address, in every table that has some.
ADDRESS_COLUMNS = "email, email_key, email_key_id, email_sealed"


class StoredEmail(msgspec.Struct, frozen=True):
    """The columns of an address. ``email`` is empty where it is encrypted."""

    email: str
    key: str
    key_id: str | None = None
    sealed: bytes | None = None


def stored_email(address: str, emails: EmailCipher | None) -> StoredEmail:
    """The columns of this address, as the setting says."""
    key = _key_of(address)
    if emails is None or not emails.seals or address.endswith(RESERVED_DOMAIN):
        return StoredEmail(address, key)
    index = emails.index(key)
    return StoredEmail("", index, *emails.seal(address, index))


def _key_of(address: str) -> str:
    # A provider of log-ins may name an address that is none by our rules: nobody looks it up.
    try:
        return email_key(address)
    except ValueError:
        return address.lower()


def email_keys(key: str, emails: EmailCipher | None) -> list[str]:
    """All that may stand in ``email_key`` for the key of an address: it may be encrypted or not."""
    return [key] if emails is None else [key, emails.index(key)]


def address_in(row: asyncpg.Record, emails: EmailCipher | None) -> str:
    """The address of a row with its columns. Without ``emails`` an encrypted one is empty."""
    if row["email_sealed"] is not None and emails is not None:
        return emails.open(row["email_key_id"], row["email_sealed"], row["email_key"])
    return str(row["email"])


def address_or_none_in(row: asyncpg.Record, emails: EmailCipher | None) -> str | None:
    """The same of a row that may have none."""
    return None if row["email_key"] is None else address_in(row, emails)


# Where addresses stand, each with the columns of a StoredEmail.
OF_USERS = SealedColumns("users", key_id="email_key_id", sealed="email_sealed", about=("email_key",))
OF_MAILS = replace(OF_USERS, table="mail_addresses", row="job_key", row_type="text", first_row="")
OF_IDENTITIES = replace(OF_USERS, table="identities", row="identity_id")
ALL_ADDRESSES = (OF_USERS, OF_MAILS, OF_IDENTITIES)


class EmailForms:
    """Changes the form of the addresses of a table, page by page. Every method may raise StoreUnavailable."""

    def __init__(self, pool: asyncpg.Pool, emails: EmailCipher, where: SealedColumns) -> None:
        self._pool = pool
        self._emails = emails
        # Users that replays act as have addresses that nobody writes to.
        self._page = f"""
            SELECT {where.row}, {ADDRESS_COLUMNS} FROM {where.table}
            WHERE (email_sealed IS NULL) = $1 AND (email <> '' OR email_sealed IS NOT NULL)
                AND email NOT LIKE '%.invalid' AND {where.row} > $2 ORDER BY {where.row} LIMIT $3
        """
        self._change = f"""
            UPDATE {where.table} t SET email = given.email, email_key = given.key, email_key_id = given.key_id,
                email_sealed = given.sealed
            FROM unnest($1::{where.row_type}[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::text[])
                AS given (its_row, email, key, key_id, sealed, before)
            WHERE t.{where.row} = given.its_row AND t.email_key = given.before
        """

    async def change_page(self, after: int | str, limit: int) -> tuple[int, int | str]:
        """Bring the next addresses into the form that the setting says: (how many, the last row), or (0, after)."""
        rows = await guarded(self._pool.fetch(self._page, self._emails.seals, after, limit))
        if not rows:
            return 0, after
        await guarded(self._pool.execute(self._change, *zip(*map(self._changed, rows), strict=True)))
        return len(rows), rows[-1][0]

    def _changed(self, row: asyncpg.Record) -> Sequence[object]:
        address: str = row["email"]
        if row["email_sealed"] is not None:
            address = self._emails.open(row["email_key_id"], row["email_sealed"], row["email_key"])
        new = stored_email(address, self._emails)
        return row[0], new.email, new.key, new.key_id, new.sealed, row["email_key"]
