"""Content by its id (CIDv1): anyone may download it; users upload images of cards."""

from collections.abc import AsyncIterator
from typing import Annotated

import structlog
from fastapi import APIRouter, Header
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from actors.content.store import Stored
from actors.scanning.scanner import ScanTooSlow
from chain.storage.cids import Cid, InvalidCid
from chain.storage.errors import ContentDamaged, ContentError
from chain.storage.images import IMAGE_BYTES_MAX, MEDIA_TYPES
from domain.errors import (
    CONTENT_QUOTA_EXCEEDED,
    NOT_FOUND,
    OVERLOADED,
    RANGE_NOT_SATISFIABLE,
    REQUEST_TIMEOUT,
    UNAVAILABLE,
)
from domain.permissions import Permission
from gateway.http.problems import Problem
from gateway.identity.tokens import Identity
from gateway.rest.answers import encode
from gateway.rest.callers import PUBLIC, IdempotencyKey, Minter
from gateway.rest.content.bodies import StoredContent
from gateway.rest.content.ranges import NotSatisfiable, Range, range_of
from gateway.rest.content.services import Picture
from gateway.rest.idempotency import InvalidRequest, Posted, idempotent
from gateway.rest.routing import api_router
from gateway.rest.services import Services, ServicesDep
from persistence.content.index import ContentRow
from persistence.postgres.idempotency import Begun

log = structlog.get_logger(__name__)

UPLOAD_PATH = "/api/v1/content"
DOCUMENT_TYPE = "application/json"
# What a browser may show. Anything else is a download.
SHOWN = frozenset({*MEDIA_TYPES.values(), DOCUMENT_TYPE})
# Nothing in it may run, load or be framed, whatever a browser takes it for.
SANDBOX = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox"}
HEADERS = {
    **SANDBOX,
    "Accept-Ranges": "bytes",
    "Cache-Control": "public, max-age=31536000, immutable",
    "Cross-Origin-Resource-Policy": "cross-origin",
    # Wallets and marketplaces read metadata from their own pages.
    "Access-Control-Allow-Origin": "*",
}

router = APIRouter(tags=["content"])
uploads = api_router("content")

_binary = {"schema": {"type": "string", "format": "binary"}}


@router.get(
    "/content/{cid}",
    dependencies=[PUBLIC],
    summary="Content by its id",
    response_class=Response,
    responses={
        200: {"content": {"*/*": {}}},
        206: {"description": "A part of it", "content": {"*/*": {}}},
        304: {"description": "The client has it"},
        416: {"description": "There are no such bytes"},
    },
)
async def content(
    services: ServicesDep,
    cid: str,
    range_: Annotated[str | None, Header(alias="Range", description="One range of bytes")] = None,
    if_range: Annotated[str | None, Header(alias="If-Range")] = None,
    if_none_match: Annotated[str | None, Header(alias="If-None-Match")] = None,
) -> Response:
    """What an id stands for never changes: it may be cached for ever. The `ETag` is the id."""
    row = await _found(services, cid)
    etag = f'"{row.cid}"'
    headers = {**HEADERS, "ETag": etag}
    known = [one.strip().removeprefix("W/") for one in (if_none_match or "").split(",")]
    if etag in known or known == ["*"]:
        return Response(status_code=304, headers=headers)
    try:
        part = range_of(range_ if if_range in (None, etag) else None, row.size)
    except NotSatisfiable:
        headers = {"Content-Range": f"bytes */{row.size}"}
        raise Problem(RANGE_NOT_SATISFIABLE, headers=headers) from None
    return _answer(services, row, part, headers)


async def _found(services: Services, text: str) -> ContentRow:
    try:
        row = await services.content.store.find(Cid.parse(text))
    except InvalidCid as error:
        raise Problem(NOT_FOUND, f"not an id of content: {error}") from None
    except ContentDamaged as damage:
        log.error("content_damaged", error=str(damage), next_step="ece content verify")
        raise Problem(UNAVAILABLE, "the content is damaged here, and has to be restored") from None
    if row is None:
        raise Problem(NOT_FOUND, "there is no such content here")
    return row


def _answer(services: Services, row: ContentRow, part: Range | None, headers: dict[str, str]) -> Response:
    sent = part or Range(0, row.size - 1)
    headers |= {"Content-Length": str(sent.size)}
    if row.media_type not in SHOWN:
        headers |= {"Content-Disposition": "attachment"}
    if part is not None:
        headers |= {"Content-Range": f"bytes {part.first}-{part.last}/{row.size}"}
    pieces = services.content.store.pieces(row, sent.first, sent.size)
    return StreamingResponse(pieces, 200 if part is None else 206, headers, media_type=row.media_type)


@uploads.post(
    "/content",
    status_code=201,
    response_model=StoredContent,
    summary="Store an image",
    openapi_extra={
        "requestBody": {"required": True, "content": dict.fromkeys(MEDIA_TYPES.values(), _binary)},
    },
)
async def upload(request: Request, services: ServicesDep, caller: Minter, key: IdempotencyKey) -> Response:
    """The body is the file: PNG, JPEG, WebP, GIF or AVIF, whatever `Content-Type` says. It is encoded anew, without
    what it says beside the picture; the answer has the id, type and size of what is stored, and served to others."""
    store = services.content.store
    with services.content.place():
        await _check_quota(services, caller)
        try:
            async with store.receive(_pieces(request), IMAGE_BYTES_MAX) as incoming:
                picture = await services.content.picture(incoming)

                async def work(_begun: Begun) -> tuple[int, bytes]:
                    (stored,) = await store.put_many([picture.content], caller.user_id)
                    return 201, encode(_stored_json(stored, picture))

                return await idempotent(services, Posted(caller, key, f"upload {incoming.node.cid.text}"), work)
        except ContentError as error:
            raise InvalidRequest(error.code, str(error), maximum=error.maximum) from None
        except ScanTooSlow:
            raise Problem(OVERLOADED, "the image was not encoded in time: nothing happened, try again") from None
        except OSError as error:
            log.error("content_not_stored", error=str(error), next_step="is the disk of the content directory full?")
            raise Problem(UNAVAILABLE) from None


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    try:
        async for piece in request.stream():
            yield piece
    except ClientDisconnect:
        raise Problem(REQUEST_TIMEOUT) from None


async def _check_quota(services: Services, caller: Identity) -> None:
    limit = services.limits.upload_bytes_per_day
    if caller.may(Permission.CATALOG):
        return
    if await services.content.store.index.uploaded(caller.user_id, services.now_ms()) >= limit:
        raise Problem(CONTENT_QUOTA_EXCEEDED, maximum=limit)


def _stored_json(stored: Stored, picture: Picture) -> dict[str, str | int]:
    """A StoredContent."""
    return {
        "cid": stored.cid.text, "uri": stored.cid.uri, "size": stored.size, "media_type": stored.media_type,
        "width": picture.width, "height": picture.height,
    }  # fmt: skip
