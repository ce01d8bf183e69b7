"""Builds and signs transactions of version 1, or 0 where a chain does not take it."""

from collections.abc import Sequence
from dataclasses import dataclass

from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.instruction import Instruction
from solders.message import MessageV0, MessageV1, TransactionConfig, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from chain.bundle import Bundle
from chain.rpc.answers import RecentBlockhash
from chain.signing import Signer

MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class Fee:
    """The limit of compute units, and what is paid for each in micro-lamports."""

    compute_units: int
    unit_price: int = 0


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """Ready to be sent. It can land up to ``last_valid_height``."""

    signature: Signature
    raw: bytes
    last_valid_height: int


class MissingSigner(Exception):
    """A bundle needs the signature of a key that was not given."""


async def build(
    payer: Signer, signers: Sequence[Signer], bundles: Sequence[Bundle], blockhash: RecentBlockhash, fee: Fee,
    version: int = 1,
) -> SignedTransaction:  # fmt: skip
    """One transaction of these bundles. Raises MissingSigner, SignerUnavailable, SignerRefused."""
    message = compiled(payer.address, bundles, blockhash, fee, version)
    known = {one.address: one for one in (*signers, payer)}
    content = to_bytes_versioned(message)
    signatures = []
    for address in message.account_keys[: message.header.num_required_signatures]:
        if address not in known:
            raise MissingSigner(str(address))
        signatures.append(await known[address].sign(content))
    raw = bytes(VersionedTransaction.populate(message, signatures))
    return SignedTransaction(signatures[0], raw, blockhash.last_valid_height)


def compiled(
    payer: Pubkey, bundles: Sequence[Bundle], blockhash: RecentBlockhash, fee: Fee, version: int,
    first: Sequence[Instruction] = (),
) -> MessageV0 | MessageV1:  # fmt: skip
    """The message that the signers sign. ``first``: what has to be before everything, as the advance of a nonce."""
    instructions = [one for bundle in bundles for one in bundle.instructions]
    if version == 1:
        config = TransactionConfig(
            priority_fee=fee.compute_units * fee.unit_price // MICRO, compute_unit_limit=fee.compute_units
        )
        return MessageV1.try_compile(payer, [*first, *instructions], blockhash.blockhash, config)
    budget = [set_compute_unit_limit(fee.compute_units), set_compute_unit_price(fee.unit_price)]
    return MessageV0.try_compile(payer, [*first, *budget, *instructions], [], blockhash.blockhash)
