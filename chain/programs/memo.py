"""The memo program: text in the log of a transaction."""

import base64
from collections.abc import Sequence
from typing import Any

import msgspec
from solders.errors import BincodeError
from solders.instruction import AccountMeta, CompiledInstruction, Instruction
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from chain.programs.addresses import MEMO
from chain.rpc.client import ChainRpc
from chain.rpc.errors import InvalidAnswer

# Longer ones cost too many compute units.
BYTES_MAX = 566
UNREADABLE = (ValueError, BincodeError, IndexError)


def memo(text: bytes, signers: Sequence[Pubkey] = ()) -> Instruction:
    """A memo, UTF-8, that these sign."""
    return Instruction(MEMO, text, [AccountMeta(one, True, False) for one in signers])


class SignedMemo(msgspec.Struct, frozen=True):
    """A memo in a transaction, and the addresses that signed it."""

    text: str
    signers: tuple[str, ...]


class FinalMemos(msgspec.Struct, frozen=True):
    """The memos of a final transaction that succeeded."""

    slot: int
    memos: tuple[SignedMemo, ...]


class _Meta(msgspec.Struct):
    err: Any = None


class _Transaction(msgspec.Struct):
    slot: int
    transaction: tuple[str, str]
    meta: _Meta | None = None


async def final_memos(rpc: ChainRpc, signature: str) -> FinalMemos | None:
    """The memos of a transaction; None if the endpoint knows no final one that succeeded. May raise ChainError.

    The bytes of the transaction are read, and its signatures verified: an endpoint can't invent a memo.
    """
    options = {"commitment": "finalized", "encoding": "base64", "maxSupportedTransactionVersion": 1}
    kind: Any = _Transaction | None
    found: _Transaction | None = await rpc.call("getTransaction", [signature, options], kind)
    if found is None or found.meta is None or found.meta.err is not None:
        return None
    try:
        transaction = VersionedTransaction.from_bytes(base64.b64decode(found.transaction[0], validate=True))
        signed = all(transaction.verify_with_results()) and str(transaction.signatures[0]) == signature
        memos = _memos_of(transaction)
    except UNREADABLE:
        raise InvalidAnswer("getTransaction: a transaction that can't be read") from None
    if not signed:
        raise InvalidAnswer("getTransaction: a transaction with a wrong signature")
    return FinalMemos(found.slot, memos)


def _memos_of(transaction: VersionedTransaction) -> tuple[SignedMemo, ...]:
    message = transaction.message
    keys, signers = message.account_keys, message.header.num_required_signatures

    def read(instruction: CompiledInstruction) -> SignedMemo:
        places = [place for place in instruction.accounts if place < signers]
        return SignedMemo(bytes(instruction.data).decode(), tuple(str(keys[place]) for place in places))

    return tuple(read(one) for one in message.instructions if keys[one.program_id_index] == MEMO)
