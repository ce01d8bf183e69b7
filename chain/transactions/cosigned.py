"""Transactions that several people sign, one after the other, over hours: built here, checked byte for byte.

The message is stored when it is built. What a wallet gives back is compared with it and never parsed; the transaction
that is sent is put together from the stored message and the signatures over it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from solders.message import from_bytes_versioned, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from chain.bundle import Bundle
from chain.rpc.answers import RecentBlockhash
from chain.transactions.building import Fee, MissingSigner, compiled
from chain.transactions.nonce import Nonce
from chain.transactions.packing import BYTES_MAX, TRACE_MAX, TooLarge

SIGNATURE_BYTES = 64
# A nonce never expires.
_NO_HEIGHT = 2**63 - 1


class CosignRefused(ValueError):
    """What a wallet gave back can't be used."""


class MessageChanged(CosignRefused):
    """The wallet signed another transaction than the one that was built."""


class InvalidSignature(CosignRefused):
    """The signature is not one of this wallet over this message."""


class NotASigner(CosignRefused):
    """The transaction does not need this wallet's signature."""


@dataclass(frozen=True, slots=True)
class CosignedMessage:
    """What everybody signs. ``signers`` in the order of their signatures; the first one pays fees."""

    message: bytes
    signers: tuple[Pubkey, ...]

    def unsigned(self) -> bytes:
        """The transaction with empty signatures, as wallets take it."""
        return self._with([Signature.default()] * len(self.signers))

    def verified(self, signer: Pubkey, signed: bytes) -> Signature:
        """The signature of this wallet in the transaction that it gave back. Raises CosignRefused.

        Every byte except signatures has to be that of the message; signatures of others are not looked at.
        """
        if signer not in self.signers:
            raise NotASigner(str(signer))
        expected = self.unsigned()
        begin, end = self._signatures_at()
        if len(signed) != len(expected) or signed[:begin] != expected[:begin] or signed[end:] != expected[end:]:
            raise MessageChanged("it is not the transaction that was built")
        place = begin + SIGNATURE_BYTES * self.signers.index(signer)
        signature = Signature.from_bytes(signed[place : place + SIGNATURE_BYTES])
        self.check(signer, signature)
        return signature

    def check(self, signer: Pubkey, signature: Signature) -> None:
        """Raises CosignRefused unless this wallet signed this message."""
        if signer not in self.signers:
            raise NotASigner(str(signer))
        if not signature.verify(signer, self.message):
            raise InvalidSignature(str(signer))

    def assembled(self, signatures: Mapping[Pubkey, Signature]) -> bytes:
        """The transaction with everybody's signature, each checked again. Raises MissingSigner, CosignRefused."""
        for signer in self.signers:
            if signer not in signatures:
                raise MissingSigner(str(signer))
            self.check(signer, signatures[signer])
        return self._with([signatures[signer] for signer in self.signers])

    def _with(self, signatures: Sequence[Signature]) -> bytes:
        return bytes(VersionedTransaction.populate(from_bytes_versioned(self.message), list(signatures)))

    def _signatures_at(self) -> tuple[int, int]:
        """Version 0 has them between their number and the message, version 1 behind the message."""
        length = SIGNATURE_BYTES * len(self.signers)
        whole = len(self.unsigned())
        if self.message[0] == 0x80:
            return whole - len(self.message) - length, whole - len(self.message)
        return len(self.message), len(self.message) + length


def cosigned_message(payer: Pubkey, bundles: Sequence[Bundle], nonce: Nonce, fee: Fee, version: int) -> CosignedMessage:
    """Build it. It can land until the nonce has another value. Raises TooLarge, with the nonce counted."""
    blockhash = RecentBlockhash(nonce.account.value, _NO_HEIGHT)
    message = compiled(payer, bundles, blockhash, fee, version, [nonce.advance()])
    built = stored_message(bytes(to_bytes_versioned(message)))
    _check_fits(built, bundles, version)
    return built


def stored_message(message: bytes) -> CosignedMessage:
    """A message that was built and stored earlier."""
    read = from_bytes_versioned(message)
    return CosignedMessage(message, tuple(read.account_keys[: read.header.num_required_signatures]))


def _check_fits(message: CosignedMessage, bundles: Sequence[Bundle], version: int) -> None:
    """The advance of the nonce and the signature of its authority are counted, too."""
    size, trace = len(message.unsigned()), 1 + sum(one.trace_entries for one in bundles)
    if size > BYTES_MAX[version] or trace > TRACE_MAX:
        raise TooLarge(f"a transaction of {size} bytes, {trace} trace entries")
