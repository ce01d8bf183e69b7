"""How the store of exports encrypts them: each with a key of its own, which is stored encrypted."""

from typing import Protocol


class PageCipher(Protocol):
    """The key of one export. A page decrypts under its number only."""

    def seal(self, page: bytes, number: int) -> bytes:
        """The encrypted page."""

    def open(self, sealed: bytes, number: int) -> bytes:
        """The page. May raise an error of the keys."""


class ExportCipher(Protocol):
    """``gateway.identity.exports.ExportEncryption``. Methods may raise an error of the keys."""

    @property
    def seals(self) -> bool:
        """Whether new exports are encrypted. Encrypted ones are always readable."""

    def new_key(self, export: int) -> tuple[str, bytes, PageCipher]:
        """A key for this export: (id of the data key, the key encrypted with that, the key)."""

    def key_of(self, export: int, key_id: str, sealed: bytes) -> PageCipher:
        """The key of this export."""
