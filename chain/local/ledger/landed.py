"""A transaction that is part of a block, and the metadata that RPC servers give of it."""

from dataclasses import dataclass, field
from typing import Any

from solders.account import Account
from solders.pubkey import Pubkey
from solders.signature import Signature

from chain import base58
from chain.local.errors import ErrorJson
from chain.local.ledger.received import Version


@dataclass(frozen=True, slots=True)
class Status:
    """What the status cache has of a transaction."""

    slot: int
    error: ErrorJson | None


@dataclass(frozen=True, slots=True)
class TokenBalance:
    """The balance of a token account in a transaction, `index` being that of its key."""

    index: int
    mint: Pubkey
    owner: Pubkey
    program: Pubkey
    amount: int
    decimals: int


@dataclass(frozen=True, slots=True)
class Change:
    """An account that a transaction has changed."""

    address: Pubkey
    before: Account | None
    after: Account | None


@dataclass(frozen=True, slots=True)
class Landed:
    """`metadata` is LiteSVM's own; `keys` include the addresses of look-up tables, `loaded` says which these are."""

    signature: Signature
    slot: int
    time_s: int
    raw: bytes
    version: Version
    error: ErrorJson | None
    metadata: Any
    keys: tuple[Pubkey, ...]
    loaded: tuple[tuple[Pubkey, ...], tuple[Pubkey, ...]]
    lamports_before: tuple[int, ...]
    lamports_after: tuple[int, ...]
    tokens_before: tuple[TokenBalance, ...] = ()
    tokens_after: tuple[TokenBalance, ...] = ()
    changes: tuple[Change, ...] = field(default=(), repr=False)


def metadata_json(landed: Landed) -> dict[str, Any]:
    """The member `meta` of getTransaction."""
    error, inner = landed.error, landed.metadata.inner_instructions()
    return {
        "err": error,
        "status": status_json(error),
        "fee": landed.lamports_before[0] - landed.lamports_after[0] if error else landed.metadata.fee(),
        "preBalances": landed.lamports_before,
        "postBalances": landed.lamports_after,
        "innerInstructions": [
            {"index": index, "instructions": [_inner_json(one) for one in instructions]}
            for index, instructions in enumerate(inner)
            if instructions
        ],
        "logMessages": landed.metadata.logs(),
        "preTokenBalances": [_token_json(balance) for balance in landed.tokens_before],
        "postTokenBalances": [_token_json(balance) for balance in landed.tokens_after],
        "rewards": [],
        "loadedAddresses": {
            "writable": [str(key) for key in landed.loaded[0]],
            "readonly": [str(key) for key in landed.loaded[1]],
        },
        "computeUnitsConsumed": landed.metadata.compute_units_consumed(),
    }


def status_json(error: ErrorJson | None) -> dict[str, Any]:
    return {"Ok": None} if error is None else {"Err": error}


def amount_json(amount: int, decimals: int) -> dict[str, Any]:
    """An amount of tokens as RPC servers write it."""
    whole, part = divmod(amount, 10**decimals)
    fraction = f"{part:0{decimals}}".rstrip("0") if decimals else ""
    text = f"{whole}.{fraction}" if fraction else str(whole)
    return {"amount": str(amount), "decimals": decimals, "uiAmount": float(text), "uiAmountString": text}


def _inner_json(inner: Any) -> dict[str, Any]:
    instruction = inner.instruction()
    return {
        "programIdIndex": instruction.program_id_index,
        "accounts": list(instruction.accounts),
        "data": base58.encode(bytes(instruction.data)),
        "stackHeight": inner.stack_height(),
    }


def _token_json(balance: TokenBalance) -> dict[str, Any]:
    return {
        "accountIndex": balance.index,
        "mint": str(balance.mint),
        "owner": str(balance.owner),
        "programId": str(balance.program),
        "uiTokenAmount": amount_json(balance.amount, balance.decimals),
    }
