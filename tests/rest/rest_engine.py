"""The gateway's app over a real PostgreSQL and a real host in this process: no Ray, no sockets, no Redis."""

import asyncio
import itertools
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from auction_requests import refused
from fastapi import FastAPI
from solders.pubkey import Pubkey

from actors.clock import Clock
from actors.content.store import ContentStore
from actors.hosting.host import Host
from actors.hosting.limits import HostLimits
from actors.scanning.scanner import Scanner
from actors.stream.messages import Answer, Request
from chain.rpc.errors import ChainUnavailable
from chain.storage.files import ContentFiles
from chain.transactions.swap_message import PUBLIC_VERSIONS, SwapBuilder
from chain.wallets.cipher import KeyCipher
from chain.wallets.custody import Wallets
from gateway.app import create_app
from gateway.identity.access_changes import AccessChangeFeed
from gateway.identity.api_keys import ApiKeyCheck
from gateway.identity.credentials import Credentials
from gateway.identity.openid import OpenIdProviders, Provider
from gateway.identity.passwords.hasher import PasswordHasher
from gateway.identity.second_factor import SecondFactorCheck
from gateway.identity.sessions.ending import Sessions
from gateway.identity.tokens import TokenIssuer
from gateway.rest.analytics.services import AnalyticsReading
from gateway.rest.catalog.services import catalog_services
from gateway.rest.content.services import ContentService
from gateway.rest.identity.services import AccountServices
from gateway.rest.ledger.services import Money, MoneyRules
from gateway.rest.limits import Limits
from gateway.rest.mints.services import Minting
from gateway.rest.notifications.services import PushServices, Watching
from gateway.rest.profiles.services import profile_services
from gateway.rest.sales.services import Sales
from gateway.rest.scans.services import Scans
from gateway.rest.services import IdentityServices, Services
from gateway.rest.wallets.services import SignInSite, SwapServices, WalletServices
from gateway.rest.ways_in.openid import CALLBACK_PATH
from gateway.rest.ways_in.services import Site, WaysIn
from gateway.trades.commands import TradeCommands
from gateway.trades.services import Trades
from persistence.analytics.activity import UserActivity
from persistence.analytics.market import MarketReading
from persistence.analytics.portfolios import PortfolioReading
from persistence.auctions.reading import AuctionHistory, AuctionListing
from persistence.audit.trail import AuditTrail
from persistence.catalog.cache import CatalogCache
from persistence.catalog.fingerprints import CardFingerprints
from persistence.chain.status import ChainStatus
from persistence.content.index import ContentIndex
from persistence.identity.access_changes import AccessChanges
from persistence.identity.api_keys import ApiKeys
from persistence.identity.challenges import LogInChallenges
from persistence.identity.identities import Identities
from persistence.identity.mail_addresses import MailAddresses
from persistence.identity.mail_tokens import MailTokens, TokenMaker
from persistence.identity.passkeys import Passkeys
from persistence.identity.passwords import Passwords
from persistence.identity.roles import RoleStore
from persistence.identity.sessions import SessionStore
from persistence.identity.store import RefreshTokens, UserStore
from persistence.jobs.store import JobStore
from persistence.keys.emails import EmailCipher
from persistence.keys.exports import ExportCipher
from persistence.ledger.bid_holds import BidHolds
from persistence.ledger.reading import LedgerReading
from persistence.ledger.store import Ledger
from persistence.ledger.withdrawals import Withdrawals
from persistence.log.anchors import Anchors
from persistence.log.event_log import EventLog
from persistence.log.snapshots import SnapshotStore
from persistence.minting.ownership import Ownership
from persistence.minting.reading import Mints
from persistence.minting.requests import MintRequests
from persistence.notifications.saved_searches import SavedSearches
from persistence.notifications.store import Notifications
from persistence.notifications.watches import Watches
from persistence.placement.directory import Directory
from persistence.postgres.idempotency import IdempotencyKeys
from persistence.postgres.pool import Pool, close_pool, open_pool
from persistence.push.subscriptions import PushSubscriptions
from persistence.push.vapid import VapidKey
from persistence.sales.copies import Copies
from persistence.sales.copy_locks import CopyLocks
from persistence.sales.listing_costs import SellerCosts
from persistence.sales.listings import Listings
from persistence.sales.second_chances import SecondChances
from persistence.sales.seller_tiers import SellerTiers
from persistence.sales.settlement import Settlements
from persistence.summary_tables import SUMMARY_TABLES
from persistence.trades.checks import TradeChecks
from persistence.trades.history import TradeHistory
from persistence.trades.lists import TradeLists
from persistence.trades.preferences import TradePreferences
from persistence.trades.reading import TradeReading
from persistence.trades.values import CopyValues
from persistence.wallets.cards import Cards
from persistence.wallets.chain_jobs import add_chain_jobs
from persistence.wallets.custody import CustodialWallets
from persistence.wallets.deposits import Deposits
from persistence.wallets.links import LinkedWallets
from persistence.wallets.second_factors import SecondFactors
from persistence.wallets.swaps import Swaps

