"""Keys that sign messages, behind one interface: a key in this process, or one that a remote signer holds."""

from typing import Protocol

from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.signature import Signature


class SignerUnavailable(Exception):
    """The signer of ``address`` did not answer: nothing is known to be wrong with the message, and it can be signed
    later."""

    def __init__(self, text: str, address: Pubkey) -> None:
        super().__init__(text, address)
        self.address = address

    def __str__(self) -> str:
        return str(self.args[0])


class SignerRefused(Exception):
    """The policy of the signer does not allow this message: signing it again does not help."""


class Signer(Protocol):
    """One ed25519 key. ``address`` is its public key."""

    @property
    def address(self) -> Pubkey: ...

    async def sign(self, message: bytes) -> Signature:
        """The signature over these bytes. May raise SignerUnavailable, SignerRefused."""
        ...


class LocalSigner:
    """A key in the memory of this process."""

    def __init__(self, keypair: Keypair) -> None:
        self._keypair = keypair

    @property
    def address(self) -> Pubkey:
        return self._keypair.pubkey()

    async def sign(self, message: bytes) -> Signature:
        return self._keypair.sign_message(message)

    def __repr__(self) -> str:
        return f"LocalSigner({self.address})"
