"""Acts of a user, and of those whom one follows."""

from typing import Annotated

from fastapi import Path, Query
from starlette.responses import Response

from domain.ids import id_text
from gateway.rest.answers import answered
from gateway.rest.callers import Reader, Visitor
from gateway.rest.cursors import Cursor, encode_cursor, number_in
from gateway.rest.profiles.bodies import ActivityPage, activity_json
from gateway.rest.routing import api_router
from gateway.rest.sales.copies import user_named
from gateway.rest.services import ServicesDep
from persistence.profiles.activities import PAGE_MAX, Activity

PAGE_DEFAULT = 50

router = api_router("profiles")

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]


@router.get("/users/me/feed", response_model=ActivityPage, summary="What those whom one follows do")
async def feed(services: ServicesDep, caller: Reader, limit: Limit = PAGE_DEFAULT, cursor: Cursor = None) -> Response:
    """The newest first, of the last 400 days, without those who are muted, and without what they keep private."""
    name = f"feed {caller.user_id}"
    rows = await services.profiles.activities.feed(caller.user_id, number_in(name, cursor), limit + 1)
    return _page(name, rows, limit)


@router.get("/users/{username}/activity", response_model=ActivityPage, summary="What a user does")
async def activity(
    services: ServicesDep,
    visitor: Visitor,
    username: Annotated[str, Path(description="A username")],
    limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response:
    """The newest first, of the last 400 days. Their preferences decide which kinds others see."""
    user = await user_named(services, username)
    own = visitor is not None and visitor.user_id == user
    name = f"activity {id_text(user)} {own}"
    rows = await services.profiles.activities.of(user, own, number_in(name, cursor), limit + 1)
    return _page(name, rows, limit)


def _page(name: str, rows: list[Activity], limit: int) -> Response:
    next_cursor = encode_cursor(name, rows[limit - 1].id) if rows[limit:] else None
    return answered({"items": [activity_json(row) for row in rows[:limit]], "next_cursor": next_cursor})
