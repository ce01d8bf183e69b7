"""The gateway's app: REST, health, and the WebSocket."""

from contextlib import suppress
from importlib import metadata
from typing import Any

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel, Field

from gateway.http import problems, protocol_docs
from gateway.http.address_limit import AddressLimit
from gateway.http.middleware import Frontdoor
from gateway.monitoring import health
from gateway.monitoring.job_metrics import JobMetrics
from gateway.rest.analytics import routes as analytics_routes
from gateway.rest.auctions import routes as auctions
from gateway.rest.catalog import media
from gateway.rest.catalog import routes as catalog
from gateway.rest.identity.routes import AuthRoutes
from gateway.rest.jobs import routes as jobs
from gateway.rest.ledger import routes as ledger
from gateway.rest.notifications import routes as watching
from gateway.rest.sales import copies
from gateway.rest.sales import routes as sales
from gateway.rest.services import Services
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
    app.state.readiness = health.Readiness(services)
    app.state.job_metrics = JobMetrics(services.jobs)
    services.registry.register(app.state.job_metrics)
    limits = services.limits
    app.add_middleware(
        Frontdoor,
        requests_max=limits.requests_max,
        body_bytes_max=limits.body_bytes_max,
        by_address=AddressLimit(limits.requests_per_address_max, limits.trusted_proxies),
        registry=services.registry,
    )
    problems.install(app)
    # Each router knows its whole path: one that is put on here would be missing from the metrics' routes.
    app.include_router(AuthRoutes(services).router, responses=_problem_responses())
    app.include_router(auctions.router, responses=_problem_responses())
    app.include_router(ledger.router, responses=_problem_responses())
    app.include_router(catalog.router, responses=_problem_responses())
    # `users/me/…` before `users/{username}/…`: the first that fits takes it.
    app.include_router(sales.router, responses=_problem_responses())
    app.include_router(watching.router, responses=_problem_responses())
    app.include_router(analytics_routes.router, responses=_problem_responses())
    app.include_router(jobs.router, responses=_problem_responses())
    app.include_router(copies.router, responses=_problem_responses())
    app.include_router(media.router, responses=_problem_responses())
    app.include_router(health.router)
    app.include_router(protocol_docs.router)
    app.add_api_websocket_route("/ws", socket.endpoint)
    return app


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
