"""Follows custodial wallets on the chain and credits what arrives, once, when it is final.

The balances of token accounts say where something arrived: a hundred wallets are one request. Wallets whose users are
about to deposit are looked at in each run, the others in turn, so nothing is lost while the engine is down. The history
of a wallet with a balance is read from the newest transaction back to the last one that was read.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
import structlog

from actors.workers.job import Job, Later, Retry
from chain.rpc.errors import ChainError
from persistence.jobs.store import Claimed
from persistence.wallets.deposits import Arrival, Deposits, FollowedWallet, Read

# Wallets of one request, and requests of one run for those that are looked at in turn.
WALLETS_AT_ONCE = 100
PAGES_PER_RUN = 5
# Each page is recorded: a run that is ended by its time, or by an endpoint, goes on behind the last one.
SIGNATURES_PAGE = 100
# Of one wallet in one run; the rest follows in the next runs.
SIGNATURE_PAGES_PER_RUN = 5
TRANSACTIONS_AT_ONCE = 8
EVERY_MS = 2_000

log = structlog.get_logger()


# A transaction of an account, as its history lists it: signature, slot, and whether it failed.
Signature = tuple[str, int, bool]


class DepositChain(Protocol):
    """What is read of the chain, all of it final. Every method may raise ChainUnavailable."""

    @property
    def currency(self) -> str:
        """The currency that is followed."""

    def account_of(self, wallet: str) -> str:
        """The token account of a wallet."""

    async def balances(self, accounts: Sequence[str]) -> Sequence[int]:
        """The balances of these token accounts in base units; 0 for one that does not exist."""

    async def history(self, account: str, before: str | None, until: str | None, limit: int) -> Sequence[Signature]:
        """The transactions of an account, the newest first: those before one, back to another one."""

    async def arrived(self, signature: str, account: str) -> int:
        """What this transaction added to the account, in base units; 0 or less if it added nothing.

        Raises ChainUnavailable for a transaction that the chain does not know.
        """


class FollowDeposits(Job):
    """Periodic: one run looks at the watched wallets and at some pages of the others."""

    kind = "follow_deposits"
    every_ms = EVERY_MS
    timeout_s = 120.0
    # The chain may be out for a while; then it goes on soon.
    retry = Retry(longest_ms=15_000)

    def __init__(self, deposits: Deposits, chain: DepositChain, now_ms: Callable[[], int]) -> None:
        self._deposits = deposits
        self._chain = chain
        self._now_ms = now_ms
        self._after_user = 0

    async def run(self, jobs: Sequence[Claimed]) -> list[Later]:
        watched = await self._deposits.watched(self._now_ms(), WALLETS_AT_ONCE)
        fault = await self._read_each(watched)
        for _ in range(PAGES_PER_RUN):
            page = await self._deposits.wallets(self._after_user, WALLETS_AT_ONCE)
            fault = await self._read_each(page) or fault
            self._after_user = page[-1].user if len(page) == WALLETS_AT_ONCE else 0
            if not self._after_user:
                break
        if fault is not None:
            raise fault
        return []

    async def look_at(self, wallets: Sequence[FollowedWallet]) -> None:
        """Credit what has arrived at these wallets. May raise ChainError, after the others were read, and
        StoreUnavailable."""
        fault = await self._read_each(wallets)
        if fault is not None:
            raise fault

    async def _read_each(self, wallets: Sequence[FollowedWallet]) -> ChainError | None:
        """Why one of them could not be read: an endpoint may lack a transaction of one wallet, and have all others."""
        accounts = [self._chain.account_of(wallet.address) for wallet in wallets]
        balances = await self._chain.balances(accounts) if wallets else []
        last: ChainError | None = None
        for wallet, account, balance in zip(wallets, accounts, balances, strict=True):
            # A reading that was begun goes on even if the balance was moved away meanwhile.
            if balance or wallet.scan_before is not None:
                try:
                    await self._read(wallet, account)
                except ChainError as fault:
                    log.warning("deposits_not_read", user=wallet.user, error=str(fault))
                    last = fault
        return last

    async def _read(self, wallet: FollowedWallet, account: str) -> None:
        for _ in range(SIGNATURE_PAGES_PER_RUN):
            before = wallet.scan_before
            page = await self._chain.history(account, before, wallet.last_signature, SIGNATURES_PAGE)
            if not page and before is None:
                return
            if not page:
                # Nothing more, or another endpoint that does not have this transaction: then this raises.
                await self._chain.arrived(before or "", account)
            newest, complete = wallet.scan_newest or page[0][0], len(page) < SIGNATURES_PAGE
            read = Read(newest) if complete else Read(wallet.last_signature, newest, page[-1][0])
            arrivals = await self._arrivals(account, page)
            new = await self._deposits.credit(wallet, arrivals, read, self._chain.currency, self._now_ms())
            if new:
                log.info("deposits_credited", user=wallet.user, deposits=new)
            if complete:
                return
            wallet = FollowedWallet(wallet.user, wallet.address, *msgspec.structs.astuple(read))

    async def _arrivals(self, account: str, found: Sequence[Signature]) -> list[Arrival]:
        """Oldest first. All of them, or an exception: none is passed over."""
        turns = asyncio.Semaphore(TRANSACTIONS_AT_ONCE)

        async def arrival(one: Signature) -> Arrival:
            async with turns:
                signature, slot, _ = one
                return Arrival(signature, account, await self._chain.arrived(signature, account), slot)

        tasks = [asyncio.ensure_future(arrival(one)) for one in reversed(found) if not one[2]]
        try:
            arrivals = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
        return [one for one in arrivals if one.amount > 0]
