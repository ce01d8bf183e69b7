"""Accounts and transactions as RPC servers write them."""

import base64
from typing import Any

from solders.account import Account
from solders.message import MessageV0, MessageV1
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from chain import base58
from chain.local.errors import INVALID_REQUEST, UNSUPPORTED_VERSION, RpcError
from chain.local.ledger.bank import Bank
from chain.local.ledger.landed import amount_json
from chain.local.methods.configs import AccountEncoding, DataSlice, TransactionEncoding
from chain.local.programs import TOKEN_PROGRAMS, is_mint, is_token_account, mint, token_account
from chain.local.state.store import StoredTransaction

BASE58_BYTES_MAX = 128


def account_json(
    bank: Bank, account: Account, encoding: AccountEncoding | None, data_slice: DataSlice | None = None
) -> dict[str, Any]:
    """An account. `jsonParsed` parses token accounts and mints, and is base64 for all others."""
    data = account.data
    content: object = None
    if encoding == "jsonParsed":
        content = _parsed(bank, account.owner, data)
    if content is None:
        content = _encoded(data if data_slice is None else _slice(data, data_slice), encoding)
    return {
        "lamports": account.lamports,
        "owner": str(account.owner),
        "executable": account.executable,
        "rentEpoch": account.rent_epoch,
        "space": len(data),
        "data": content,
    }


def transaction_json(
    stored: StoredTransaction, encoding: TransactionEncoding, version_max: int | None
) -> dict[str, Any]:
    """Transaction and metadata. Raises RpcError if the client doesn't know the version."""
    version = stored.version
    if isinstance(version, int) and (version_max is None or version > version_max):
        raise RpcError(
            UNSUPPORTED_VERSION,
            f"Transaction version ({version}) is not supported by the requesting client. Please try the request again "
            f'with the following configuration parameter: "maxSupportedTransactionVersion": {version}',
        )
    answer: dict[str, Any] = {"meta": stored.metadata, "transaction": _transaction(stored, encoding)}
    if version_max is not None:
        answer["version"] = version
    return answer


def _slice(data: bytes, part: DataSlice) -> bytes:
    return data[part.offset : part.offset + part.length]


def _encoded(data: bytes, encoding: AccountEncoding | None) -> object:
    if encoding in ("base64", "jsonParsed"):
        return [base64.b64encode(data).decode(), "base64"]
    if len(data) > BASE58_BYTES_MAX:
        raise RpcError(
            INVALID_REQUEST,
            f"Encoded binary (base 58) data should be less than {BASE58_BYTES_MAX} bytes, please use Base64 encoding.",
        )
    text = base58.encode(data)
    return [text, "base58"] if encoding == "base58" else text


def _parsed(bank: Bank, program: Pubkey, data: bytes) -> dict[str, Any] | None:
    if is_token_account(program, data):
        kind, info = "account", _token_account(bank, data)
    elif is_mint(program, data):
        kind, info = "mint", _mint(data)
    else:
        return None
    return {"program": TOKEN_PROGRAMS[program], "parsed": {"type": kind, "info": info}, "space": len(data)}


def _token_account(bank: Bank, data: bytes) -> dict[str, Any]:
    account = token_account(data)
    decimals = bank.decimals(account.mint)
    info: dict[str, Any] = {
        "mint": str(account.mint),
        "owner": str(account.owner),
        "tokenAmount": amount_json(account.amount, decimals),
        "state": account.state,
        "isNative": account.native_reserve is not None,
    }
    if account.native_reserve is not None:
        info["rentExemptReserve"] = amount_json(account.native_reserve, decimals)
    if account.delegate is not None:
        info["delegate"] = str(account.delegate)
        info["delegatedAmount"] = amount_json(account.delegated_amount, decimals)
    if account.close_authority is not None:
        info["closeAuthority"] = str(account.close_authority)
    return info


def _mint(data: bytes) -> dict[str, Any]:
    parsed = mint(data)
    return {
        "mintAuthority": _text(parsed.authority),
        "supply": str(parsed.supply),
        "decimals": parsed.decimals,
        "isInitialized": parsed.initialized,
        "freezeAuthority": _text(parsed.freeze_authority),
    }


def _text(address: Pubkey | None) -> str | None:
    return None if address is None else str(address)


def _transaction(stored: StoredTransaction, encoding: TransactionEncoding) -> object:
    if encoding == "base64":
        return [base64.b64encode(stored.raw).decode(), "base64"]
    if encoding in ("base58", "binary"):
        text = base58.encode(stored.raw)
        return [text, "base58"] if encoding == "base58" else text
    transaction = VersionedTransaction.from_bytes(stored.raw)
    message = _parsed_message if encoding == "jsonParsed" else _message
    return {
        "signatures": [str(signature) for signature in transaction.signatures],
        "message": message(transaction.message, stored.keys),
    }


def _message(message: Any, _keys: tuple[Pubkey, ...]) -> dict[str, Any]:
    header = message.header
    written: dict[str, Any] = {
        "header": {
            "numRequiredSignatures": header.num_required_signatures,
            "numReadonlySignedAccounts": header.num_readonly_signed_accounts,
            "numReadonlyUnsignedAccounts": header.num_readonly_unsigned_accounts,
        },
        "accountKeys": [str(key) for key in message.account_keys],
        "recentBlockhash": str(message.recent_blockhash),
        "instructions": [
            {
                "programIdIndex": instruction.program_id_index,
                "accounts": list(instruction.accounts),
                "data": base58.encode(bytes(instruction.data)),
                "stackHeight": 1,
            }
            for instruction in message.instructions
        ],
    }
    return written | _of_version(message)


def _parsed_message(message: Any, keys: tuple[Pubkey, ...]) -> dict[str, Any]:
    """Instructions are given as RPC servers give those of programs that they don't know."""
    header, count = message.header, len(message.account_keys)
    signers: int = header.num_required_signatures
    signers_writable: int = signers - header.num_readonly_signed_accounts
    writable: int = count - header.num_readonly_unsigned_accounts

    def is_writable(index: int) -> bool:
        return index < signers_writable if index < signers else index < writable

    written: dict[str, Any] = {
        "accountKeys": [
            {"pubkey": str(key), "signer": index < signers, "writable": is_writable(index), "source": "transaction"}
            for index, key in enumerate(message.account_keys)
        ],
        "recentBlockhash": str(message.recent_blockhash),
        "instructions": [
            {
                "programId": str(keys[instruction.program_id_index]),
                "accounts": [str(keys[index]) for index in instruction.accounts if index < len(keys)],
                "data": base58.encode(bytes(instruction.data)),
                "stackHeight": 1,
            }
            for instruction in message.instructions
        ],
    }
    return written | _of_version(message)


def _of_version(message: Any) -> dict[str, Any]:
    if isinstance(message, MessageV0):
        lookups = [
            {
                "accountKey": str(lookup.account_key),
                "writableIndexes": list(lookup.writable_indexes),
                "readonlyIndexes": list(lookup.readonly_indexes),
            }
            for lookup in message.address_table_lookups
        ]
        return {"addressTableLookups": lookups}
    if isinstance(message, MessageV1):
        config = message.config
        return {
            "transactionConfig": {
                "priorityFee": config.priority_fee,
                "computeUnitLimit": config.compute_unit_limit,
                "loadedAccountsDataSizeLimit": config.loaded_accounts_data_size_limit,
                "heapSize": config.heap_size,
            }
        }
    return {}
