"""Deposits and withdrawals of money on the local chain: real PostgreSQL, real chain process, the minting pipeline."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from chain_process import ChainProcess
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from actors.minting.assembler import TransactionAssembler
from actors.minting.chain_access import ChainAccess
from actors.minting.kinds.custody import Refill, Sweeps, Token, Withdrawals
from actors.minting.pipeline import Pipeline
from actors.workers.custody.deposit_watch import DepositWatch, ReadDeposits
from actors.workers.custody.deposits import FollowDeposits
from chain.programs.addresses import TOKEN, token_account_of
from chain.rpc.client import ChainRpc
from chain.rpc.subscriptions import Subscription, Subscriptions
from chain.wallets.cipher import KeyCipher
from chain.wallets.custody import Wallets
from chain.wallets.platform_keys import KeySources, PlatformKeys
from chain.wallets.reads import MoneyOnChain
from domain.ledger.currencies import USDC
from domain.ledger.orders import Transfer
from domain.ledger.withdrawals import Limits
from persistence.chain.jobs import ChainJobs
from persistence.identity.store import UserStore
from persistence.jobs.store import JobStore
from persistence.ledger.check import CHECKS, ledger_checker
from persistence.ledger.reading import LedgerReading
from persistence.ledger.store import Ledger
from persistence.ledger.withdrawals import NewWithdrawal, Withdrawal
from persistence.ledger.withdrawals import Withdrawals as Requests
from persistence.postgres.pool import Pool
from persistence.wallets.booked import booked
from persistence.wallets.chain_jobs import add_chain_jobs
from persistence.wallets.custody import CustodialWallets
from persistence.wallets.deposits import Deposits
from persistence.wallets.payouts import Payouts, payout_failed
from tests.job_runs import run_due

NOW = 1_800_000_000_000
LIMITS = Limits(10**12, 10**12, 10**12, cool_down_ms=0)
CIPHER = KeyCipher(lambda: ["s" * 40])
WITHIN_S = 60.0
POLL_S = 0.05


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChainProcess]:
    process = ChainProcess(tmp_path_factory.mktemp("chain"))
    process.start()
    yield process
    process.close()


@dataclass
class Scene:
    """One database, one chain, and the keys of the platform."""

    pool: Pool
    process: ChainProcess
    rpc: ChainRpc
    keys: PlatformKeys

    def __post_init__(self) -> None:
        self.mint = Pubkey.from_string(self.process.call("ece_usdcMint"))
        self.token = Token(USDC, self.mint)
        self.wallets = Wallets(CustodialWallets(self.pool), CIPHER)
        self.payouts = Payouts(self.pool, add_chain_jobs)
        self.treasury = self.keys.treasury.address

    def usdc_of(self, wallet: Pubkey) -> int:
        account = str(token_account_of(wallet, self.mint, TOKEN))
        found = self.process.call("getAccountInfo", account, {"encoding": "jsonParsed"})["value"]
        return 0 if found is None else int(found["data"]["parsed"]["info"]["tokenAmount"]["amount"])

    def give(self, wallet: Pubkey, amount: int) -> None:
        self.process.confirmed(self.process.call("ece_airdropUsdc", str(wallet), amount))

    @asynccontextmanager
    async def working(self, refill: Refill | None = None) -> AsyncIterator[None]:
        """A minting actor's pipeline, killed at the end."""
        payer = self.keys.fee_payer(0)
        kinds = [
            Withdrawals(self.payouts, self.rpc, self.token, self.keys.treasury, lambda: NOW, refill),
            Sweeps(self.wallets, self.token),
        ]
        assembler = TransactionAssembler(self.rpc, payer, [self.keys.treasury])
        jobs = ChainJobs(self.pool, claim_lease_ms=500, send_lease_ms=500)
        pipeline = Pipeline(jobs, ChainAccess(self.rpc), assembler, kinds, payer.address, "actor")
        running = asyncio.create_task(pipeline.run())
        try:
            yield
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    async def person(self, name: str, amount: int = 0) -> int:
        user = (await UserStore(self.pool).create(name, f"{name}@example.org", "hash")).user_id
        if amount:
            ledger = Ledger(self.pool)
            account = (await ledger.accounts([user], "USDC"))[user]
            faucet = (await ledger.accounts([0], "USDC", "faucet"))[0]
            await ledger.execute([Transfer(name.encode().ljust(16), faucet, account, amount, "deposit")], NOW)
        return user

    async def requested(self, user: int, amount: int, destination: Pubkey) -> int:
        id: int = await self.pool.fetchval("SELECT next_id()")
        wanted = NewWithdrawal(id, user, "USDC", amount, str(destination))
        assert isinstance(await Requests(self.pool).request(wanted, LIMITS, NOW), Withdrawal)
        await self.payouts.begin(id)
        return id

    async def state(self, withdrawal: int) -> str:
        found = await Requests(self.pool).get(withdrawal)
        assert found is not None
        return found.state

    async def posted(self, user: int) -> int:
        return sum(row.posted for row in await LedgerReading(self.pool).balances(user))


