"""Deposits that outside wallets sign: what they need, and how those that were signed stand on the chain."""

import base64
from dataclasses import dataclass
from typing import Literal

import msgspec
from solders.pubkey import Pubkey

from chain.programs.addresses import TOKEN, TOKEN_2022, token_account_of
from chain.programs.tokens import ACCOUNT_BYTES, AMOUNT_OFFSET
from chain.rpc.answers import Context
from chain.rpc.client import ChainRpc
from chain.rpc.errors import AlreadyProcessed, InvalidAnswer, TransactionRejected
from chain.standards.token_2022 import Token2022
from chain.transactions.deposit import DepositLeg, SignedDeposit, deposit_message
from chain.transactions.swap import TokenLeg
from domain.ledger.currencies import USDC

# Its accounts say that their owner is immutable: 5 bytes more.
_TOKEN_2022_ACCOUNT_BYTES = ACCOUNT_BYTES + 5
_AMOUNT_BYTES = 8
_SOL = "SOL"

SentState = Literal["sent", "landed", "final", "failed", "expired"]


@dataclass(frozen=True, slots=True)
class PreparedDeposit:
    """``transaction`` has an empty signature. ``fee`` and ``rent`` are lamports, which the wallet pays.

    ``rent``: for the account that custody lacks; less what the wallet gets back for its own, which is closed.
    """

    transaction: bytes
    fee: int
    rent: int


@dataclass(frozen=True, slots=True)
class SentDeposit:
    """``reason``: why it failed."""

    state: SentState
    reason: str | None = None


class WalletShort(Exception):
    """The wallet has too little of a currency for this deposit."""

    def __init__(self, currency: str, available: int, required: int) -> None:
        super().__init__(f"the wallet has {available} of {required} base units of {currency}")
        self.currency = currency
        self.available = available
        self.required = required


class _FeeAnswer(msgspec.Struct):
    context: Context
    value: int | None


class _ValidAnswer(msgspec.Struct):
    context: Context
    value: bool


class OutsideDeposits:
    """Over the chain. Every method may raise ChainError."""

    def __init__(self, rpc: ChainRpc) -> None:
        self._rpc = rpc
        self._genesis: str | None = None

    async def public_name(self) -> str | None:
        """What wallets call this chain; None: it is none that they know."""
        self._genesis = self._genesis or await self._rpc.genesis_hash()
        return _PUBLIC_NAMES.get(self._genesis)

    async def prepare(self, leg: DepositLeg) -> PreparedDeposit:
        """The transaction for this leg, as of now. Raises WalletShort."""
        source, target, size = _accounts_of(leg)
        found = (await self._rpc.accounts([leg.giver, source, target])).accounts
        if isinstance(leg, TokenLeg):
            held = 0 if found[1] is None else _amount_in(found[1].data)
            if held < leg.amount:
                raise WalletShort(USDC.code, held, leg.amount)
        recent = await self._rpc.latest_blockhash()
        message = deposit_message(leg, recent.blockhash, await self._rpc.priority_fee([source, target]))
        fee = await self._fee(message.message)
        rent = await self._rpc.minimum_balance(size) if size and found[2] is None else 0
        lamports = 0 if found[0] is None else found[0].lamports
        if lamports < fee + rent:
            raise WalletShort(_SOL, lamports, fee + rent)
        closed = found[1].lamports if found[1] is not None and not isinstance(leg, TokenLeg) and size else 0
        return PreparedDeposit(message.unsigned(), fee, max(rent - closed, 0))

    async def send(self, signed: SignedDeposit) -> SentDeposit:
        """Hand it over, unless its fate is known; how it stands. Again and again, the same bytes land once."""
        # Read first: what is in no block after that, and is too old, never will be.
        lives = (await self._rpc.call("isBlockhashValid", [str(signed.blockhash), _CONFIRMED], _ValidAnswer)).value
        [status] = await self._rpc.statuses([signed.signature])
        if status is None and not lives:
            # Servers have the statuses of some minutes at hand: it may have landed before.
            [status] = await self._rpc.statuses([signed.signature], search_history=True)
        if status is not None:
            if status.error is not None:
                return SentDeposit("failed", str(status.error))
            return SentDeposit("final" if status.commitment == "finalized" else "landed")
        if not lives:
            return SentDeposit("expired")
        try:
            await self._rpc.send(signed.raw)
        except AlreadyProcessed:
            return SentDeposit("landed")
        except TransactionRejected as fault:
            return SentDeposit("failed", str(fault))
        return SentDeposit("sent")

    async def _fee(self, message: bytes) -> int:
        text = base64.b64encode(message).decode()
        fee = (await self._rpc.call("getFeeForMessage", [text, _CONFIRMED], _FeeAnswer)).value
        if fee is None:
            raise InvalidAnswer("getFeeForMessage does not know a new blockhash")
        return fee


_CONFIRMED = {"commitment": "confirmed"}
# By the hash of the genesis, as the Wallet Standard names them.
_PUBLIC_NAMES = {
    "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d": "solana:mainnet",
    "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG": "solana:devnet",
}


def _accounts_of(leg: DepositLeg) -> tuple[Pubkey, Pubkey, int]:
    """Where it is, where it goes, and the bytes of the account that may have to be created there; 0: none."""
    if isinstance(leg, TokenLeg):
        program, mint, size = TOKEN, leg.mint, ACCOUNT_BYTES
    elif leg.standard.name == Token2022.name:
        program, mint, size = TOKEN_2022, leg.asset, _TOKEN_2022_ACCOUNT_BYTES
    else:
        return leg.asset, leg.asset, 0
    return token_account_of(leg.giver, mint, program), token_account_of(leg.taker, mint, program), size


def _amount_in(data: bytes) -> int:
    return int.from_bytes(data[AMOUNT_OFFSET : AMOUNT_OFFSET + _AMOUNT_BYTES], "little")
