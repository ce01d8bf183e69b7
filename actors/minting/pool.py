"""One actor of the minting pool with everything that it needs: connections, keys, kinds of jobs, and its report."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import structlog
from solders.pubkey import Pubkey

from actors.clock import Clock
from actors.content.documents import CardDocuments
from actors.content.store import ContentStore
from actors.data_keys import DataKeys
from actors.minting.assembler import TransactionAssembler
from actors.minting.chain_access import ChainAccess, pin_in
from actors.minting.documents import MintingDocuments
from actors.minting.fee_payer import FeePayer
from actors.minting.kinds.anchor import WriteAnchors
from actors.minting.kinds.collection import CreateCollection
from actors.minting.kinds.custody import CardWithdrawals, Sweeps, Token, Withdrawals
from actors.minting.kinds.kind import Kind
from actors.minting.kinds.mint import MintCopies
from actors.minting.kinds.move import MoveAssets
from actors.minting.kinds.nonces import AdvanceNonces, CreateNonces
from actors.minting.kinds.swaps import OpenSwaps, SendSwaps
from actors.minting.pipeline import Pipeline, PipelineLimits
from actors.minting.ports import ChainFault
from chain.rpc.client import ChainRpc
from chain.signing import SignerRefused, SignerUnavailable
from chain.standards.metaplex import metaplex_secret
from chain.standards.registry import STANDARDS, WITHOUT_SECRET, minting_standards
from chain.standards.standard import Standard
from chain.storage.files import ContentFiles
from chain.transactions.swap_message import LOCAL_VERSIONS, SwapBuilder
from chain.wallets.custody import Wallets
from chain.wallets.envelope import EnvelopeCipher
from chain.wallets.key_files import WalletSecrets
from chain.wallets.platform_keys import KeySources, PlatformKeys
from domain.ledger.currencies import USDC
from persistence.chain.jobs import ChainJobs
from persistence.chain.status import ActorReport, ChainStatus, EndpointReport
from persistence.content.index import ContentIndex
from persistence.jobs.notifications import listen_for_jobs
from persistence.keys.data_keys import DataKeyRows
from persistence.minting.assets import Assets, Changed
from persistence.minting.moves import Moves
from persistence.postgres.errors import StoreError, StoreUnavailable
from persistence.postgres.pool import Pool, close_pool, open_pool
from persistence.redis.announcements import MINTS_CHANNEL, USERS_CHANNEL, Announcer
from persistence.wallets.cards import Cards
from persistence.wallets.chain_jobs import add_chain_jobs
from persistence.wallets.custody import CustodialWallets
from persistence.wallets.payouts import Payouts
from persistence.wallets.swap_sending import SwapSending

log = structlog.get_logger()

CHAIN_JOBS_CHANNEL = "chain_jobs"
CONNECTIONS_MAX = 4
DATABASE_RETRY_S = 0.25
REPORT_S = 2.0
SIGNER_RETRY_S = 5.0
# Of the rate that is reported, what an older time counts for.
RATE_SMOOTHING = 0.7


@dataclass(frozen=True)
class MintingConfig:
    """The configuration of an actor, which reads no environment. Pickled to the actor's process."""

    index: int
    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    rpc_urls: tuple[str, ...] = field(repr=False)
    keys: KeySources = field(repr=False)
    wallet_secrets: WalletSecrets = field(repr=False)
    content_dir: Path
    media_dir: Path | None
    usdc_mint: str | None
    # The chain is a local one, which gives SOL away.
    faucet: bool
    # The kinds of jobs that new content gets, which copy it to other services.
    copy_jobs: tuple[str, ...] = ()
    limits: PipelineLimits = field(default_factory=PipelineLimits)

    @property
    def name(self) -> str:
        return f"minting-{self.index}"


