"""The gateway's app: REST, health, and the WebSocket."""

from contextlib import suppress
from importlib import metadata
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel, Field
from starlette.middleware.cors import CORSMiddleware

from chain.storage.images import IMAGE_BYTES_MAX
from gateway.http import problems, protocol_docs
from gateway.http.address_limit import AddressLimit
from gateway.http.client import SESSION_HEADER
from gateway.http.compression import Compression
from gateway.http.middleware import REQUEST_ID, Frontdoor
from gateway.monitoring import engine_status, health
from gateway.monitoring.audit_metrics import AuditMetrics
from gateway.monitoring.chain_metrics import ChainMetrics
from gateway.monitoring.job_metrics import JobMetrics
from gateway.rest.accounts import routes as accounts
from gateway.rest.analytics import activity
from gateway.rest.analytics import routes as analytics_routes
from gateway.rest.api_keys import routes as api_keys
from gateway.rest.auctions import preview, proof
from gateway.rest.auctions import routes as auctions
from gateway.rest.audit import routes as audit
from gateway.rest.catalog import creating, media
from gateway.rest.catalog import routes as catalog
from gateway.rest.content import routes as content
from gateway.rest.credentials import CSRF_HEADER
from gateway.rest.errors import routes as error_routes
from gateway.rest.identity import keys as public_keys
from gateway.rest.identity import second_factor, sessions
from gateway.rest.identity.passwords import PasswordRoutes
from gateway.rest.identity.routes import AuthRoutes
from gateway.rest.identity.verification import AddressRoutes
from gateway.rest.jobs import routes as jobs
from gateway.rest.ledger import routes as ledger
from gateway.rest.mints import ownership
from gateway.rest.mints import routes as mints
from gateway.rest.notifications import push, unsubscribe
from gateway.rest.notifications import routes as watching
from gateway.rest.profiles import activities
from gateway.rest.profiles import routes as profiles
from gateway.rest.proofs import Proofs
from gateway.rest.request_limits import Quotas
from gateway.rest.roles import routes as roles
from gateway.rest.sales import copies
from gateway.rest.sales import routes as sales
from gateway.rest.scans import routes as scans
from gateway.rest.scans.services import PHOTOGRAPH_BYTES_MAX
from gateway.rest.services import Services
from gateway.rest.trade_lists import routes as trade_lists
from gateway.rest.trades import history as trade_history
from gateway.rest.trades import moderation as trade_moderation
from gateway.rest.trades import preferences as trade_preferences
from gateway.rest.trades import routes as trades
from gateway.rest.trades import values as trade_values
from gateway.rest.wallets import custody, outside, swaps
from gateway.rest.wallets import routes as wallets
from gateway.rest.ways_in.routers import ways_in_routers
from gateway.web.pages import web_router
from gateway.websocket import endpoint as socket

DESCRIPTION = """
Auctions in real time. Money is integer base units (USDC: 6 decimals), times are milliseconds since the epoch.
A POST that creates or moves something takes an `Idempotency-Key`: sent again, it gives the same answer, once.
Bids go faster over the WebSocket `/ws`, which has the same codes.
"""


class ProblemDetails(BaseModel):
    """RFC 9457. ``code`` is stable; a refused bid also has ``price``, ``minimum`` and ``server_time``."""

    type: str = Field(examples=["urn:ece:problem:bid_too_low"])
    title: str
    status: int
    detail: str
    code: str
    request_id: str | None = Field(None, description="As in the header `X-Request-Id`")


def create_app(services: Services) -> FastAPI:
    """The whole app over these services. It opens and closes none of them."""
    # The pages of /docs come from here: they also work where there is no internet.
    app = FastAPIOffline(
        title="ECE engine",
        summary="Real-time auctions of digital cards",
        description=DESCRIPTION,
        version=_version(),
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    app.state.quotas = Quotas(services.limits)
    app.state.proofs = Proofs(services)
    app.state.readiness = health.Readiness(services)
    app.state.stored_metrics = [
        JobMetrics(services.jobs.status),
        ChainMetrics(services.minting.status.work),
        AuditMetrics(services.audit.last_check),
    ]
    for metrics in app.state.stored_metrics:
        services.registry.register(metrics)
    limits = services.limits
    if limits.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=limits.cors_origins,
            allow_methods=("GET", "POST", "PUT", "PATCH", "DELETE"),
            allow_headers=(
                *("Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "X-Second-Factor"),
                *(CSRF_HEADER, SESSION_HEADER, REQUEST_ID),
            ),
            # Cookies of sessions; browsers send them between hosts of one domain only (SameSite).
            allow_credentials=True,
            expose_headers=("ETag", "RateLimit", "RateLimit-Policy", "Retry-After", "Idempotency-Replayed", REQUEST_ID),
        )
    app.add_middleware(Compression)
    # The last one is the outermost.
    app.add_middleware(
        Frontdoor,
        requests_max=limits.requests_max,
        body_bytes_max=limits.body_bytes_max,
        streamed={content.UPLOAD_PATH: IMAGE_BYTES_MAX, scans.SCAN_PATH: PHOTOGRAPH_BYTES_MAX},
        by_address=AddressLimit(limits.requests_per_address_max, limits.trusted_proxies),
        registry=services.registry,
    )
    problems.install(app)
    # Each router knows its whole path: one that is put on here would be missing from the metrics' routes.
    for router in _routers(services):
        app.include_router(router, responses=_problem_responses())
    app.include_router(health.router)
    app.include_router(public_keys.router, responses=_problem_responses())
    app.include_router(protocol_docs.router)
    app.include_router(web_router())
    app.add_api_websocket_route("/ws", socket.endpoint)
    return app


def _routers(services: Services) -> list[APIRouter]:
    """The routers of REST, in their order: of several paths that fit, the first takes a request."""
    return [
        AuthRoutes(services).router, sessions.router, second_factor.router, *ways_in_routers(services),
        PasswordRoutes(services).router, AddressRoutes(services).router, unsubscribe.router, push.router,
        auctions.router, preview.router, proof.router, ledger.router,
        catalog.router,
        creating.router,
        # `users/me/…` before `users/{username}/…`.
        sales.router, watching.router, trade_lists.router,
        trade_values.router, trades.router, trade_moderation.router,
        trade_history.router, trade_preferences.router, accounts.router,
        activities.router, profiles.router, analytics_routes.router, activity.router,
        wallets.router, custody.router, outside.router, swaps.router, mints.router, ownership.router, jobs.router,
        copies.router, audit.router, engine_status.router, roles.router, api_keys.router, error_routes.router,
        media.router, content.router, content.uploads, scans.router,
    ]  # fmt: skip


def _problem_responses() -> dict[int | str, dict[str, Any]]:
    content = {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    refused = {"description": "Refused: nothing happened. `code` says why", "content": content}
    unknown = {
        "description": "`overloaded`: nothing happened. `unavailable`: unknown, send the same key again",
        "content": content,
    }
    return {"4XX": refused | {"model": ProblemDetails}, 422: refused, 503: unknown}


def _version() -> str:
    with suppress(metadata.PackageNotFoundError):
        return metadata.version("ece-engine")
    return "0"