@pytest.fixture
async def scene(pool: Pool, process: ChainProcess, tmp_path: Path) -> AsyncIterator[Scene]:
    keys = PlatformKeys(KeySources(tmp_path))
    rpc = ChainRpc([process.url])
    process.call("ece_setFaults", {"dropRate": 0.0})
    process.confirmed(process.call("requestAirdrop", str(keys.fee_payer(0).address), 10**11))
    await rpc.start()
    try:
        yield Scene(pool, process, rpc, keys)
    finally:
        await rpc.stop()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while True:
            if await condition():
                return
            await asyncio.sleep(POLL_S)


async def consistent(database_url: str) -> bool:
    async with ledger_checker(database_url) as checker:
        return not any([(await checker.findings(one))[0] for one in CHECKS])


async def test_a_withdrawal_is_paid_from_the_treasury(scene: Scene, database_url: str):
    ann, outside = await scene.person("ann", 1_000), Keypair().pubkey()
    scene.give(scene.treasury, 5_000)
    books = await booked(scene.pool, "USDC")
    id = await scene.requested(ann, 300, outside)
    assert (await booked(scene.pool, "USDC")).sending - books.sending == 300
    async with scene.working():

        async def paid() -> bool:
            return await scene.state(id) == "paid"

        await until(paid)
    assert (scene.usdc_of(outside), scene.usdc_of(scene.treasury)) == (300, 4_700)
    assert await scene.posted(ann) == 700
    after = await booked(scene.pool, "USDC")
    assert (after.owed - books.owed, after.withdrawn - books.withdrawn) == (-300, 300)
    assert (after.sending, after.issued) == (books.sending, books.issued)
    assert await consistent(database_url)


async def test_a_treasury_that_has_too_little_waits_or_is_refilled_where_money_is_play_money(scene: Scene):
    bob, outside = await scene.person("bob", 1_000), Keypair().pubkey()
    id = await scene.requested(bob, 300, outside)

    async def refill(address: Pubkey, amount: int) -> None:
        scene.give(address, amount)

    async def put_back() -> bool:
        return bool(await scene.pool.fetchval("SELECT not_before > 1 FROM chain_jobs WHERE key = id_text($1)", id))

    async def paid() -> bool:
        await scene.pool.execute("UPDATE chain_jobs SET not_before = 0 WHERE state = 'queued' AND claim IS NULL")
        return await scene.state(id) == "paid"

    async with scene.working():
        await until(put_back)
    assert await scene.state(id) == "sending"
    async with scene.working(refill):
        await until(paid)
    assert scene.usdc_of(outside) == 300


