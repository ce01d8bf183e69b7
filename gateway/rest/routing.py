"""Routers of the REST API: where they begin, and how they read bodies."""

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from gateway.rest import API_PREFIX
from gateway.unique_names import NamedTwice, unique


def api_router(tag: str) -> APIRouter:
    """A router below API_PREFIX."""
    return APIRouter(prefix=API_PREFIX, tags=[tag], route_class=_Route)


class _Request(Request):
    async def json(self) -> Any:
        """The body. Raises JSONDecodeError, also where an object has a field twice."""
        body = await self.body()
        try:
            return json.loads(body, object_pairs_hook=unique)
        except NamedTwice as fault:
            raise json.JSONDecodeError(str(fault), "", 0) from None


class _Route(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(_Request(request.scope, request.receive))

        return handle_strictly
