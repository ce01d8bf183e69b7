"""What the client returns, and the JSON that it is read from."""

from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from solders.hash import Hash
from solders.pubkey import Pubkey

Commitment = Literal["processed", "confirmed", "finalized"]


@dataclass(frozen=True, slots=True)
class RecentBlockhash:
    """A transaction with this hash can land in blocks up to ``last_valid_height``."""

    blockhash: Hash
    last_valid_height: int


@dataclass(frozen=True, slots=True)
class TransactionFault:
    """Why a transaction failed, as the chain says it."""

    error: Any

    def __str__(self) -> str:
        return self.error if isinstance(self.error, str) else msgspec.json.encode(self.error).decode()


@dataclass(frozen=True, slots=True)
class SignatureStatus:
    """A transaction that is in a block. ``error`` is None if it succeeded."""

    slot: int
    error: TransactionFault | None
    commitment: Commitment


@dataclass(frozen=True, slots=True)
class AccountState:
    """An account. ``data`` is a part of it where a part was asked for."""

    lamports: int
    owner: Pubkey
    data: bytes


@dataclass(frozen=True, slots=True)
class Accounts:
    """Accounts as of one slot; None for an address without one."""

    slot: int
    accounts: list[AccountState | None]


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a transaction would do now."""

    error: TransactionFault | None
    units: int
    logs: list[str]


class RpcFault(msgspec.Struct):
    """The error object of JSON-RPC."""

    code: int
    message: str = ""
    data: Any = None


class Envelope(msgspec.Struct):
    """An answer of JSON-RPC."""

    id: int | str | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: RpcFault | None = None


class Context(msgspec.Struct):
    """The slot that an answer is as of."""

    slot: int


class BlockhashValue(msgspec.Struct):
    """Of getLatestBlockhash."""

    blockhash: str
    lastValidBlockHeight: int


class BlockhashAnswer(msgspec.Struct):
    """Of getLatestBlockhash."""

    context: Context
    value: BlockhashValue


class StatusValue(msgspec.Struct):
    """Of getSignatureStatuses. A missing ``confirmationStatus`` is that of an old node."""

    slot: int
    err: Any = None
    confirmationStatus: Commitment | None = None


class StatusesAnswer(msgspec.Struct):
    """Of getSignatureStatuses."""

    context: Context
    value: list[StatusValue | None]


class AccountValue(msgspec.Struct):
    """Of getMultipleAccounts."""

    lamports: int
    owner: str
    data: tuple[str, str]


class AccountsAnswer(msgspec.Struct):
    """Of getMultipleAccounts."""

    context: Context
    value: list[AccountValue | None]


class SimulationValue(msgspec.Struct):
    """Of simulateTransaction."""

    err: Any = None
    unitsConsumed: int | None = None
    logs: list[str] | None = None


class SimulationAnswer(msgspec.Struct):
    """Of simulateTransaction."""

    context: Context
    value: SimulationValue


class EpochInfo(msgspec.Struct):
    """Of getEpochInfo: a height and its slot."""

    absoluteSlot: int
    blockHeight: int


class BalanceAnswer(msgspec.Struct):
    """Of getBalance."""

    context: Context
    value: int


class ProgramAccount(msgspec.Struct):
    """Of getProgramAccounts."""

    pubkey: str
    account: AccountValue


class ProgramAccountsAnswer(msgspec.Struct):
    """Of getProgramAccounts and getTokenAccountsByOwner."""

    context: Context
    value: list[ProgramAccount]


class FeeValue(msgspec.Struct):
    """Of getRecentPrioritizationFees."""

    slot: int
    prioritizationFee: int
