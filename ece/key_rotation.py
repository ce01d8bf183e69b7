"""Rotation of data keys: everything that is encrypted is encrypted again, page by page, while the engine runs.

A page is one statement that changes only what is still as it was read. So a rotation that dies goes on where it was,
two at once do no harm, and a value that a user changes meanwhile stays as the user made it.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from chain.wallets.custody import wallet_context
from chain.wallets.envelope import EnvelopeCipher
from gateway.identity.emails import email_context
from gateway.identity.exports import export_context
from gateway.identity.second_factor import factor_context
from gateway.identity.signing_keys import signing_key_context
from persistence.identity.emails import OF_IDENTITIES, OF_MAILS, OF_USERS
from persistence.keys.sealed_values import SealedColumns, SealedValue, SealedValues
from persistence.postgres.pool import Pool

PAGE = 500


@dataclass(frozen=True)
class Encrypted:
    """A kind of encrypted values. ``context(row, *about)`` is what a value was encrypted with."""

    name: str
    columns: SealedColumns
    context: Callable[..., bytes]


def _of_email(_row: int | str, index: str) -> bytes:
    return email_context(index)


# All that is encrypted in the database. A new kind is a line here.
ENCRYPTED = (
    Encrypted("custodial wallets", SealedColumns("custodial_wallets", about=("address",)), wallet_context),
    Encrypted("second factors", SealedColumns("second_factors"), factor_context),
    Encrypted(
        "signing keys", SealedColumns("signing_keys", row="kid", row_type="text", first_row=""), signing_key_context
    ),
    Encrypted("e-mail addresses", OF_USERS, _of_email),
    Encrypted("addresses of mails", OF_MAILS, _of_email),
    Encrypted("addresses of identities", OF_IDENTITIES, _of_email),
    Encrypted("exports", SealedColumns("user_exports", row="export_id"), export_context),
)


async def counts_by_key(pool: Pool) -> dict[str, dict[str, int]]:
    """How many values of each kind each key has encrypted: by kind and key. May raise StoreUnavailable."""
    return {kind.name: await SealedValues(pool, kind.columns).counts() for kind in ENCRYPTED}


async def encrypt_again(pool: Pool, cipher: EnvelopeCipher) -> AsyncIterator[tuple[str, int]]:
    """Encrypt all values with the key of the cipher; yields (kind, how many) for each page.

    Raises CannotDecrypt at the first value that no key decrypts, and StoreUnavailable; what was done stays.
    """
    for kind in ENCRYPTED:
        values, after = SealedValues(pool, kind.columns), kind.columns.first_row
        while page := await values.not_of(cipher.key_id, after, PAGE):
            await values.replace([(value, _again(value, kind, cipher)) for value in page])
            after = page[-1].row
            yield kind.name, len(page)


def _again(value: SealedValue, kind: Encrypted, cipher: EnvelopeCipher) -> SealedValue:
    about: tuple[Any, ...] = (value.row, *value.about)
    context = kind.context(*about)
    sealed = cipher.seal(cipher.open(value.key_id, value.sealed, context), context)
    return SealedValue(value.row, value.about, sealed.key_id, sealed.sealed)
