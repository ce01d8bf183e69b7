"""Idempotency keys of POSTs: a POST that is sent again has the same answer, and its effect once."""

from collections.abc import Awaitable, Callable

from starlette.responses import Response

from gateway.http.idempotency import InvalidRequest, Once, Posted, once
from gateway.http.problems import MEDIA_TYPE, with_request_id
from gateway.rest.answers import JSON
from gateway.rest.services import Services
from persistence.postgres.idempotency import Begun

__all__ = ["InvalidRequest", "Posted", "idempotent", "response_of"]

REPLAYED = "Idempotency-Replayed"


async def idempotent(
    services: Services, posted: Posted, work: Callable[[Begun], Awaitable[tuple[int, bytes]]]
) -> Response:
    """Do the work and store its answer, or return the stored answer."""
    return response_of(await once(services.idempotency, posted, services.now_ms(), work))


def response_of(answer: Once) -> Response:
    """The HTTP answer."""
    headers = {REPLAYED: "true"} if answer.replayed else {}
    if answer.status < 400:
        return Response(answer.body, answer.status, headers, media_type=JSON)
    return Response(with_request_id(answer.body), answer.status, headers, media_type=MEDIA_TYPE)
