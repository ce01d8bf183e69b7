"""The configuration objects that methods take as their last parameter."""

from typing import Literal

import msgspec
from solders.pubkey import Pubkey

from chain.local.errors import MIN_CONTEXT_SLOT_NOT_REACHED, RpcError
from chain.local.ledger.blocks import Blocks, Commitment

AccountEncoding = Literal["binary", "base58", "base64", "jsonParsed"]
TransactionEncoding = Literal["binary", "base58", "base64", "json", "jsonParsed"]


class Config(msgspec.Struct, frozen=True, rename="camel"):
    """What most methods take. Members that a method doesn't know are ignored, as Agave does."""

    commitment: Commitment = "finalized"
    min_context_slot: int | None = None


class DataSlice(msgspec.Struct, frozen=True):
    offset: int
    length: int


class AccountConfig(Config, frozen=True, rename="camel"):
    encoding: AccountEncoding | None = None
    data_slice: DataSlice | None = None


class Memcmp(msgspec.Struct, frozen=True):
    offset: int
    bytes: str
    encoding: Literal["base58", "base64", "binary"] = "base58"


class Filter(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """One of the three."""

    data_size: int | None = None
    memcmp: Memcmp | None = None
    token_account_state: None = None


class ProgramConfig(AccountConfig, frozen=True, rename="camel"):
    filters: list[Filter] | None = None
    with_context: bool = False


class TokenFilter(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A mint or a program."""

    mint: Pubkey | None = None
    program_id: Pubkey | None = None


class StatusConfig(msgspec.Struct, frozen=True, rename="camel"):
    search_transaction_history: bool = False


class SendConfig(msgspec.Struct, frozen=True, rename="camel"):
    encoding: Literal["base58", "base64"] = "base58"
    skip_preflight: bool = False
    min_context_slot: int | None = None


class SimulatedAccounts(msgspec.Struct, frozen=True):
    addresses: list[Pubkey]
    encoding: AccountEncoding = "base64"


class SimulateConfig(msgspec.Struct, frozen=True, rename="camel"):
    encoding: Literal["base58", "base64"] = "base58"
    sig_verify: bool = False
    replace_recent_blockhash: bool = False
    accounts: SimulatedAccounts | None = None
    min_context_slot: int | None = None


class HistoryConfig(Config, frozen=True, rename="camel"):
    before: str | None = None
    until: str | None = None
    limit: int = 1000


class TransactionConfig(Config, frozen=True, rename="camel"):
    encoding: TransactionEncoding = "json"
    max_supported_transaction_version: int | None = None


class BlockConfig(TransactionConfig, frozen=True, rename="camel"):
    transaction_details: Literal["full", "accounts", "signatures", "none"] = "full"
    rewards: bool = True


def slot_of(blocks: Blocks, config: Config | None) -> int:
    """The slot that a read sees. Raises RpcError if it is older than the client needs."""
    commitment = "finalized" if config is None else config.commitment
    slot = blocks.slot_at(commitment)
    require_slot(slot, None if config is None else config.min_context_slot)
    return slot


def require_slot(slot: int, least: int | None) -> None:
    """Raises RpcError if a slot that the client has seen elsewhere is not reached here."""
    if least is not None and slot < least:
        raise RpcError(
            MIN_CONTEXT_SLOT_NOT_REACHED, "Minimum context slot has not been reached", {"contextSlot": slot}
        )  # fmt: skip


def with_context(slot: int, value: object) -> dict[str, object]:
    """A value with the slot that it is of."""
    return {"context": {"slot": slot, "apiVersion": API_VERSION}, "value": value}


API_VERSION = "4.1.2"
