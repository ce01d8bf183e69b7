"""The transaction by which an outside wallet sends USDC or a card into custody. That wallet alone signs it.

It is a function of what is sent, the blockhash and the price of a compute unit. So whatever a wallet has signed can be
compared with what is built again from these: nothing has to be stored meanwhile.
"""

import struct
from dataclasses import dataclass

from solders.hash import Hash
from solders.message import MessageV0, to_bytes_versioned
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from chain.rpc.answers import RecentBlockhash
from chain.transactions.building import Fee, compiled
from chain.transactions.cosigned import CosignedMessage, MessageChanged, stored_message
from chain.transactions.swap import AssetLeg, TokenLeg, leg_bundle

# More is never offered, however busy the chain is: at 120,000 units that is 0.0012 SOL.
UNIT_PRICE_MAX = 10_000_000
# The instructions that set limit and price.
_OTHER_UNITS = 3_000
_SET_UNIT_PRICE = struct.Struct("<BQ")
_SET_UNIT_PRICE_TAG = 3
# Wallets sign it.
_VERSION = 0
_NO_HEIGHT = 0

DepositLeg = TokenLeg | AssetLeg


@dataclass(frozen=True, slots=True)
class SignedDeposit:
    """What the chain takes. ``blockhash`` decides until when it can land."""

    raw: bytes
    signature: Signature
    blockhash: Hash


def deposit_message(leg: DepositLeg, blockhash: Hash, unit_price: int) -> CosignedMessage:
    """What the wallet signs. It pays the fee, and the rent of an account that custody lacks."""
    bundle = leg_bundle(leg.giver, leg)
    fee = Fee(bundle.compute_units + _OTHER_UNITS, min(unit_price, UNIT_PRICE_MAX))
    message = compiled(leg.giver, [bundle], RecentBlockhash(blockhash, _NO_HEIGHT), fee, _VERSION)
    return stored_message(bytes(to_bytes_versioned(message)))


def signed_deposit(leg: DepositLeg, raw: bytes) -> SignedDeposit:
    """A transaction that the wallet gave back. Raises CosignRefused unless it is that of this leg, and signed."""
    try:
        message = VersionedTransaction.from_bytes(raw).message
    except ValueError:
        raise MessageChanged("no transaction can be read") from None
    if not isinstance(message, MessageV0):
        raise MessageChanged("it is of another version")
    built = deposit_message(leg, message.recent_blockhash, _unit_price(message))
    signature = built.verified(leg.giver, raw)
    return SignedDeposit(built.assembled({leg.giver: signature}), signature, message.recent_blockhash)


def _unit_price(message: MessageV0) -> int:
    """What this message pays for a unit; 0 if it does not say so."""
    for instruction in message.instructions:
        data = bytes(instruction.data)
        if len(data) == _SET_UNIT_PRICE.size and data[0] == _SET_UNIT_PRICE_TAG:
            price: int = _SET_UNIT_PRICE.unpack(data)[1]
            return price
    return 0
