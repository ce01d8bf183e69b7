"""E-mail addresses at rest: encrypted with the data keys, and looked up by a keyed hash."""

from dataclasses import dataclass

from chain.wallets.envelope import EnvelopeCipher

_CONTEXT = b"ece-email-v1\0"


def email_context(index: str) -> bytes:
    """The context of an encrypted address: it decrypts in the row with this index only."""
    return _CONTEXT + index.encode()


@dataclass(frozen=True)
class EmailEncryption:
    """``persistence.keys.emails.EmailCipher``. ``seals``: the setting."""

    cipher: EnvelopeCipher
    seals: bool

    def index(self, key: str) -> str:
        """The keyed hash of an address's key."""
        return self.cipher.email_index(key)

    def seal(self, address: str, index: str) -> tuple[str, bytes]:
        """(key id, encrypted address)."""
        sealed = self.cipher.seal(address.encode(), email_context(index))
        return sealed.key_id, sealed.sealed

    def open(self, key_id: str, sealed: bytes, index: str) -> str:
        """The address. Raises CannotDecrypt."""
        return self.cipher.open(key_id, sealed, email_context(index)).decode()
