"""The sessions of the caller: what is logged in, and ending it."""

from typing import Annotated

from fastapi import Path
from pydantic import BaseModel
from starlette.responses import Response

from gateway.http.problems import Problem
from gateway.identity.sessions.devices import network_of
from gateway.identity.sessions.ending import ListedSession
from gateway.rest.callers import Caller
from gateway.rest.identity.log_ins import forget_cookies
from gateway.rest.routing import api_router
from gateway.rest.services import ServicesDep

router = api_router("identity")

SessionId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", examples=["0f1e2d3c4b5a69788796a5b4c3d2e1f0"])]


class SessionItem(BaseModel):
    """``device`` and ``address`` are those of the last use, ``network`` that of the address. Times in milliseconds."""

    id: str
    device: str
    address: str
    network: str
    created_at: int
    used_at: int
    current: bool


class SessionList(BaseModel):
    """The newest first, 100 at most."""

    items: list[SessionItem]


class EndedCount(BaseModel):
    """How many sessions were ended."""

    ended: int


@router.get("/sessions", summary="Where am I logged in?")
async def list_sessions(services: ServicesDep, caller: Caller) -> SessionList:
    """The sessions of the caller. The last use is exact to a minute."""
    found = await services.sessions.of_user(caller.user_id, services.now_ms())
    return SessionList(items=[_item(one, caller.session) for one in found])


@router.delete("/sessions/{session}", status_code=204, summary="Log out one session")
async def end_session(services: ServicesDep, caller: Caller, session: SessionId) -> Response:
    """Its tokens are refused and its sockets closed (4503) within a second, on all gateways."""
    if not await services.sessions.end(caller.user_id, session):
        raise Problem("not_found", "you have no such session")
    if session == caller.session:
        forget_cookies()
    return Response(status_code=204)


@router.delete("/sessions", summary="Log out all other sessions")
async def end_other_sessions(services: ServicesDep, caller: Caller) -> EndedCount:
    """All sessions of the caller but the one that asks."""
    return EndedCount(ended=await services.sessions.end_others(caller.user_id, caller.session))


def _item(found: ListedSession, current: str) -> SessionItem:
    return SessionItem(
        id=found.session, device=found.device, address=found.address, network=network_of(found.address),
        created_at=found.started_at, used_at=found.used_at, current=found.session == current,
    )  # fmt: skip
