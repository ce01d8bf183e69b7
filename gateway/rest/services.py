"""The services of the gateway's routes. Made once, when the process starts; tests make their own."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Protocol

from fastapi import Depends
from prometheus_client import CollectorRegistry
from starlette.requests import HTTPConnection

from actors.stream.messages import Answer, Request
from gateway.identity.passwords import PasswordHasher
from gateway.identity.tokens import TokenIssuer
from gateway.rest.analytics.services import AnalyticsReading
from gateway.rest.catalog.services import Catalog
from gateway.rest.ledger.services import Money
from gateway.rest.limits import Limits
from gateway.rest.notifications.services import Watching
from gateway.rest.sales.services import Sales
from persistence.auctions.reading import AuctionHistory, AuctionListing
from persistence.identity.store import RefreshTokens, UserStore
from persistence.jobs.store import JobStore
from persistence.postgres.idempotency import IdempotencyKeys


class Hosts(Protocol):
    """The router (``actors.routing.router.Router``). Never raises for outages: the answer is ``Refused`` then."""

    async def ask(self, request: Request, timeout_s: float = 5.0) -> Answer: ...


@dataclass(frozen=True)
class Services:
    """``probes`` say whether a part works: they return, or raise; ``now_ms`` is the server's clock."""

    users: UserStore
    refresh_tokens: RefreshTokens
    idempotency: IdempotencyKeys
    listing: AuctionListing
    history: AuctionHistory
    money: Money
    catalog: Catalog
    sales: Sales
    watching: Watching
    analytics: AnalyticsReading
    jobs: JobStore
    router: Hosts
    tokens: TokenIssuer
    passwords: PasswordHasher
    now_ms: Callable[[], int]
    limits: Limits = field(default_factory=Limits)
    probes: Mapping[str, Callable[[], Awaitable[object]]] = field(default_factory=dict)
    # The folder of pictures; None if there are none.
    media_dir: Path | None = None
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)


async def services_of(connection: HTTPConnection) -> Services:
    """The services of the app that a request or a WebSocket came to."""
    services: Services = connection.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(services_of)]
