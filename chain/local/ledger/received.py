"""A transaction as a client has sent it: decoded, within the limits of its version, with verified signatures."""

import base64
import binascii
from dataclasses import dataclass

from solders.hash import Hash
from solders.message import Message, MessageV0, MessageV1
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from chain import base58
from chain.local.errors import INVALID_PARAMS, SIGNATURE_VERIFICATION_FAILURE, RpcError
from chain.local.programs import ADVANCE_NONCE, SYSTEM

BYTES_MAX = {"legacy": 1232, 0: 1232, 1: 4096}
AnyMessage = Message | MessageV0 | MessageV1
Version = int | str


@dataclass(frozen=True, slots=True)
class Received:
    """`keys` are those in the message; addresses of look-up tables are added by the bank."""

    transaction: VersionedTransaction
    raw: bytes
    signature: Signature
    message: AnyMessage
    version: Version
    keys: tuple[Pubkey, ...]
    writable: tuple[Pubkey, ...]

    @property
    def blockhash(self) -> Hash:
        return self.message.recent_blockhash

    def nonce_account(self) -> Pubkey | None:
        """The account whose nonce stands in for a blockhash, if the first instruction advances one."""
        instructions = self.message.instructions
        if not instructions or len(instructions[0].accounts) < 3:
            return None
        first = instructions[0]
        if self.keys[first.program_id_index] != SYSTEM or bytes(first.data)[:4] != ADVANCE_NONCE:
            return None
        index = first.accounts[0]
        return self.keys[index] if index < len(self.keys) and self.keys[index] in self.writable else None


def received(text: str, encoding: str) -> Received:
    """Raises RpcError for what is not a transaction or too large. Signatures are not looked at."""
    raw = _bytes_of(text, encoding)
    try:
        transaction = VersionedTransaction.from_bytes(raw)
        version = _version_of(transaction)
        transaction.sanitize()
    except Exception as error:
        raise RpcError(INVALID_PARAMS, f"failed to deserialize transaction: {error}") from error
    if len(raw) > BYTES_MAX[version]:
        raise _too_large(len(raw), BYTES_MAX[version])
    if bytes(transaction) != raw:
        raise RpcError(INVALID_PARAMS, "failed to deserialize transaction: bytes follow it")
    message: AnyMessage = transaction.message
    keys = tuple(message.account_keys)
    return Received(transaction, raw, transaction.signatures[0], message, version, keys, _writable(message, keys))


def verify(transaction: Received) -> None:
    """Raises RpcError unless every signature is right."""
    if not all(transaction.transaction.verify_with_results()):
        raise RpcError(SIGNATURE_VERIFICATION_FAILURE, "Transaction signature verification failure")


def _version_of(transaction: VersionedTransaction) -> Version:
    version = transaction.version()
    return version if isinstance(version, int) else "legacy"


def _bytes_of(text: str, encoding: str) -> bytes:
    if len(text) > 2 * BYTES_MAX[1]:
        raise _too_large(len(text) * 3 // 4, BYTES_MAX[1])
    try:
        return base64.b64decode(text, validate=True) if encoding == "base64" else base58.decode(text)
    except (ValueError, binascii.Error) as error:
        raise RpcError(INVALID_PARAMS, f"invalid {encoding} encoding: {error}") from error


def _too_large(size: int, limit: int) -> RpcError:
    return RpcError(INVALID_PARAMS, f"decoded transaction too large: {size} bytes (max: {limit} bytes)")


def _writable(message: AnyMessage, keys: tuple[Pubkey, ...]) -> tuple[Pubkey, ...]:
    header = message.header
    signers, count = header.num_required_signatures, len(keys)
    unsigned_end = count - header.num_readonly_unsigned_accounts
    return keys[: signers - header.num_readonly_signed_accounts] + keys[signers:unsigned_end]
