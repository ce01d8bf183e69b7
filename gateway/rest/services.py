"""The services of the gateway's routes. Made once, when the process starts; tests make their own."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Protocol, TypedDict

from fastapi import Depends
from prometheus_client import CollectorRegistry
from starlette.requests import HTTPConnection

from actors.stream.messages import Answer, Request
from gateway.identity.credentials import Credentials
from gateway.identity.passwords.hasher import PasswordHasher
from gateway.identity.sessions.activity import SessionActivity
from gateway.identity.sessions.ending import Sessions
from gateway.identity.tokens import TokenIssuer
from gateway.limits.limiter import Limiter
from gateway.rest.analytics.services import AnalyticsReading
from gateway.rest.catalog.services import Catalog
from gateway.rest.content.services import ContentService
from gateway.rest.identity.services import AccountServices
from gateway.rest.ledger.services import Money
from gateway.rest.limits import Limits
from gateway.rest.mints.services import Minting
from gateway.rest.notifications.services import Watching
from gateway.rest.profiles.services import ProfileServices
from gateway.rest.sales.services import Sales
from gateway.rest.scans.services import Scans
from gateway.rest.wallets.services import WalletServices
from gateway.rest.ways_in.services import WaysIn
from gateway.trades.services import Trades
from persistence.auctions.reading import AuctionHistory, AuctionListing
from persistence.audit.trail import AuditTrail
from persistence.identity.api_keys import ApiKeys
from persistence.identity.roles import RoleStore
from persistence.identity.store import RefreshTokens, UserStore
from persistence.jobs.store import JobStore
from persistence.log.anchors import Anchors
from persistence.placement.directory import Directory
from persistence.postgres.idempotency import IdempotencyKeys
from persistence.trades.lists import TradeLists


class Hosts(Protocol):
    """The router (``actors.routing.router.Router``). Never raises for outages: the answer is ``Refused`` then."""

    async def ask(self, request: Request, timeout_s: float = 5.0) -> Answer: ...


class IdentityServices(TypedDict):
    """Those of ``Services`` that know who users are and what they may do: they are made together."""

    users: UserStore
    refresh_tokens: RefreshTokens
    sessions: Sessions
    ways_in: WaysIn
    accounts: AccountServices
    tokens: TokenIssuer
    credentials: Credentials
    roles: RoleStore
    api_keys: ApiKeys
    activity: SessionActivity | None


@dataclass(frozen=True)
class Services:
    """``probes`` say whether a part works: they return, or raise; ``now_ms`` is the server's clock."""

    users: UserStore
    refresh_tokens: RefreshTokens
    sessions: Sessions
    ways_in: WaysIn
    accounts: AccountServices
    idempotency: IdempotencyKeys
    listing: AuctionListing
    history: AuctionHistory
    money: Money
    catalog: Catalog
    content: ContentService
    scans: Scans
    sales: Sales
    watching: Watching
    profiles: ProfileServices
    trade_lists: TradeLists
    trades: Trades
    analytics: AnalyticsReading
    wallets: WalletServices
    minting: Minting
    anchors: Anchors
    jobs: JobStore
    audit: AuditTrail
    directory: Directory
    router: Hosts
    tokens: TokenIssuer
    credentials: Credentials
    roles: RoleStore
    api_keys: ApiKeys
    passwords: PasswordHasher
    now_ms: Callable[[], int]
    limits: Limits = field(default_factory=Limits)
    limiter: Limiter = field(default_factory=Limiter)
    probes: Mapping[str, Callable[[], Awaitable[object]]] = field(default_factory=dict)
    # What notes the last use of sessions; None: nothing does.
    activity: SessionActivity | None = None
    # The folder of pictures; None if there are none.
    media_dir: Path | None = None
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)


async def services_of(connection: HTTPConnection) -> Services:
    """The services of the app that a request or a WebSocket came to."""
    services: Services = connection.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(services_of)]
