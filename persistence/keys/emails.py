"""How stores encrypt e-mail addresses, and look encrypted ones up."""

from typing import Protocol


class EmailCipher(Protocol):
    """``gateway.identity.emails.EmailEncryption``. Methods may raise an error of the keys."""

    @property
    def seals(self) -> bool:
        """Whether new addresses are encrypted. Encrypted ones are always readable."""

    def index(self, key: str) -> str:
        """What stands in ``email_key`` in place of the key of an address (domain/users.py)."""

    def seal(self, address: str, index: str) -> tuple[str, bytes]:
        """(key id, encrypted address)."""

    def open(self, key_id: str, sealed: bytes, index: str) -> str:
        """The address."""
