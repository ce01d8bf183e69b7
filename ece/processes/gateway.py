"""`python -m ece.processes.gateway`: one gateway, serving REST and WebSockets under uvicorn. Needs no Ray.

SIGTERM: no new clients, open sockets are closed with 1012 (reconnect), requests in progress are finished.
"""

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from functools import partial
from typing import Any

import structlog
import uvicorn
import uvloop
from fastapi import FastAPI
from prometheus_client import ProcessCollector

from actors.clock import Clock
from actors.data_keys import DataKeys
from actors.routing.router import Router
from actors.scanning.scanner import REENCODED_WITHIN_S, Scanner
from chain.rpc.client import ChainRpc
from chain.wallets.cipher import CannotDecrypt
from chain.wallets.holdings import Holdings
from domain.rate_limit import per_second
from ece.data_dir import DataDir, with_secrets
from ece.logs import configure_logs
from ece.processes.chain_client import chain_client
from ece.processes.content import content_store
from ece.processes.data_keys import opened_keys
from ece.processes.gateway_identity import IdentityParts, loaded_identity, push_services
from ece.processes.gateway_limits import (
    money_rules,
    open_connections,
    raise_file_limit,
    rest_limits,
    session_limits,
    sockets_limit,
)
from ece.processes.gateway_trades import trade_services
from ece.processes.gateway_wallets import payouts_of, wallet_services
from ece.processes.gc_tuning import tune_gc
from ece.settings import Settings, load_settings, revealed
from gateway.app import create_app
from gateway.fanout.channels import ChannelSource, FanOutCounts
from gateway.fanout.entity_channels import EntityChannels, UpdatePages
from gateway.fanout.hub import Hub, topics_of
from gateway.fanout.mint_channels import MintChannels
from gateway.fanout.trade_channels import TradeChannels
from gateway.fanout.user_channels import UserChannels
from gateway.http.address_limit import AddressLimit
from gateway.http.connections import Connections
from gateway.http.protocol import TLS_CIPHERS, HttpProtocol
from gateway.identity.exports import ExportEncryption
from gateway.identity.passwords.hasher import PasswordHasher
from gateway.limits.leases import Leases
from gateway.limits.limiter import Limiter
from gateway.monitoring.exposition import (
    CatalogMetrics,
    ConnectionMetrics,
    HubMetrics,
    RateLimitMetrics,
    SocketMetrics,
    WaitingMetrics,
)
from gateway.monitoring.fleet_metrics import FleetMetrics
from gateway.rest.analytics.services import AnalyticsReading
from gateway.rest.catalog.services import catalog_services
from gateway.rest.content.services import ContentService
from gateway.rest.ledger.services import Money
from gateway.rest.mints.services import CORE, TOKEN_2022, Minting
from gateway.rest.notifications.services import Watching
from gateway.rest.profiles.services import profile_services
from gateway.rest.sales.services import Sales
from gateway.rest.scans.services import Scans
from gateway.rest.services import Services
from gateway.trades.services import Trades
from gateway.websocket.admission import Admission
from gateway.websocket.operations.table import OPERATIONS
from gateway.websocket.protocol import SocketProtocol
from gateway.websocket.sockets import Sockets
from gateway.websocket.traffic import Traffic
from persistence.analytics.activity import UserActivity
from persistence.analytics.market import MarketReading
from persistence.analytics.portfolios import PortfolioReading
from persistence.auctions.reading import AuctionHistory, AuctionListing
from persistence.audit.trail import AuditTrail
from persistence.catalog.cache import CatalogCache
from persistence.catalog.fingerprints import CardFingerprints
from persistence.chain.status import ChainStatus
from persistence.jobs.store import JobStore
from persistence.ledger.reading import LedgerReading
from persistence.ledger.store import Ledger
from persistence.ledger.withdrawals import Withdrawals
from persistence.log.anchors import Anchors
from persistence.minting.ownership import Ownership
from persistence.minting.reading import Mints
from persistence.minting.requests import MintRequests
from persistence.notifications.saved_searches import SavedSearches
from persistence.notifications.store import Notifications
from persistence.notifications.watches import Watches
from persistence.placement.directory import Directory
from persistence.postgres.errors import StoreUnavailable
from persistence.postgres.idempotency import IdempotencyKeys
from persistence.postgres.pool import Pool, close_pool, open_pool, pool_use, probe
from persistence.redis.announcements import Announcer, Listener
from persistence.redis.rate_limits import RateLimits
from persistence.sales.copies import Copies
from persistence.sales.listing_costs import SellerCosts
from persistence.sales.listings import Listings
from persistence.sales.second_chances import SecondChances
from persistence.sales.seller_tiers import SellerTiers
from persistence.sales.settlement import Settlements
from persistence.trades.lists import TradeLists

log = structlog.get_logger()

