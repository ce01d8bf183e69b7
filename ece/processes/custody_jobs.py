"""The background jobs between custody and the chain."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from solders.pubkey import Pubkey

from actors.workers.custody.card_deposits import FollowCards
from actors.workers.custody.deposit_watch import DepositWatch, ReadDeposits
from actors.workers.custody.deposits import FollowDeposits
from actors.workers.custody.ownership import FollowOwnership
from actors.workers.custody.ownership_watch import OwnershipWatch
from actors.workers.custody.payouts import BeginPayouts
from actors.workers.job import Job
from actors.workers.periodic import ExpireSwaps
from chain.rpc.client import ChainRpc
from chain.rpc.subscriptions import Subscription, Subscriptions
from chain.wallets.holder_changes import HolderChanges
from chain.wallets.holdings import Holdings
from chain.wallets.platform_keys import PlatformKeys
from chain.wallets.reads import CardsOnChain, MoneyOnChain
from domain.ledger.currencies import USDC
from ece.key_sources import key_sources
from ece.settings import Settings
from persistence.jobs.store import JobStore
from persistence.minting.ownership import Ownership
from persistence.postgres.pool import Pool
from persistence.wallets.cards import Cards
from persistence.wallets.chain_jobs import add_chain_jobs
from persistence.wallets.custody import CustodialWallets
from persistence.wallets.deposits import Deposits
from persistence.wallets.payouts import Payouts
from persistence.wallets.swaps import Swaps


@asynccontextmanager
async def custody_jobs(
    settings: Settings, pool: Pool, rpc: ChainRpc | None, now_ms: Callable[[], int]
) -> AsyncIterator[list[Job]]:
    """None without a chain; those about money need the mint of USDC. Raises UnusableKey.

    Meanwhile holders of cards, and deposits, are watched by subscriptions.
    """
    if rpc is None:
        yield []
        return
    ownership = Ownership(pool)
    # Each has a connection of its own: a node may refuse subscriptions to programs, and then closes it.
    for_cards, for_money = Subscriptions(settings.rpc_urls), Subscriptions(settings.rpc_urls)
    jobs: list[Job] = [
        FollowCards(Cards(pool, add_chain_jobs), CustodialWallets(pool), CardsOnChain(rpc), now_ms),
        FollowOwnership(ownership, Holdings(rpc), now_ms),
        ExpireSwaps(Swaps(pool).expire_due, now_ms),
    ]
    watches = [OwnershipWatch(ownership, lambda standard: HolderChanges(for_cards, standard), now_ms).run()]
    if settings.usdc_mint is not None:
        of_money, deposits = _money(settings, pool, rpc, for_money, now_ms)
        jobs += of_money
        watches.append(deposits.run())
    for one in (for_cards, for_money):
        await one.start()
    watching = [asyncio.create_task(watch, name="chain-watch") for watch in watches]
    try:
        yield jobs
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        for one in (for_cards, for_money):
            await one.stop()


def _money(
    settings: Settings, pool: Pool, rpc: ChainRpc, subscriptions: Subscriptions, now_ms: Callable[[], int]
) -> tuple[list[Job], DepositWatch]:
    assert settings.usdc_mint is not None, "there is money"
    treasury = PlatformKeys(key_sources(settings)).treasury.address
    money = MoneyOnChain(rpc, Pubkey.from_string(settings.usdc_mint), USDC.code)
    deposits = Deposits(pool, add_chain_jobs, str(treasury))
    follow = FollowDeposits(deposits, money, now_ms)

    def subscribe(account: str) -> Subscription:
        return subscriptions.account(Pubkey.from_string(account), "finalized")

    watch = DepositWatch(deposits, JobStore(pool), subscribe, money.account_of, now_ms)
    return [follow, ReadDeposits(deposits, follow), BeginPayouts(Payouts(pool, add_chain_jobs))], watch