class MintingMember:
    """An actor at work. ``run`` until it is cancelled."""

    def __init__(
        self, config: MintingConfig, pool: Pool, rpc: ChainRpc, announcer: Announcer,
        standards: Mapping[str, Standard] = WITHOUT_SECRET,
    ) -> None:  # fmt: skip
        keys = PlatformKeys(config.keys)
        payer = keys.fee_payer(config.index)
        self._config = config
        self._keys = keys
        self._standards = dict(standards)
        self._rpc = rpc
        self._announcer = announcer
        self._status = ChainStatus(pool)
        self._payer = FeePayer(rpc, payer.address, faucet=config.faucet)
        self._rate = 0.0
        assembler = TransactionAssembler(rpc, payer, [keys.authority, keys.vault, keys.treasury])
        now_ms = Clock().now_ms
        self._data_keys = DataKeys(DataKeyRows(pool), EnvelopeCipher(config.wallet_secrets, now_ms), now_ms)
        wallets = Wallets(CustodialWallets(pool), self._data_keys.cipher)
        kinds = all_kinds(config, pool, rpc, keys, wallets, self._standards, self._changed, self._notified)
        worker = f"{config.name}:{os.getpid()}"
        self.pipeline = Pipeline(
            ChainJobs(pool), ChainAccess(rpc), assembler, kinds, payer.address, worker, config.limits
        )
        self.pipeline.paused = "the fee payer was not looked at yet"

    async def run(self) -> None:
        """Work, and report. Raises CannotDecrypt, StoreUnavailable where it can't begin."""
        await self._data_keys.open()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._data_keys.run(), name="data-keys")
            tasks.create_task(self.pipeline.run(), name="minting")
            tasks.create_task(self._report_for_ever(), name="minting-report")
            tasks.create_task(self._learn_standards(), name="minting-standards")
            tasks.create_task(
                listen_for_jobs(self._config.database_url, self.pipeline.wake, CHAIN_JOBS_CHANNEL),
                name="chain-job-notifications",
            )

    async def _learn_standards(self) -> None:
        """Ask the signer again that did not answer at the start. Until then jobs of its standard wait."""
        while not all(one.can_create for one in self._standards.values()):
            await asyncio.sleep(SIGNER_RETRY_S)
            found = await minting_standards_of(self._keys)
            self._standards.clear()
            self._standards.update(found)

    async def _report_for_ever(self) -> None:
        done, loop = 0, asyncio.get_running_loop()
        since = loop.time()
        while True:
            try:
                self.pipeline.paused = await self._payer.look()
            except ChainFault as fault:
                log.debug("balance_unknown", error=str(fault))
                if self._payer.balance is None:
                    self.pipeline.paused = f"the balance of the fee payer is unknown: {fault}"
            if self.pipeline.paused is None:
                self.pipeline.wake()
            jobs_done, now = self.pipeline.follower.counts.jobs_done, loop.time()
            rate = (jobs_done - done) / max(now - since, 0.001)
            self._rate = RATE_SMOOTHING * self._rate + (1 - RATE_SMOOTHING) * rate
            done, since = jobs_done, now
            with suppress(StoreError):
                await self._status.report(self.report())
            await asyncio.sleep(REPORT_S if self.pipeline.paused is None else REPORT_S / 4)

    def report(self) -> ActorReport:
        """How it stands."""
        follower, counts = self.pipeline.follower, self.pipeline.follower.counts
        return ActorReport(
            self._config.name, str(self._payer.address), self._payer.balance, follower.in_flight,
            counts.ended["landed"], counts.jobs_done, round(self._rate, 2),
            self.pipeline.paused or self.pipeline.trouble, counts,
            [EndpointReport(one.state, one.lag) for one in self._rpc.endpoints()],
        )  # fmt: skip

    def _changed(self, mints: Sequence[Changed]) -> None:
        """Announce requests that have changed; gateways read them from the database."""
        if mints:
            self._announcer.publish(MINTS_CHANNEL, msgspec.msgpack.encode([one.mint for one in mints]))
        self._notified([one.requester for one in mints if one.finished])

    def _notified(self, users: Sequence[int]) -> None:
        if users:
            self._announcer.publish(USERS_CHANNEL, msgspec.msgpack.encode(sorted(set(users))))


