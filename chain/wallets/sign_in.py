"""Checks what an outside wallet signed, over the bytes that the wallet returned."""

from solders.pubkey import Pubkey
from solders.signature import Signature

from domain.wallets.sign_in import MESSAGE_BYTES_MAX, InvalidMessage, SignIn, is_small_order, parse

SIGNATURE_BYTES = 64


class NotSigned(ValueError):
    """The signature is not the wallet's over these bytes, or the bytes are no sign-in message."""


def signed_message(address: Pubkey, message: bytes, signature: bytes) -> SignIn:
    """The fields of a message that the key of ``address`` signed. Raises NotSigned."""
    if len(message) > MESSAGE_BYTES_MAX:
        raise NotSigned(f"a message has at most {MESSAGE_BYTES_MAX} bytes")
    if is_small_order(bytes(address)):
        raise NotSigned("everybody can sign for this address")
    if len(signature) != SIGNATURE_BYTES or not Signature(signature).verify(address, message):
        raise NotSigned("the signature is not that of this address over these bytes")
    try:
        return parse(message.decode())
    except (UnicodeDecodeError, InvalidMessage) as fault:
        reason = str(fault) if isinstance(fault, InvalidMessage) else "it is not UTF-8"
        raise NotSigned(f"what was signed is no sign-in message: {reason}") from None