SECRET = "a-secret-of-at-least-thirty-two-characters"
PASSWORD = "correct horse battery"
TREASURY = str(Pubkey.new_unique())
USDC_MINT = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
# Nothing listens there, and nothing asks.
SLOTS = 8
USD = 1_000_000

_numbers = itertools.count(1)


class NoNews:
    """Nobody listens here."""

    def publish(self, channel: str, message: bytes) -> None:
        pass


class KnownHolders:
    """A chain that says what is known, or does not answer."""

    answers = True

    async def holders(self, held: Sequence[tuple[str, str, str]]) -> list[tuple[str | None, int]]:
        if not self.answers:
            raise ChainUnavailable("nobody answers")
        return [(holder, 1_000) for _, _, holder in held]


class HostRouter:
    """Straight to the host. ``outage`` answers ``unavailable``; ``lost_answers`` lets that many happen first."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.outage = False
        self.lost_answers = 0

    async def ask(self, request: Request, timeout_s: float = 5.0) -> Answer:
        lost = refused("unavailable", self._host.clock.now_ms(), retry_after_ms=500)
        if self.outage:
            return lost
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._host.submit(request, next(_numbers), lambda _id, answer: answered.set_result(answer))
        answer = await asyncio.wait_for(answered, timeout_s)
        if self.lost_answers:
            self.lost_answers -= 1
            return lost
        return answer


@dataclass
class Person:
    """A registered user with a client that sends their token."""

    engine: "RestEngine"
    id: str
    name: str
    token: str

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.engine.request("GET", path, token=self.token, **options)

    async def post(self, path: str, body: Any = None, key: str | None = None, **options: Any) -> httpx.Response:
        key = key or f"key-{next(_numbers)}"
        return await self.engine.request("POST", path, json=body, token=self.token, key=key, **options)

    async def open_auction(self, **terms: Any) -> dict[str, Any]:
        body = {"title": "Charizard", "starting_price": USD, "duration_ms": 3_600_000} | terms
        answer = await self.post("/auctions", body)
        assert answer.status_code == 201, answer.text
        state: dict[str, Any] = answer.json()
        return state


@dataclass
class RestEngine:
    """The app, and what a test wants to reach behind it."""

    app: FastAPI
    http: httpx.AsyncClient
    services: Services
    router: HostRouter
    host: Host
    pool: Pool
    # Entities whose summary rows have changed.
    moved: set[int]

    async def request(
        self, method: str, path: str, *, token: str | None = None, key: str | None = None, **options: Any
    ) -> httpx.Response:
        headers = dict(options.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if key is not None:
            headers["Idempotency-Key"] = key
        return await self.http.request(method, path, headers=headers, **options)

    async def person(self, name: str | None = None, role: str | None = None) -> Person:
        """Someone new, with a token, as if they had logged in."""
        name = name or f"user{next(_numbers)}"
        user = (await self.services.users.provision([name], role))[name]
        token = self.services.tokens.issue(user.user_id, name, user.roles, self.services.now_ms() // 1000)
        me = await self.request("GET", "/users/me", token=token)
        return Person(self, me.json()["id"], name, token)


def wallets(pool: Pool) -> WalletServices:
    cipher = KeyCipher(lambda: [SECRET])
    site = SignInSite("cards.example", "https://cards.example", "solana:localnet")
    check = SecondFactorCheck(SecondFactors(pool), cipher)
    custody, cards = Wallets(CustodialWallets(pool), cipher), Cards(pool, add_chain_jobs)
    builder = SwapBuilder(Pubkey.from_string(USDC_MINT), PUBLIC_VERSIONS)
    swaps = SwapServices(Swaps(pool), builder, TREASURY)
    return WalletServices(
        custody, LinkedWallets(pool), check, site, Deposits(pool), cards, usdc_mint=USDC_MINT, swaps=swaps
    )


def ways_in(pool: Pool, providers: Mapping[str, Provider], emails: EmailCipher | None) -> WaysIn:
    site = Site("https://cards.example", "solana:localnet", frozenset({"https://app.example/in"}))
    clients = OpenIdProviders(providers, site.public_url, CALLBACK_PATH)
    identities = Identities(pool, UserStore(pool, emails), emails)
    return WaysIn(identities, Passkeys(pool), LogInChallenges(pool), clients, site)


def contents(pool: Pool, directory: Path | None, clock: Clock) -> ContentStore:
    files = ContentFiles(directory or Path(tempfile.gettempdir()) / "no-content")
    return ContentStore(ContentIndex(pool), files, clock.now_ms)


# Whom the subscriptions of tests may name.
PUSH_SERVICE = "http://localhost"


def accounts(pool: Pool, demanded: bool, emails: EmailCipher | None) -> AccountServices:
    passwords, addresses, tokens = Passwords(pool, emails), MailAddresses(pool, emails), MailTokens(pool, emails)
    return AccountServices(passwords, addresses, tokens, TokenMaker(SECRET), verification_demanded=demanded)


def identity(
    pool: Pool, clock: Clock, providers: Mapping[str, Provider], demanded: bool, emails: EmailCipher | None
) -> IdentityServices:
    """Tests read the changes themselves."""
    tokens, changes = TokenIssuer(SECRET, 900), AccessChangeFeed(AccessChanges(pool), 1_000_000, clock.now_ms)
    keys = ApiKeyCheck(ApiKeys(pool), clock.now_ms, verification_demanded=demanded)
    return IdentityServices(
        users=UserStore(pool, emails),
        refresh_tokens=RefreshTokens(pool),
        sessions=Sessions(SessionStore(pool), RefreshTokens(pool), changes=changes),
        ways_in=ways_in(pool, providers, emails),
        accounts=accounts(pool, demanded, emails),
        tokens=tokens,
        credentials=Credentials(tokens, keys, changes, clock.now_ms),
        roles=RoleStore(pool),
        api_keys=ApiKeys(pool),
        activity=None,
    )


def sales(pool: Pool) -> Sales:
    return Sales(
        Copies(pool), Listings(pool), Settlements(pool), SecondChances(pool), SellerTiers(pool), SellerCosts(pool)
    )


def trades(pool: Pool, router: "HostRouter", clock: Clock) -> Trades:
    check = SecondFactorCheck(SecondFactors(pool), KeyCipher(lambda: [SECRET]))
    commands = TradeCommands(router, IdempotencyKeys(pool), TradeChecks(pool), check, clock.now_ms)
    return Trades(commands, TradeReading(pool), TradePreferences(pool), CopyValues(pool), TradeHistory(pool))


def minting(pool: Pool) -> Minting:
    return Minting(MintRequests(pool), Mints(pool), ChainStatus(pool), Ownership(pool), KnownHolders())


def _host(event_log: EventLog, clock: Clock, holds: BidHolds | None, locks: CopyLocks, moved: set[int]) -> Host:
    host = Host(
        event_log, SnapshotStore(event_log.pool), NoNews(), slots_total=SLOTS, limits=HostLimits(), clock=clock,
        holds=holds, copy_locks=locks, summarised=lambda entity: moved.add(entity.id),
    )  # fmt: skip
    host.ownership.slots = frozenset(range(SLOTS))
    return host


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def client_of(app: FastAPI) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://ece/api/v1")


async def _stopped(running: asyncio.Task[None], holds: BidHolds | None) -> None:
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    if holds is not None:
        await holds.close()


def watching(pool: Pool) -> Watching:
    pushes = PushServices(PushSubscriptions(pool), VapidKey(SECRET).public, [PUSH_SERVICE])
    return Watching(Watches(pool), SavedSearches(pool), Notifications(pool), pushes)


@asynccontextmanager
async def rest_engine(
    database_url: str,
    limits: Limits | None = None,
    rules: MoneyRules | None = None,
    media_dir: Path | None = None,
    content_dir: Path | None = None,
    cache: CatalogCache | None = None,
    covered: bool = False,
    providers: Mapping[str, Provider] | None = None,
    verification_demanded: bool = False,
    emails: EmailCipher | None = None,
    exports: ExportCipher | None = None,
) -> AsyncIterator[RestEngine]:
    """Everything open, and closed at the end. ``covered``: bids need a balance."""
    pool = await open_pool(database_url, size_max=4)
    event_log = EventLog(database_url, SUMMARY_TABLES)
    await event_log.open()
    clock, locks = Clock(), CopyLocks(database_url)
    holds, moved = BidHolds(database_url) if covered else None, set[int]()
    await (host := _host(event_log, clock, holds, locks, moved)).prepare()
    running = asyncio.create_task(host.run())
    router, passwords, scanner = HostRouter(host), PasswordHasher(4), Scanner(answer_within_s=60)
    services = Services(
        **identity(pool, clock, providers or {}, verification_demanded, emails),
        idempotency=IdempotencyKeys(pool),
        listing=AuctionListing(pool),
        history=AuctionHistory(pool),
        money=Money(Ledger(pool), LedgerReading(pool), Withdrawals(pool), rules or MoneyRules(faucet=True)),
        catalog=catalog_services(pool, cache),
        content=ContentService(contents(pool, content_dir, clock), scanner),
        scans=Scans(scanner, CardFingerprints(pool)),
        sales=sales(pool),
        watching=watching(pool),
        profiles=profile_services(pool, exports),
        trade_lists=TradeLists(pool),
        trades=trades(pool, router, clock),
        analytics=AnalyticsReading(PortfolioReading(pool), MarketReading(pool), UserActivity(pool)),
        wallets=wallets(pool),
        minting=minting(pool),
        anchors=Anchors(pool),
        jobs=JobStore(pool),
        audit=AuditTrail(pool),
        directory=Directory(pool),
        router=router,
        passwords=passwords,
        now_ms=clock.now_ms,
        limits=limits or Limits(),
        media_dir=media_dir,
    )
    try:
        async with client_of(app := create_app(services)) as http:
            yield RestEngine(app, http, services, router, host, pool, moved)
    finally:
        await _stopped(running, holds)
        passwords.close()
        await scanner.close()
        await locks.close()
        await event_log.close()
        await close_pool(pool)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[RestEngine]:
    """The gateway's app over this module's database."""
    async with rest_engine(database_url) as engine:
        yield engine
