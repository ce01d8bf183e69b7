"""What a message says, for people, before it is signed: payer, signers, programs, instructions. Nothing is signed."""

import base64
import binascii
from collections.abc import Mapping

import msgspec
from solders.instruction import CompiledInstruction
from solders.message import Message, MessageHeader, MessageV0, MessageV1, from_bytes_versioned
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

BYTES_MAX = 4_096

_SYSTEM, _TOKEN, _TOKEN_2022 = (
    "11111111111111111111111111111111",
    "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
    "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb",
)
_MEMO = "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr"
_PROGRAMS = {
    _SYSTEM: "System",
    _TOKEN: "Token",
    _TOKEN_2022: "Token-2022",
    _MEMO: "Memo",
    "ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL": "Associated Token",
    "ComputeBudget111111111111111111111111111111": "Compute Budget",
    "CoREENxT6tW1HoK8ypY1SxRMZTcVPm7R94rH4PZNhX7d": "Metaplex Core",
}
# By the first byte of an instruction: https://github.com/solana-program/token-2022/blob/main/interface.
_TOKEN_NAMES = {
    0: "InitializeMint", 1: "InitializeAccount", 3: "Transfer", 4: "Approve", 5: "Revoke", 6: "SetAuthority",
    7: "MintTo", 8: "Burn", 9: "CloseAccount", 10: "FreezeAccount", 11: "ThawAccount", 12: "TransferChecked",
    13: "ApproveChecked", 14: "MintToChecked", 15: "BurnChecked", 18: "InitializeAccount3", 20: "InitializeMint2",
    22: "InitializeImmutableOwner", 39: "MetadataPointer", 40: "GroupPointer", 41: "GroupMemberPointer",
}  # fmt: skip
# By the first four bytes.
_SYSTEM_NAMES = {
    0: "CreateAccount", 1: "Assign", 2: "Transfer", 3: "CreateAccountWithSeed", 4: "AdvanceNonceAccount",
    5: "WithdrawNonceAccount", 6: "InitializeNonceAccount", 8: "Allocate", 9: "AllocateWithSeed",
    11: "TransferWithSeed",
}  # fmt: skip
_TRANSFER_CHECKED = 12
_SYSTEM_TRANSFER = 2


class NotAMessage(ValueError):
    """These bytes are no message and no transaction."""


class DecodedInstruction(msgspec.Struct, frozen=True):
    """One instruction. ``name`` is None where it is not known; ``detail`` has amounts or the text of a memo."""

    program: str
    name: str | None
    detail: str | None
    accounts: list[str]
    data: str


class DecodedMessage(msgspec.Struct, frozen=True):
    """A message. Addresses that have a name are shown with it; ``signers`` begin with the payer of the fees."""

    version: str
    size: int
    signers: list[str]
    writable: list[str]
    blockhash: str
    instructions: list[DecodedInstruction]
    # Tables whose addresses the message loads: they are not shown.
    lookup_tables: list[str]


def message_bytes(text: str) -> bytes:
    """The bytes of a message or transaction in base64. Raises NotAMessage."""
    try:
        raw = base64.b64decode("".join(text.split()), validate=True)
    except (ValueError, binascii.Error):
        raise NotAMessage("this is not base64") from None
    if not 0 < len(raw) <= BYTES_MAX:
        raise NotAMessage(f"a transaction has at most {BYTES_MAX} bytes")
    return raw


def decoded(raw: bytes, names: Mapping[str, str]) -> DecodedMessage:
    """A message, or the message of a transaction, with the names of known addresses. Raises NotAMessage."""
    message = _message(raw)
    keys = message.account_keys
    required = message.header.num_required_signatures
    tables = message.address_table_lookups if isinstance(message, MessageV0) else []
    return DecodedMessage(
        {Message: "legacy", MessageV0: "v0", MessageV1: "v1"}[type(message)],
        len(raw),
        [_named(key, names) for key in keys[:required]],
        [_named(key, names) for index, key in enumerate(keys) if _is_writable(index, len(keys), message.header)],
        str(message.lifetime_specifier if isinstance(message, MessageV1) else message.recent_blockhash),
        [_instruction(one, keys, names) for one in message.instructions],
        [str(table.account_key) for table in tables],
    )


def _message(raw: bytes) -> Message | MessageV0 | MessageV1:
    for read in (_of_transaction, from_bytes_versioned):
        try:
            message = read(raw)
        except ValueError:
            continue
        if message.instructions and message.account_keys:
            return message
    raise NotAMessage("these bytes are no message and no transaction")


def _of_transaction(raw: bytes) -> Message | MessageV0 | MessageV1:
    transaction = VersionedTransaction.from_bytes(raw)
    if not transaction.signatures or bytes(transaction) != raw:
        raise ValueError
    return transaction.message


def _is_writable(index: int, keys: int, header: MessageHeader) -> bool:
    """Read-only keys stand at the end of the signers, and at the end of the others."""
    if index < header.num_required_signatures:
        return index < header.num_required_signatures - header.num_readonly_signed_accounts
    return index < keys - header.num_readonly_unsigned_accounts


def _instruction(one: CompiledInstruction, keys: list[Pubkey], names: Mapping[str, str]) -> DecodedInstruction:
    program = _at(keys, one.program_id_index)
    name, detail = _read(program, bytes(one.data))
    accounts = [_named(keys[index], names) if index < len(keys) else f"table entry {index}" for index in one.accounts]
    return DecodedInstruction(_PROGRAMS.get(program, program), name, detail, accounts, bytes(one.data).hex())


def _read(program: str, data: bytes) -> tuple[str | None, str | None]:
    if program == _MEMO:
        return "Memo", data.decode(errors="replace")
    if program == _SYSTEM and len(data) >= 4:
        kind = int.from_bytes(data[:4], "little")
        lamports = int.from_bytes(data[4:12], "little")
        return _SYSTEM_NAMES.get(kind), f"{lamports:,} lamports" if kind == _SYSTEM_TRANSFER else None
    if program in (_TOKEN, _TOKEN_2022) and data:
        amount = int.from_bytes(data[1:9], "little")
        detail = f"{amount:,} base units" if data[0] == _TRANSFER_CHECKED and len(data) >= 10 else None
        return _TOKEN_NAMES.get(data[0]), detail
    return None, None


def _at(keys: list[Pubkey], index: int) -> str:
    return str(keys[index]) if index < len(keys) else f"table entry {index}"


def _named(address: Pubkey, names: Mapping[str, str]) -> str:
    name = names.get(str(address)) or _PROGRAMS.get(str(address))
    return f"{address} ({name})" if name else str(address)