async def test_a_withdrawal_that_has_failed_is_not_sent_when_its_job_is_queued_again(scene: Scene):
    cleo, outside = await scene.person("cleo", 1_000), Keypair().pubkey()
    scene.give(scene.treasury, 5_000)
    id = await scene.requested(cleo, 300, outside)
    async with scene.pool.acquire() as connection, connection.transaction():
        await payout_failed(connection, id, "on purpose", NOW)

    async def poisoned() -> bool:
        return bool(await scene.pool.fetchval("SELECT state = 'poisoned' FROM chain_jobs WHERE key = id_text($1)", id))

    async with scene.working():
        await until(poisoned)
    assert scene.usdc_of(outside) == 0


async def test_a_deposit_is_credited_and_moved_to_the_treasury(scene: Scene, database_url: str):
    dan = await scene.person("dan")
    wallet = await scene.wallets.custodial_address(dan)
    deposits = Deposits(scene.pool, add_chain_jobs, str(scene.treasury))
    job = FollowDeposits(deposits, MoneyOnChain(scene.rpc, scene.mint, "USDC"), lambda: NOW)
    before, books = scene.usdc_of(scene.treasury), await booked(scene.pool, "USDC")
    scene.give(wallet, 40)
    scene.give(wallet, 2)

    async def credited() -> bool:
        await job.run([])
        return await scene.posted(dan) == 42

    async def swept() -> bool:
        return (await booked(scene.pool, "USDC")).unswept == books.unswept

    async with scene.working():
        await until(credited)
        await until(swept)
    for _ in range(3):
        await job.run([])
    assert (scene.usdc_of(wallet), await scene.posted(dan)) == (0, 42)
    assert scene.usdc_of(scene.treasury) == before + 42
    after = await booked(scene.pool, "USDC")
    assert (after.owed - books.owed, after.deposited - books.deposited) == (42, 42)
    assert await consistent(database_url)


async def test_a_deposit_at_a_watched_wallet_is_seen_by_a_subscription(scene: Scene):
    jim, sue = await scene.person("jim"), await scene.person("sue")
    his, hers = await scene.wallets.custodial_address(jim), await scene.wallets.custodial_address(sue)
    deposits, money = Deposits(scene.pool), MoneyOnChain(scene.rpc, scene.mint, "USDC")
    await deposits.watch(jim, NOW + 1)
    subscriptions = Subscriptions([scene.process.url])
    await subscriptions.start()

    def subscribe(account: str) -> Subscription:
        return subscriptions.account(Pubkey.from_string(account), "finalized")

    watch = DepositWatch(deposits, JobStore(scene.pool), subscribe, money.account_of, lambda: NOW, POLL_S)
    watching = asyncio.create_task(watch.run())
    job = ReadDeposits(deposits, FollowDeposits(deposits, money, lambda: NOW))

    async def seen() -> bool:
        return bool(await scene.pool.fetchval("SELECT count(*) FROM jobs WHERE kind = 'read_deposits'"))

    async def credited() -> bool:
        await run_due(scene.pool, job)
        return await scene.posted(jim) == 42

    try:
        # Once after subscribing: something may have arrived before.
        await until(seen)
        await run_due(scene.pool, job)
        scene.give(his, 42)
        scene.give(hers, 7)
        await until(credited)
        assert await scene.posted(sue) == 0
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await subscriptions.stop()


async def test_with_half_of_the_sends_lost_and_actors_that_die_each_is_paid_once(scene: Scene, database_url: str):
    edda, outside = await scene.person("edda", 10_000), [Keypair().pubkey() for _ in range(8)]
    scene.give(scene.treasury, 50_000)
    scene.process.call("ece_setFaults", {"dropRate": 0.5})
    ids = [await scene.requested(edda, 100 + place, wallet) for place, wallet in enumerate(outside)]

    async def all_paid() -> bool:
        return all([await scene.state(id) == "paid" for id in ids])

    async with asyncio.timeout(WITHIN_S):
        while not await all_paid():
            async with scene.working():
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.7):
                        await until(all_paid)
    assert [scene.usdc_of(wallet) for wallet in outside] == [100 + place for place in range(8)]
    assert await consistent(database_url)
