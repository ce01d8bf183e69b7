"""Exports of users' data at rest: encrypted with a key for each, so that rotation of data keys changes no page."""

import secrets
from dataclasses import dataclass

from chain.wallets.cipher import KeyCipher
from chain.wallets.envelope import EnvelopeCipher
from persistence.keys.exports import PageCipher

SECRET_BYTES = 32
_CONTEXT = b"ece-export-v1\0"


def export_context(export: int) -> bytes:
    """The context of the encrypted key of an export."""
    return _CONTEXT + str(export).encode()


@dataclass(frozen=True)
class ExportEncryption:
    """``persistence.keys.exports.ExportCipher``. ``seals``: the setting of addresses."""

    cipher: EnvelopeCipher
    seals: bool

    def new_key(self, export: int) -> tuple[str, bytes, PageCipher]:
        """(id of the data key, the encrypted key, the key). Raises CannotDecrypt where no data key is usable."""
        secret = secrets.token_urlsafe(SECRET_BYTES)
        sealed = self.cipher.seal(secret.encode(), export_context(export))
        return sealed.key_id, sealed.sealed, _Pages(secret)

    def key_of(self, export: int, key_id: str, sealed: bytes) -> PageCipher:
        """The key of this export. Raises CannotDecrypt."""
        return _Pages(self.cipher.open(key_id, sealed, export_context(export)).decode())


class _Pages:
    def __init__(self, secret: str) -> None:
        self._key = KeyCipher(lambda: [secret])

    def seal(self, page: bytes, number: int) -> bytes:
        return self._key.seal(page, str(number).encode()).sealed

    def open(self, sealed: bytes, number: int) -> bytes:
        return self._key.open(self._key.key_id, sealed, str(number).encode())
