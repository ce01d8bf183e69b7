"""Routers of the REST API: their prefix, and the decoding of bodies."""

import json
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from domain.permissions import Access, Needed
from gateway.http.middleware import ADDED_HEADERS
from gateway.rest import API_PREFIX
from gateway.rest.callers import Needs, anyone, visitor
from gateway.rest.deprecations import DEPRECATED
from gateway.rest.request_limits import RequestLimit
from gateway.rest.verified import require_verified
from gateway.wire.duplicate_keys import DuplicateKey, reject_duplicates


def api_router(tag: str, prefix: str = API_PREFIX) -> APIRouter:
    """A router below API_PREFIX; its routes say what they need."""
    return APIRouter(prefix=prefix, tags=[tag], route_class=_Route)


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
        calls = list(_calls(self.dependant))
        self.needed = _needed(path, calls)
        extra: dict[str, Any] = {"x-permission": self.needed.value}
        if visitor in calls and self.needed is Access.PUBLIC:
            # A token may be sent, and need not be.
            extra["security"] = [{}]
        self.openapi_extra = extra
        needs = f"\n\nNeeds: `{self.needed.value}`."
        # The app makes the routes of its routers again, with this description.
        self.description = self.description.removesuffix(needs) + needs
        if self._name in DEPRECATED:
            self.deprecated = True

    @property
    def _name(self) -> tuple[str, str]:
        """Method and path."""
        return next(iter(self.methods or ()), "GET"), self.path

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle, limited = super().get_route_handler(), RequestLimit(self.path, self._name[0])
        name = self._name

        async def handle_strictly(request: Request) -> Response:
            if name in DEPRECATED:
                request.scope[ADDED_HEADERS] = DEPRECATED[name].headers()
            await limited.admit(request)
            require_verified(request, self.path)
            return await handle(_Request(request.scope, request.receive))

        return handle_strictly


def _needed(path: str, calls: list[Callable[..., Any] | None]) -> Needed:
    """What a route needs. Raises TypeError for one that does not say it: nobody is let in by default."""
    named = [one.needed for one in calls if isinstance(one, Needs)]
    if len(named) > 1 or not (named or visitor in calls or anyone in calls):
        raise TypeError(f"{path} names no permission, or two: see gateway/rest/callers.py")
    return named[0] if named else Access.PUBLIC


def _calls(dependant: Dependant) -> Iterator[Callable[..., Any] | None]:
    """All functions that are called before an endpoint."""
    for dependency in dependant.dependencies:
        yield dependency.call
        yield from _calls(dependency)