def all_kinds(
    config: MintingConfig, pool: Pool, rpc: ChainRpc, keys: PlatformKeys, wallets: Wallets,
    standards: Mapping[str, Standard], changed: Callable[[Sequence[Changed]], None],
    notified: Callable[[Sequence[int]], None],
) -> list[Kind]:  # fmt: skip
    """Every kind of job for the chain. A new kind is a line here."""
    clock, assets = Clock(), Assets(pool)
    store = ContentStore(ContentIndex(pool), ContentFiles(config.content_dir), clock.now_ms, config.copy_jobs)
    documents = MintingDocuments(pool, CardDocuments(store, config.media_dir))
    authority = keys.authority.address
    return [
        CreateCollection(assets, rpc, authority, documents.of_collection, standards),
        MintCopies(assets, rpc, authority, wallets.custodial_addresses, documents.of_copies, changed, standards),
        MoveAssets(Moves(pool), rpc, wallets, CustodialWallets(pool), keys.vault),
        CardWithdrawals(Cards(pool, add_chain_jobs), rpc, wallets, clock.now_ms),
        *_of_money(config, pool, rpc, keys, wallets),
        WriteAnchors(authority, clock.now_ms),
        *_of_swaps(config, pool, rpc, keys),
    ]


def _of_swaps(config: MintingConfig, pool: Pool, rpc: ChainRpc, keys: PlatformKeys) -> list[Kind]:
    """Kinds of swaps between outside wallets. Gateways have checked that the chain takes their transactions."""
    now_ms, sending, authority = Clock().now_ms, SwapSending(pool), keys.authority.address
    mint = None if config.usdc_mint is None else Pubkey.from_string(config.usdc_mint)
    builder = SwapBuilder(mint, LOCAL_VERSIONS)
    return [
        CreateNonces(rpc, authority),
        AdvanceNonces(sending, rpc, authority),
        OpenSwaps(sending, rpc, builder, now_ms),
        SendSwaps(sending, rpc, lambda: [keys.authority, *keys.known_fee_payers()], now_ms),
    ]


def _of_money(config: MintingConfig, pool: Pool, rpc: ChainRpc, keys: PlatformKeys, wallets: Wallets) -> list[Kind]:
    """Kinds that move USDC; none without its mint."""
    if config.usdc_mint is None:
        return []
    token = Token(USDC, Pubkey.from_string(config.usdc_mint))

    async def refill(address: Pubkey, amount: int) -> None:
        await rpc.call("ece_airdropUsdc", [str(address), amount], str)

    payouts = Payouts(pool, add_chain_jobs)
    return [
        Withdrawals(payouts, rpc, token, keys.treasury, Clock().now_ms, refill if config.faucet else None),
        Sweeps(wallets, token),
    ]


@asynccontextmanager
async def minting_member(config: MintingConfig) -> AsyncIterator[MintingMember]:
    """An actor with its connections open. Waits while the database is unavailable."""
    async with AsyncExitStack() as stack:
        pool = await _open_pool(config.database_url)
        stack.push_async_callback(close_pool, pool)
        rpc = ChainRpc(config.rpc_urls, pin=pin_in(config.database_url))
        await rpc.start()
        stack.push_async_callback(rpc.stop)
        announcer = Announcer(config.redis_url)
        announcer.start()
        stack.push_async_callback(announcer.stop)
        standards = await minting_standards_of(PlatformKeys(config.keys))
        yield MintingMember(config, pool, rpc, announcer, standards)


async def minting_standards_of(keys: PlatformKeys) -> Mapping[str, Standard]:
    """What this actor can create, and what it can create once the signer has answered."""
    try:
        return minting_standards(await metaplex_secret(keys.authority))
    except SignerUnavailable as error:
        log.warning("metaplex_core_waits", reason=str(error))
        return STANDARDS
    except SignerRefused as error:
        log.warning("no_metaplex_core", reason=str(error))
        return WITHOUT_SECRET


async def _open_pool(database_url: str) -> Pool:
    while True:
        try:
            return await open_pool(database_url, size_max=CONNECTIONS_MAX)
        except StoreUnavailable as error:
            log.warning("waiting_for_database", error=str(error))
            await asyncio.sleep(DATABASE_RETRY_S)
