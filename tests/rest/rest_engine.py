"""The gateway's app over a real PostgreSQL and a real host in this process: no Ray, no sockets, no Redis."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from auction_requests import refused
from fastapi import FastAPI

from actors.clock import Clock
from actors.hosting.host import Host
from actors.hosting.limits import HostLimits
from actors.stream.messages import Answer, Request
from gateway.app import create_app
from gateway.identity.passwords import PasswordHasher
from gateway.identity.tokens import TokenIssuer
from gateway.rest.analytics.services import AnalyticsReading
from gateway.rest.catalog.services import Catalog
from gateway.rest.ledger.services import Money, MoneyRules
from gateway.rest.limits import Limits
from gateway.rest.notifications.services import Watching
from gateway.rest.sales.services import Sales
from gateway.rest.services import Services
from persistence.analytics.market import MarketReading
from persistence.analytics.portfolios import PortfolioReading
from persistence.auctions.reading import AuctionHistory, AuctionListing
from persistence.catalog.cache import CatalogCache
from persistence.catalog.reading import CatalogReading
from persistence.catalog.view import CatalogView
from persistence.catalog.writing import CatalogWriting
from persistence.identity.store import RefreshTokens, UserStore
from persistence.jobs.store import JobStore
from persistence.ledger.bid_holds import BidHolds
from persistence.ledger.reading import LedgerReading
from persistence.ledger.store import Ledger
from persistence.ledger.withdrawals import Withdrawals
from persistence.log.event_log import EventLog
from persistence.log.snapshots import SnapshotStore
from persistence.notifications.saved_searches import SavedSearches
from persistence.notifications.store import Notifications
from persistence.notifications.watches import Watches
from persistence.postgres.idempotency import IdempotencyKeys
from persistence.postgres.pool import Pool, close_pool, open_pool
from persistence.sales.copies import Copies
from persistence.sales.listings import Listings
from persistence.sales.second_chances import SecondChances
from persistence.sales.seller_tiers import SellerTiers
from persistence.sales.settlement import Settlements
from persistence.summary_tables import SUMMARY_TABLES

SECRET = "a-secret-of-at-least-thirty-two-characters"
PASSWORD = "correct horse battery"
SLOTS = 8
USD = 1_000_000

_numbers = itertools.count(1)


class NoNews:
    """Nobody listens here."""

    def publish(self, channel: str, message: bytes) -> None:
        pass


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


@asynccontextmanager
async def rest_engine(
    database_url: str,
    limits: Limits | None = None,
    rules: MoneyRules | None = None,
    media_dir: Path | None = None,
    cache: CatalogCache | None = None,
    covered: bool = False,
) -> AsyncIterator[RestEngine]:
    """Everything open, and closed at the end. ``covered``: bids need a balance."""
    pool = await open_pool(database_url, size_max=4)
    event_log = EventLog(database_url, SUMMARY_TABLES)
    await event_log.open()
    clock = Clock()
    holds, moved = BidHolds(database_url) if covered else None, set[int]()
    host = Host(
        event_log, SnapshotStore(event_log.pool), NoNews(), slots_total=SLOTS, limits=HostLimits(), clock=clock,
        holds=holds, summarised=lambda entity: moved.add(entity.id),
    )  # fmt: skip
    host.ownership.slots = frozenset(range(SLOTS))
    await host.prepare()
    running = asyncio.create_task(host.run())
    passwords = PasswordHasher(4)
    router = HostRouter(host)
    services = Services(
        users=UserStore(pool),
        refresh_tokens=RefreshTokens(pool),
        idempotency=IdempotencyKeys(pool),
        listing=AuctionListing(pool),
        history=AuctionHistory(pool),
        money=Money(Ledger(pool), LedgerReading(pool), Withdrawals(pool), rules or MoneyRules(faucet=True)),
        catalog=Catalog(CatalogView(pool, cache), CatalogReading(pool), CatalogWriting(pool)),
        sales=Sales(Copies(pool), Listings(pool), Settlements(pool), SecondChances(pool), SellerTiers(pool)),
        watching=Watching(Watches(pool), SavedSearches(pool), Notifications(pool)),
        analytics=AnalyticsReading(PortfolioReading(pool), MarketReading(pool)),
        jobs=JobStore(pool),
        router=router,
        tokens=TokenIssuer(SECRET, 900),
        passwords=passwords,
        now_ms=clock.now_ms,
        limits=limits or Limits(),
        media_dir=media_dir,
    )
    app = create_app(services)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://ece/api/v1") as http:
            yield RestEngine(app, http, services, router, host, pool, moved)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        passwords.close()
        if holds is not None:
            await holds.close()
        await event_log.close()
        await close_pool(pool)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[RestEngine]:
    """The gateway's app over this module's database."""
    async with rest_engine(database_url) as engine:
        yield engine
