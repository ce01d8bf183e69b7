"""The history of accounts: which transactions named them, and what those did to balances of tokens."""

from collections.abc import Sequence
from typing import Any

import msgspec
from solders.pubkey import Pubkey

from chain.rpc.client import ChainRpc
from chain.rpc.errors import ChainUnavailable, InvalidAnswer

HISTORY_MAX = 1_000


class HistoryEntry(msgspec.Struct, frozen=True):
    """A transaction that named an account. ``err`` is None if it succeeded."""

    signature: str
    slot: int
    err: Any = None


class _Amount(msgspec.Struct):
    amount: str


class TokenBalance(msgspec.Struct):
    """The balance of a token account before or after a transaction, as the chain writes it."""

    accountIndex: int
    mint: str
    uiTokenAmount: _Amount


class _Loaded(msgspec.Struct):
    writable: list[str] = []
    readonly: list[str] = []


class _Meta(msgspec.Struct):
    err: Any = None
    preTokenBalances: list[TokenBalance] | None = None
    postTokenBalances: list[TokenBalance] | None = None
    loadedAddresses: _Loaded | None = None


class _Message(msgspec.Struct):
    accountKeys: list[str]


class _Body(msgspec.Struct):
    message: _Message


class _Transaction(msgspec.Struct):
    slot: int
    transaction: _Body
    meta: _Meta | None = None


class TransactionRecord(msgspec.Struct, frozen=True):
    """A transaction that is in a block. ``changes``: (token account, mint) to what it added, in base units."""

    slot: int
    failed: bool
    changes: dict[tuple[str, str], int]


async def history_of(
    rpc: ChainRpc, address: Pubkey, *, before: str | None = None, until: str | None = None, limit: int = HISTORY_MAX
) -> list[HistoryEntry]:
    """Final transactions that named this account, the newest first. May raise ChainError."""
    options: dict[str, Any] = {"commitment": "finalized", "limit": min(limit, HISTORY_MAX)}
    options |= {name: value for name, value in (("before", before), ("until", until)) if value is not None}
    return await rpc.call("getSignaturesForAddress", [str(address), options], list[HistoryEntry])


async def final_transaction(rpc: ChainRpc, signature: str) -> TransactionRecord:
    """A final transaction. Raises ChainUnavailable also where the endpoint does not know it, or not yet."""
    options = {"commitment": "finalized", "encoding": "json", "maxSupportedTransactionVersion": 1}
    kind: Any = _Transaction | None
    found: _Transaction | None = await rpc.call("getTransaction", [signature, options], kind)
    if found is None or found.meta is None:
        raise ChainUnavailable(f"getTransaction: the endpoint does not have {signature}")
    return TransactionRecord(found.slot, found.meta.err is not None, _changes(found))


def _changes(found: _Transaction) -> dict[tuple[str, str], int]:
    meta = found.meta
    assert meta is not None, "it was looked at"
    loaded = meta.loadedAddresses or _Loaded()
    # In this order the indexes of a message with look-up tables go on.
    keys = [*found.transaction.message.accountKeys, *loaded.writable, *loaded.readonly]
    changes: dict[tuple[str, str], int] = {}
    for sign, balances in ((-1, meta.preTokenBalances), (1, meta.postTokenBalances)):
        for (account, mint), amount in _amounts(keys, balances or []):
            changes[account, mint] = changes.get((account, mint), 0) + sign * amount
    return changes


def _amounts(keys: Sequence[str], balances: Sequence[TokenBalance]) -> list[tuple[tuple[str, str], int]]:
    found = []
    for balance in balances:
        amount = balance.uiTokenAmount.amount
        if not 0 <= balance.accountIndex < len(keys) or not (amount.isascii() and amount.isdigit()):
            raise InvalidAnswer("getTransaction: a balance that can't be read")
        found.append(((keys[balance.accountIndex], balance.mint), int(amount)))
    return found
