"""Liveness, readiness and metrics."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog
from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.rest.services import Services, ServicesDep
from persistence.postgres.errors import StoreReadOnly

router = APIRouter(tags=["health"])
log = structlog.get_logger(__name__)

State = dict[str, str | float]


@router.get("/healthz", summary="Is the process alive?")
async def healthz() -> dict[str, str]:
    """Answers as long as the process can answer at all."""
    return {"status": "ok"}


@router.get(
    "/readyz", summary="Is everything there to take bids?", responses={503: {"description": "A part does not work"}}
)
async def readyz(request: Request) -> Response:
    """Asks each part, all at once, each with a deadline; 503 when one does not work."""
    readiness: Readiness = request.app.state.readiness
    states = await readiness.states()
    ready = all(state["status"] == "ok" for state in states.values())
    return JSONResponse({"status": "ready" if ready else "not_ready", "parts": states}, 200 if ready else 503)


class Readiness:
    """Probes the parts. Requests at the same time share one probe, since the route has no limit of its own."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._asking: asyncio.Task[dict[str, State]] | None = None

    async def states(self) -> dict[str, State]:
        """The state of each part."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def _ask(self) -> dict[str, State]:
        probes, deadline_s = self._services.probes, self._services.limits.probe_timeout_s
        states = await asyncio.gather(*(_state(name, probe, deadline_s) for name, probe in probes.items()))
        return dict(zip(probes, states, strict=True))


async def _state(name: str, probe: Callable[[], Awaitable[object]], deadline_s: float) -> State:
    began = time.perf_counter()
    try:
        async with asyncio.timeout(deadline_s):
            await probe()
    except TimeoutError:
        return {"status": "timeout"}
    except StoreReadOnly:
        return {"status": "read_only"}
    except Exception as error:
        # Details go to the log only, since this route is public.
        log.warning("not_ready", part=name, error=str(error))
        return {"status": "failed"}
    return {"status": "ok", "ms": round((time.perf_counter() - began) * 1000, 1)}


@router.get("/metrics", summary="Metrics for Prometheus", response_class=Response)
async def metrics(request: Request, services: ServicesDep) -> Response:
    """The process's metrics, and those of all background work, in Prometheus' text format."""
    for stored in request.app.state.stored_metrics:
        await stored.refresh()
    return Response(generate_latest(services.registry), media_type=CONTENT_TYPE_LATEST)
