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

import structlog
import uvicorn
import uvloop
from fastapi import FastAPI
from prometheus_client import ProcessCollector
from prometheus_client.registry import Collector

from actors.clock import Clock
from actors.routing.router import Router
from ece.data_dir import DataDir, with_secrets
from ece.logs import configure_logs
from ece.processes.gateway_limits import (
    money_rules,
    open_connections,
    raise_file_limit,
    rest_limits,
    session_limits,
    sockets_limit,
)
from ece.processes.gc_tuning import tune_gc
from ece.settings import Settings, load_settings, revealed
from gateway.app import create_app
from gateway.fanout.channels import FanOutCounts
from gateway.fanout.entity_channels import EntityChannels
from gateway.fanout.hub import Hub, topics_of
from gateway.fanout.user_channels import UserChannels
from gateway.http.address_limit import AddressLimit
from gateway.http.connections import Connections
from gateway.http.protocol import HttpProtocol
from gateway.identity.passwords import PasswordHasher
from gateway.identity.tokens import TokenIssuer
from gateway.monitoring.exposition import CatalogMetrics, ConnectionMetrics, HubMetrics, SocketMetrics, WaitingMetrics
from gateway.monitoring.fleet_metrics import FleetMetrics
from gateway.rest.analytics.services import AnalyticsReading
from gateway.rest.catalog.services import Catalog
from gateway.rest.ledger.services import Money
from gateway.rest.notifications.services import Watching
from gateway.rest.sales.services import Sales
from gateway.rest.services import Services
from gateway.websocket.admission import Admission
from gateway.websocket.operations.table import OPERATIONS
from gateway.websocket.protocol import SocketProtocol
from gateway.websocket.sockets import Sockets
from gateway.websocket.traffic import Traffic
from persistence.analytics.market import MarketReading
from persistence.analytics.portfolios import PortfolioReading
from persistence.auctions.reading import AuctionHistory, AuctionListing
from persistence.catalog.cache import CatalogCache
from persistence.catalog.reading import CatalogReading
from persistence.catalog.view import CatalogView
from persistence.catalog.writing import CatalogWriting
from persistence.identity.store import RefreshTokens, UserStore
from persistence.jobs.store import JobStore
from persistence.ledger.reading import LedgerReading
from persistence.ledger.store import Ledger
from persistence.ledger.withdrawals import Withdrawals
from persistence.notifications.saved_searches import SavedSearches
from persistence.notifications.store import Notifications
from persistence.notifications.watches import Watches
from persistence.placement.directory import Directory
from persistence.postgres.errors import StoreUnavailable
from persistence.postgres.idempotency import IdempotencyKeys
from persistence.postgres.pool import Pool, close_pool, open_pool, pool_use, probe
from persistence.redis.announcements import Listener
from persistence.sales.copies import Copies
from persistence.sales.listings import Listings
from persistence.sales.second_chances import SecondChances
from persistence.sales.seller_tiers import SellerTiers
from persistence.sales.settlement import Settlements

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
        app, sockets = await stack.enter_async_context(gateway(settings, connections))
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
async def gateway(settings: Settings, connections: Connections) -> AsyncIterator[tuple[FastAPI, Sockets]]:
    """The app and its sockets, with everything started that they need."""
    clock = Clock()
    pool = await _open_pool(revealed(settings.database_url), settings.database_pool_max)
    history = AuctionHistory(pool)
    tokens = TokenIssuer(revealed(settings.jwt_secret), settings.access_token_ttl_s)
    passwords = PasswordHasher(settings.bcrypt_cost, at_once_max=settings.passwords_at_once)
    router = Router(Directory(pool), revealed(settings.cluster_secret).encode(), settings.slots, clock)
    redis_url = revealed(settings.redis_url)
    cache, counts = CatalogCache(redis_url), FanOutCounts()
    users = UserChannels(Notifications(pool), clock.now_ms)
    auctions = EntityChannels("auction", router, history, counts)
    listener = Listener(redis_url, topics_of([auctions, users]))
    hub = Hub(router, listener, [auctions, users], counts, clock.now_ms)
    sockets = _sockets(settings, connections, router, hub, tokens, clock)
    services = Services(
        users=UserStore(pool),
        refresh_tokens=RefreshTokens(pool),
        idempotency=IdempotencyKeys(pool),
        listing=AuctionListing(pool),
        history=history,
        money=Money(Ledger(pool), LedgerReading(pool), Withdrawals(pool), money_rules(settings)),
        catalog=Catalog(CatalogView(pool, cache), CatalogReading(pool), CatalogWriting(pool)),
        sales=Sales(Copies(pool), Listings(pool), Settlements(pool), SecondChances(pool), SellerTiers(pool)),
        watching=Watching(Watches(pool), SavedSearches(pool), Notifications(pool)),
        analytics=AnalyticsReading(PortfolioReading(pool), MarketReading(pool)),
        jobs=JobStore(pool),
        router=router,
        tokens=tokens,
        passwords=passwords,
        now_ms=clock.now_ms,
        limits=rest_limits(settings),
        probes=probes(pool, hub, listener, router),
        media_dir=DataDir(settings.data_dir).media,
    )
    app = create_app(services)
    waiting = WaitingMetrics(passwords, partial(pool_use, pool))
    _measure(
        services, ConnectionMetrics(connections), SocketMetrics(sockets), HubMetrics(hub), FleetMetrics(router),
        waiting, CatalogMetrics(cache),
    )  # fmt: skip
    app.state.sockets = sockets
    await router.start()
    hub.start()
    connections.start()
    try:
        yield app, sockets
    finally:
        await connections.stop()
        await hub.stop()
        await router.stop()
        passwords.close()
        await cache.close()
        await close_pool(pool)


def _sockets(
    settings: Settings, connections: Connections, router: Router, hub: Hub, tokens: TokenIssuer, clock: Clock
) -> Sockets:
    by_address = AddressLimit(settings.connections_per_address_max, settings.proxies)
    return Sockets(
        OPERATIONS, router, hub, tokens, session_limits(settings), Admission(), Traffic(),
        sockets_limit(settings, connections), by_address, clock.now_ms,
    )  # fmt: skip


def _measure(services: Services, *metrics: Collector) -> None:
    for one in metrics:
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
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    settings = with_secrets(settings, DataDir(settings.data_dir))
    try:
        tune_gc()
        uvloop.run(serve(settings))
    except NotReady as error:
        log.error("gateway_failed", error=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
