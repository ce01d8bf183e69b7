"""A card by a photograph of it: where it is in the photograph, and which cards look like it."""

import asyncio
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from actors.scanning.messages import Seen
from actors.scanning.scanner import ScanTooSlow
from chain.storage.errors import ContentError
from domain.errors import OVERLOADED, REQUEST_TIMEOUT, REQUEST_TOO_LARGE
from gateway.http.problems import Problem
from gateway.rest.answers import JSON
from gateway.rest.callers import Reader
from gateway.rest.catalog.bodies import card_json
from gateway.rest.idempotency import InvalidRequest
from gateway.rest.routing import api_router
from gateway.rest.scans.bodies import Scan
from gateway.rest.scans.confidence import MATCHES_MAX, confidences
from gateway.rest.scans.services import PHOTOGRAPH_BYTES_MAX
from gateway.rest.services import Services, ServicesDep
from persistence.catalog.fingerprints import Near

SCAN_PATH = "/api/v1/scans"
RECEIVED_WITHIN_S = 30.0

router = api_router("catalog")
encode = msgspec.json.encode

_TYPES = ("image/jpeg", "image/png", "image/webp", "image/avif")
_binary = {"schema": {"type": "string", "format": "binary"}}


@router.post(
    "/scans",
    response_model=Scan,
    summary="Find a card by a photograph",
    openapi_extra={"requestBody": {"required": True, "content": dict.fromkeys(_TYPES, _binary)}},
)
async def scan(request: Request, services: ServicesDep, _caller: Reader) -> Response:
    """The body is the photograph: JPEG, PNG, WebP or AVIF, up to 8 MiB. It is looked at, and not stored."""
    with services.scans.place():
        photograph = await _received(request)
        try:
            seen = await services.scans.scanner.scan(photograph)
        except ContentError as error:
            raise InvalidRequest(error.code, str(error), maximum=error.maximum) from None
        except ScanTooSlow:
            raise Problem(OVERLOADED, "the photograph was not looked at in time: try again in a moment") from None
    near = await services.scans.fingerprints.nearest([one.fingerprint for one in seen.places], MATCHES_MAX)
    return Response(encode(await _answer(services, seen, near)), media_type=JSON)


async def _received(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(RECEIVED_WITHIN_S):
            async for piece in request.stream():
                body += piece
                if len(body) > PHOTOGRAPH_BYTES_MAX:
                    raise Problem(REQUEST_TOO_LARGE)
    except (ClientDisconnect, TimeoutError):
        raise Problem(REQUEST_TIMEOUT) from None
    return bytes(body)


async def _answer(services: Services, seen: Seen, near: list[Near]) -> dict[str, Any]:
    """A Scan."""
    matches = []
    for one, confidence in zip(near, confidences([one.distance for one in near]), strict=False):
        card = await services.catalog.view.card(one.card_id)
        if card is not None:
            matches.append({"card": card_json(card), "confidence": confidence})
    # Without a match, the most likely outline: it says what was taken for a card.
    place = seen.places[near[0].nearest] if matches else next(iter(seen.places), None)
    quad = None if place is None or (place.whole and not matches) else place.corners
    return {"width": seen.width, "height": seen.height, "quad": quad, "matches": matches}
