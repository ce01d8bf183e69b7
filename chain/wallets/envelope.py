"""Envelope encryption: data keys encrypt values, master keys encrypt ("wrap") the data keys.

Data keys are random and stand, wrapped, in the database; master keys come from secrets outside of it. So a new master
key changes some rows of one table, and no value. Values that a master key itself has encrypted, as before data keys,
stay readable.
"""

import hashlib
import hmac
import os
from collections.abc import Callable, Sequence

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chain.wallets.cipher import KEY_BYTES, NONCE_BYTES, CannotDecrypt, KeyCipher, Sealed, decrypted
from domain.data_keys import EMAIL_INDEX, VALUES, WrappedKey, newest_usable

_CONTEXT = b"ece-data-key-v1\0"


class EnvelopeCipher(KeyCipher):
    """Encrypts with the newest usable data key; ``install`` gives it the keys. ``now_ms``: the clock."""

    def __init__(self, secrets: Callable[[], Sequence[str]], now_ms: Callable[[], int]) -> None:
        super().__init__(secrets)
        self._now_ms = now_ms
        self._rows: dict[str, WrappedKey] = {}
        self._data_keys: dict[str, bytes] = {}

    @property
    def key_id(self) -> str:
        """The data key that encrypts. Raises CannotDecrypt where none is usable."""
        newest = newest_usable((self._rows[key_id] for key_id in self._data_keys), self._now_ms())
        if newest is None:
            raise CannotDecrypt("there is no data key")
        return newest.key_id

    @property
    def master_id(self) -> str:
        """The master key that wraps new data keys."""
        return super().key_id

    def known_masters(self) -> list[str]:
        """The ids of all master keys, the newest first."""
        return list(self._keys)

    def install(self, rows: Sequence[WrappedKey]) -> list[str]:
        """Use these data keys, and no others; returns the ids of those that no master key unwraps."""
        keys, lost = {}, []
        for row in rows:
            try:
                keys[row.key_id] = self._data_keys.get(row.key_id) or self.unwrap(row)
            except CannotDecrypt:
                lost.append(row.key_id)
        self._data_keys, self._rows = keys, {row.key_id: row for row in rows}
        return lost

    def seal(self, value: bytes, context: bytes) -> Sealed:
        """Encrypt with the newest usable data key. Raises CannotDecrypt where none is usable."""
        key_id, nonce = self.key_id, os.urandom(NONCE_BYTES)
        return Sealed(key_id, nonce + AESGCM(self._data_keys[key_id]).encrypt(nonce, value, context))

    def open(self, key_id: str, sealed: bytes, context: bytes) -> bytes:
        """Decrypt. Raises CannotDecrypt."""
        key = self._data_keys.get(key_id)
        if key is None:
            return super().open(key_id, sealed, context)
        return decrypted(AESGCM(key), sealed, context)

    def email_index(self, canonical: str) -> str:
        """The keyed hash by which an encrypted address is looked up. Raises CannotDecrypt without its key."""
        for key_id, key in self._data_keys.items():
            if self._rows[key_id].purpose == EMAIL_INDEX:
                return "hmac:" + hmac.new(key, canonical.encode(), hashlib.sha256).hexdigest()
        raise CannotDecrypt("there is no key of the index of addresses")

    def new_data_key(self, usable_from: int, purpose: str = VALUES) -> WrappedKey:
        """A new data key, wrapped by the newest master key."""
        key_id = f"data-{os.urandom(8).hex()}"
        return self._wrapped(WrappedKey(key_id, purpose, "", b"", usable_from), os.urandom(KEY_BYTES))

    def rewrapped(self, row: WrappedKey) -> WrappedKey:
        """The same data key, wrapped by the newest master key. Raises CannotDecrypt."""
        return self._wrapped(row, self.unwrap(row))

    def unwrap(self, row: WrappedKey) -> bytes:
        """The data key itself. Raises CannotDecrypt."""
        return super().open(row.master_id, row.wrapped, _context(row))

    def _wrapped(self, row: WrappedKey, key: bytes) -> WrappedKey:
        sealed = super().seal(key, _context(row))
        return WrappedKey(row.key_id, row.purpose, sealed.key_id, sealed.sealed, row.usable_from)

    def __repr__(self) -> str:
        return f"EnvelopeCipher({len(self._data_keys)} data keys)"


def _context(row: WrappedKey) -> bytes:
    return _CONTEXT + f"{row.purpose}\0{row.key_id}".encode()
