"""The chain of an account's entries: each hash is that of the one before it and of what is in the entry.

Hash = SHA-256(previous hash ‖ text), text = the entry's fields as ASCII, joined by ``|``: numbers in decimal, ids in
lower-case hexadecimal, nothing for what is not there. The first entry's previous hash is SHA-256 of ``ece-ledger-v1``
and the account's 8-byte id. Anyone with the entries can check it.
"""

import hashlib

import msgspec


class Entry(msgspec.Struct, frozen=True):
    """One side of what was done. ``posted`` and ``held`` are the account's after it."""

    action: str
    transfer: bytes
    pending: bytes | None
    kind: str
    about: int | None
    at: int
    expires_at: int | None
    amount: int
    account: int
    seq: int
    posted: int
    held: int


def first_entry_hash(account: int) -> bytes:
    """What the first entry of an account is chained to."""
    return hashlib.sha256(b"ece-ledger-v1" + account.to_bytes(8, "big")).digest()


def entry_hash(previous: bytes, entry: Entry) -> bytes:
    """The hash of the entry that follows ``previous``."""
    return hashlib.sha256(previous + "|".join(map(_text, msgspec.structs.astuple(entry))).encode()).digest()


def _text(value: object) -> str:
    if value is None:
        return ""
    return value.hex() if isinstance(value, bytes) else str(value)