DATABASE_RETRIES = 120
DATABASE_RETRY_S = 0.25
GRACE_S = 3
WEBSOCKET_PING_S = 20.0


class NotReady(Exception):
    """A dependency of bids is not available."""


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM."""
    async with AsyncExitStack() as stack:
        connections = open_connections(settings, raise_file_limit())
        rpc = await stack.enter_async_context(chain_client(settings))
        app, sockets = await stack.enter_async_context(gateway(settings, connections, rpc))
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            forwarded_allow_ips=settings.proxies,
            http=partial(HttpProtocol, connections),  # type: ignore[arg-type]
            ws=SocketProtocol,
            ws_per_message_deflate=False,
            # Frames above the limit get our own close code; far above it uvicorn needs not even buffer them.
            ws_max_size=4 * session_limits(settings).frame_bytes_max,
            ws_ping_interval=WEBSOCKET_PING_S,
            ws_ping_timeout=WEBSOCKET_PING_S,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            ssl_certfile=settings.tls_cert_file,
            ssl_keyfile=settings.tls_key_file,
            ssl_ciphers=TLS_CIPHERS,
            timeout_graceful_shutdown=GRACE_S,
        )
        server = DrainingServer(config, sockets)
        with closing(listening_socket(settings)) as listener:
            await server.serve([listener])


class DrainingServer(uvicorn.Server):
    """Closes sockets with 1012 before it stops."""

    def __init__(self, config: uvicorn.Config, sockets: Sockets) -> None:
        super().__init__(config)
        self._sockets = sockets

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # For the supervisor: from now on clients can come.
        sys.stdout.write(json.dumps({"listening": True}) + "\n")
        sys.stdout.flush()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._sockets.drain()
        await super().shutdown(sockets)


def listening_socket(settings: Settings) -> socket.socket:
    """The port, shared with the other gateways of this machine where there are several. Raises OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if settings.gateways > 1:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(address)
    return listener


@asynccontextmanager
async def gateway(
    settings: Settings, connections: Connections, rpc: ChainRpc | None = None
) -> AsyncIterator[tuple[FastAPI, Sockets]]:
    """The app and its sockets, with everything started that they need."""
    clock, redis_url, counts = Clock(), revealed(settings.redis_url), FanOutCounts()
    pool = await _open_pool(revealed(settings.database_url), settings.database_pool_max)
    passwords = PasswordHasher(settings.bcrypt_cost, at_once_max=settings.passwords_at_once)
    router = Router(Directory(pool), revealed(settings.cluster_secret).encode(), settings.slots, clock)
    cache, announcer, history = CatalogCache(redis_url), Announcer(redis_url), AuctionHistory(pool)
    sources = _channel_sources(pool, router, history, counts, announcer, clock)
    listener = Listener(redis_url, topics_of(sources))
    router.on_moved = (hub := Hub(router, listener, sources, counts, clock.now_ms)).moved
    data_keys = await opened_keys(settings, pool, clock.now_ms)
    identity = await loaded_identity(settings, pool, announcer, data_keys.cipher, clock)
    trades = trade_services(settings, pool, router, clock.now_ms, data_keys.cipher)
    limiter, leases = _rate_limits(settings)
    sockets = _sockets(settings, connections, router, hub, identity, clock, trades, leases)
    services = Services(
        **identity.services,
        idempotency=IdempotencyKeys(pool),
        listing=AuctionListing(pool),
        history=history,
        money=_money(settings, pool),
        catalog=catalog_services(pool, cache),
        content=(content := ContentService(content_store(settings, pool, clock), Scanner(REENCODED_WITHIN_S))),
        scans=(scans := Scans(Scanner(), CardFingerprints(pool))),
        sales=Sales(
            Copies(pool), Listings(pool), Settlements(pool), SecondChances(pool), SellerTiers(pool), SellerCosts(pool)
        ),
        watching=Watching(Watches(pool), SavedSearches(pool), Notifications(pool), push_services(settings, pool)),
        profiles=profile_services(pool, ExportEncryption(data_keys.cipher, settings.encrypt_emails)),
        trade_lists=TradeLists(pool),
        trades=trades,
        analytics=AnalyticsReading(PortfolioReading(pool), MarketReading(pool), UserActivity(pool)),
        wallets=wallet_services(settings, pool, rpc, data_keys.cipher),
        minting=_minting(settings, pool, rpc),
        anchors=Anchors(pool),
        jobs=JobStore(pool),
        audit=AuditTrail(pool),
        directory=Directory(pool),
        router=router,
        passwords=passwords,
        now_ms=clock.now_ms,
        limits=rest_limits(settings),
        limiter=limiter,
        probes=probes(pool, hub, listener, router),
        media_dir=DataDir(settings.data_dir).media,
    )
    app = create_app(services)
    _measure(services, connections, sockets, hub, router, pool, cache)
    app.state.sockets = sockets
    await _start(router, announcer, data_keys, identity, hub, connections)
    try:
        yield app, sockets
    finally:
        await _stop(connections, hub, identity, announcer, router, leases, limiter, data_keys)
        await asyncio.gather(scans.scanner.close(), content.scanner.close())
        await _close(passwords, cache, pool)


