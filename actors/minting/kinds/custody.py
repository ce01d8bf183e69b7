"""What custody sends: withdrawals of money and cards, and the sweep of deposits to the treasury.

What may be signed is read from the rows of the withdrawals, not from the jobs: a withdrawal that has failed has given
back what it took, so it is never signed again, even if its job is queued again.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec
import structlog
from solders.pubkey import Pubkey

from actors.minting.chain_access import asking
from actors.minting.kinds.existing import arrived
from actors.minting.kinds.kind import Connection, Finished, Kind, NotYet, Prepared, Ready, Unfit
from chain.bundle import Bundle
from chain.programs.addresses import TOKEN, token_account_of
from chain.programs.memo import memo
from chain.programs.tokens import create_token_account, transfer_checked
from chain.rpc.client import ChainRpc
from chain.signing import Signer
from chain.standards.registry import STANDARDS
from chain.wallets.cipher import CannotDecrypt
from chain.wallets.custody import NoCustodialWallet
from domain.ledger.currencies import Currency
from persistence.chain.rows import ChainJob, DoneJob, PoisonedJob
from persistence.wallets.cards import Cards, CardToSend, card_not_sent, card_sent, card_withdrawal_of
from persistence.wallets.chain_jobs import CARD_WITHDRAWAL, SWEEP, WITHDRAWAL, TokenTransfer
from persistence.wallets.payouts import OpenPayout, Payouts, payout_failed, payout_finished, withdrawal_of

log = structlog.get_logger()

# The token account of a new owner takes six entries of the trace, a transfer and a memo one each.
TRACE, UNITS, MEMO_UNITS = 9, 50_000, 25_000
TREASURY_SHORT_MS = 30_000
REFILLED_MS = 3_000
KEY_MISSING_MS = 60_000


class Custodians(Protocol):
    """``chain.wallets.custody.Wallets``."""

    async def signer(self, user: int) -> Signer:
        """Raises StoreUnavailable, NoCustodialWallet, CannotDecrypt."""


class Token(msgspec.Struct, frozen=True):
    """The mint of a currency."""

    currency: Currency
    mint: Pubkey


# Gives the treasury money from nowhere: (address, base units). Only where a faucet does the same for users.
Refill = Callable[[Pubkey, int], Awaitable[None]]


class Withdrawals(Kind):
    """Pays withdrawals from the treasury. ``key``: the withdrawal."""

    kind = WITHDRAWAL
    claim_max = 32

    def __init__(
        self, payouts: Payouts, rpc: ChainRpc, token: Token, treasury: Signer, now_ms: Callable[[], int],
        refill: Refill | None = None,
    ) -> None:  # fmt: skip
        self._payouts = payouts
        self._rpc = rpc
        self._token = token
        self._treasury = treasury
        self._now_ms = now_ms
        self._refill = refill

    async def prepare(self, jobs: Sequence[ChainJob], payer: Pubkey) -> list[Prepared]:
        payouts = await self._payouts.being_sent([withdrawal_of(job.key) for job in jobs])
        # Read before the balance: what lands in between is subtracted twice, never not at all.
        signed = await self._payouts.signed_amount(self._token.currency.code)
        free = await self._treasury_balance() - signed
        prepared: list[Prepared] = []
        for job in jobs:
            payout = payouts.get(withdrawal_of(job.key))
            if payout is None or payout.currency != self._token.currency.code:
                prepared.append(Unfit(job, "this withdrawal is not being sent"))
            elif payout.amount > free:
                prepared.append(NotYet(job, await self._short(payout.amount - free)))
            else:
                free -= payout.amount
                prepared.append(self._ready(job, payout, payer))
        return prepared

    async def done(self, connection: Connection, jobs: Sequence[DoneJob]) -> None:
        for one in jobs:
            await payout_finished(connection, withdrawal_of(one.job.key), one.signature, self._now_ms())

    async def poisoned(self, connection: Connection, jobs: Sequence[PoisonedJob]) -> None:
        for one in jobs:
            await payout_failed(connection, withdrawal_of(one.job.key), one.reason, self._now_ms())

    def _ready(self, job: ChainJob, payout: OpenPayout, payer: Pubkey) -> Ready:
        destination = Pubkey.from_string(payout.destination)
        return _token_transfer(job, self._token, self._treasury, destination, payout.amount, payer)

    async def _treasury_balance(self) -> int:
        account = token_account_of(self._treasury.address, self._token.mint, TOKEN)
        async with asking():
            found = await self._rpc.accounts([account], data_slice=(64, 8))
        [state] = found.accounts
        return 0 if state is None else int.from_bytes(state.data, "little")

    async def _short(self, missing: int) -> int:
        """What to do about a treasury that has too little: for how long (ms) to wait."""
        if self._refill is not None:
            async with asking():
                await self._refill(self._treasury.address, missing)
            return REFILLED_MS
        log.error("treasury_short", address=str(self._treasury.address), missing=missing,
                  next_step="send USDC to this address")  # fmt: skip
        return TREASURY_SHORT_MS


class Sweeps(Kind):
    """Moves what a custodial wallet got to the treasury. ``key``: the deposit."""

    kind = SWEEP
    claim_max = 32

    def __init__(self, wallets: Custodians, token: Token) -> None:
        self._wallets = wallets
        self._token = token

    async def prepare(self, jobs: Sequence[ChainJob], payer: Pubkey) -> list[Prepared]:
        return [await self._prepared(job, payer) for job in jobs]

    async def _prepared(self, job: ChainJob, payer: Pubkey) -> Prepared:
        order = msgspec.json.decode(job.payload, type=TokenTransfer)
        if order.source_user is None or order.currency != self._token.currency.code:
            return Unfit(job, "there is no wallet to move this from")
        signer = await _signer(self._wallets, order.source_user)
        if signer is None:
            return NotYet(job, KEY_MISSING_MS)
        destination = Pubkey.from_string(order.destination)
        return _token_transfer(job, self._token, signer, destination, order.amount, payer)


class CardWithdrawals(Kind):
    """Sends cards from custodial wallets to outside addresses. ``key``: the withdrawal."""

    kind = CARD_WITHDRAWAL
    claim_max = 32

    def __init__(self, cards: Cards, rpc: ChainRpc, wallets: Custodians, now_ms: Callable[[], int]) -> None:
        self._cards = cards
        self._rpc = rpc
        self._wallets = wallets
        self._now_ms = now_ms

    async def prepare(self, jobs: Sequence[ChainJob], payer: Pubkey) -> list[Prepared]:
        sending = await self._cards.being_sent([card_withdrawal_of(job.key) for job in jobs])
        return [await self._prepared(job, sending.get(card_withdrawal_of(job.key)), payer) for job in jobs]

    async def done(self, connection: Connection, jobs: Sequence[DoneJob]) -> None:
        for one in jobs:
            withdrawal = card_withdrawal_of(one.job.key)
            await card_sent(connection, withdrawal, one.signature, one.slot, self._now_ms())

    async def poisoned(self, connection: Connection, jobs: Sequence[PoisonedJob]) -> None:
        for one in jobs:
            await card_not_sent(connection, card_withdrawal_of(one.job.key), one.reason, self._now_ms())

    async def _prepared(self, job: ChainJob, card: CardToSend | None, payer: Pubkey) -> Prepared:
        if card is None:
            return Unfit(job, "this withdrawal is not being sent")
        standard, asset = STANDARDS[card.standard], Pubkey.from_string(card.asset)
        destination = Pubkey.from_string(card.destination)
        [slot] = await arrived(self._rpc, [(standard, asset, destination)]) if job.attempts else [None]
        if slot is not None:
            return Finished(job, slot)
        signer = await _signer(self._wallets, card.user)
        if signer is None:
            return NotYet(job, KEY_MISSING_MS)
        collection = None if card.collection is None else Pubkey.from_string(card.collection)
        bundle = standard.transfer(payer, asset, collection, signer.address, destination)
        return Ready(job, bundle, (signer,))


def _token_transfer(
    job: ChainJob, token: Token, signer: Signer, destination: Pubkey, amount: int, payer: Pubkey
) -> Ready:
    """A memo names the job: two transfers of the same amount are never the same transaction."""
    source, target = (token_account_of(one, token.mint, TOKEN) for one in (signer.address, destination))
    instructions = (
        create_token_account(payer, destination, token.mint, TOKEN),
        transfer_checked(source, token.mint, target, signer.address, amount, token.currency.decimals, TOKEN),
        memo(f"{job.kind} {job.key}".encode()),
    )
    return Ready(job, Bundle(instructions, frozenset([signer.address]), TRACE, UNITS + MEMO_UNITS), (signer,))


async def _signer(wallets: Custodians, user: int) -> Signer | None:
    """None if the key can't be decrypted now: an operator has to restore a secret."""
    try:
        return await wallets.signer(user)
    except (CannotDecrypt, NoCustodialWallet) as fault:
        log.error("custodial_key_unusable", user=user, error=str(fault), next_step="restore secrets/wallets")
        return None
