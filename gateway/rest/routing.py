"""Routers of the REST API: their prefix, and the decoding of bodies."""

import json
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from gateway.rest import API_PREFIX
from gateway.rest.callers import known_caller, visitor
from gateway.wire.duplicate_keys import DuplicateKey, reject_duplicates


def api_router(tag: str) -> APIRouter:
    """A router below API_PREFIX."""
    return APIRouter(prefix=API_PREFIX, tags=[tag], route_class=_Route)


class _Request(Request):
    async def json(self) -> Any:
        """The body. Raises JSONDecodeError, also where an object has a field twice."""
        body = await self.body()
        try:
            return json.loads(body, object_pairs_hook=reject_duplicates)
        except DuplicateKey as fault:
            raise json.JSONDecodeError(str(fault), "", 0) from None


class _Route(APIRoute):
    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        if visitor in (calls := set(_calls(self.dependant))) and known_caller not in calls:
            # A token may be sent, and need not be.
            self.openapi_extra = {"security": [{}]}

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(_Request(request.scope, request.receive))

        return handle_strictly


def _calls(dependant: Dependant) -> Iterator[Callable[..., Any] | None]:
    """All functions that are called before an endpoint."""
    for dependency in dependant.dependencies:
        yield dependency.call
        yield from _calls(dependency)