async def _start(router: Router, *parts: Announcer | IdentityParts | Hub | Connections | DataKeys) -> None:
    await router.start()
    for part in parts:
        part.start()


async def _stop(*parts: Connections | Hub | IdentityParts | Announcer | Router | Leases | Limiter | DataKeys) -> None:
    for part in parts:
        await part.stop()


async def _close(passwords: PasswordHasher, cache: CatalogCache, pool: Pool) -> None:
    passwords.close()
    await cache.close()
    await close_pool(pool)


def _rate_limits(settings: Settings) -> tuple[Limiter, Leases]:
    limiter = Limiter(RateLimits(revealed(settings.redis_url)), settings.limits_fail)
    return limiter, Leases(limiter, per_second(settings.account_bids_per_s, settings.account_bids_burst))


def _money(settings: Settings, pool: Pool) -> Money:
    payouts = payouts_of(settings, pool)
    return Money(Ledger(pool), LedgerReading(pool), Withdrawals(pool), money_rules(settings), payouts)


def _channel_sources(
    pool: Pool, router: Router, history: AuctionHistory, counts: FanOutCounts, announcer: Announcer, clock: Clock
) -> list[ChannelSource[Any]]:
    pages = UpdatePages()
    auctions = EntityChannels("auction", router, history, counts, pages=pages)
    trades = TradeChannels(router, history, counts, announcer, clock.now_ms, pages)
    return [auctions, trades, UserChannels(Notifications(pool), clock.now_ms), MintChannels(Mints(pool))]


def _minting(settings: Settings, pool: Pool, rpc: ChainRpc | None) -> Minting:
    """Public chains have the program of Metaplex Core, the embedded one where its file is named."""
    embedded = settings.chain_port is not None
    standards = {TOKEN_2022} if embedded and settings.mpl_core_so is None else {TOKEN_2022, CORE}
    holdings = None if rpc is None else Holdings(rpc)
    return Minting(MintRequests(pool), Mints(pool), ChainStatus(pool), Ownership(pool), holdings, frozenset(standards))


def _sockets(
    settings: Settings,
    connections: Connections,
    router: Router,
    hub: Hub,
    identity: IdentityParts,
    clock: Clock,
    trades: Trades,
    leases: Leases,
) -> Sockets:
    by_address = AddressLimit(settings.connections_per_address_max, settings.unlimited_addresses)
    return Sockets(
        OPERATIONS, router, hub, identity.services["tokens"], session_limits(settings), Admission(), Traffic(),
        sockets_limit(settings, connections), by_address, clock.now_ms, trades, leases,
        identity.activity, settings.origins, identity.services["credentials"],
    )  # fmt: skip


def _measure(
    services: Services, connections: Connections, sockets: Sockets, hub: Hub, router: Router, pool: Pool,
    cache: CatalogCache,
) -> None:  # fmt: skip
    for one in (
        ConnectionMetrics(connections), SocketMetrics(sockets), HubMetrics(hub), FleetMetrics(router),
        WaitingMetrics(services.passwords, partial(pool_use, pool)), CatalogMetrics(cache),
        RateLimitMetrics(services.limiter),
    ):  # fmt: skip
        services.registry.register(one)
    ProcessCollector(registry=services.registry)


def probes(pool: Pool, hub: Hub, listener: Listener, router: Router) -> dict[str, Callable[[], Awaitable[object]]]:
    """The checks of /readyz by name; each raises while its part is not available."""

    async def redis_answers() -> None:
        if not (hub.listening and await listener.ping()):
            raise NotReady("Redis does not answer")

    async def hosts_serve() -> None:
        if not router.ready():
            raise NotReady("not every slot has a host that can be reached")

    return {"database": partial(probe, pool), "redis": redis_answers, "hosts": hosts_serve}


async def _open_pool(database_url: str, size_max: int) -> Pool:
    for attempt in range(DATABASE_RETRIES):
        try:
            return await open_pool(database_url, size_max=size_max)
        except StoreUnavailable as error:
            if attempt % 8 == 0:
                log.warning("waiting_for_database", error=str(error))
            await asyncio.sleep(DATABASE_RETRY_S)
    raise NotReady("the database did not answer; see ECE_DATABASE_URL")


def main() -> int:
    # A spare process: by now all modules are loaded, which takes longest. An end of the input: it is not needed.
    if "--spare" in sys.argv and not sys.stdin.readline():
        return 0
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    settings = with_secrets(settings, DataDir(settings.data_dir))
    try:
        tune_gc()
        uvloop.run(serve(settings))
    except (NotReady, CannotDecrypt) as error:
        log.error("gateway_failed", error=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
