"""The catalogue of errors, for clients that want to know them all."""

from pydantic import BaseModel
from starlette.responses import Response

from gateway.http.error_catalogue import catalogue
from gateway.rest.answers import answered
from gateway.rest.callers import PUBLIC
from gateway.rest.routing import api_router

router = api_router("errors")


class ErrorItem(BaseModel):
    """``status`` is null if REST never sends it. ``retry``: ``no``, ``later`` or ``same key`` (docs/errors.md)."""

    code: str
    type: str
    status: int | None
    websocket: bool
    fields: list[str]
    meaning: str
    retry: str
    action: str


class ErrorCatalogue(BaseModel):
    """All errors, by code."""

    items: list[ErrorItem]


@router.get("/errors", dependencies=[PUBLIC], response_model=ErrorCatalogue, summary="All errors")
async def errors() -> Response:
    """Every code that this version can answer with, over REST and the WebSocket."""
    return answered({"items": catalogue()})
