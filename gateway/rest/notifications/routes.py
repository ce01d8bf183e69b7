"""Watches, saved searches and notifications of a user."""

from typing import Annotated, Literal

import msgspec
from fastapi import Query
from starlette.responses import Response

from domain.ids import InvalidId, parse_id
from gateway.http.problems import Problem
from gateway.rest.answers import answered
from gateway.rest.callers import Editor, IdempotencyKey, Reader
from gateway.rest.cursors import Cursor, encode_cursor, number_in
from gateway.rest.idempotency import Posted, idempotent
from gateway.rest.notifications.bodies import (
    NewSearch,
    NotificationPage,
    NowRead,
    ReadNotifications,
    SearchItem,
    SearchList,
    WatchPage,
    notification_json,
    search_json,
    watch_json,
)
from gateway.rest.routing import api_router
from gateway.rest.services import ServicesDep
from persistence.notifications.saved_searches import SavedSearch
from persistence.notifications.store import PAGE_MAX
from persistence.postgres.idempotency import Begun

PAGE_DEFAULT = 50

router = api_router("watching")
encode = msgspec.json.encode

WatchKind = Literal["auction", "card"]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]


@router.put("/users/me/watches/{kind}/{id}", status_code=204, summary="Watch an auction or a card")
async def watch(services: ServicesDep, caller: Editor, kind: WatchKind, id: str) -> Response:
    """Watched already, nothing changes. A watched auction notifies when it ends, a watched card when it is listed."""
    if not await services.watching.watches.add(caller.user_id, kind, _id(id, kind), services.now_ms()):
        raise Problem("not_found", f"there is no such {kind}")
    return Response(status_code=204)


@router.delete("/users/me/watches/{kind}/{id}", status_code=204, summary="Don't watch it any more")
async def unwatch(services: ServicesDep, caller: Editor, kind: WatchKind, id: str) -> Response:
    """Nothing happens where it is not watched."""
    await services.watching.watches.remove(caller.user_id, kind, _id(id, kind))
    return Response(status_code=204)


@router.get("/users/me/watches", response_model=WatchPage, response_model_exclude_none=True, summary="What one watches")
async def watches(
    services: ServicesDep,
    caller: Reader,
    kind: WatchKind | None = None,
    limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response:
    """The newest first, each with where it stands now: auctions up to a second behind."""
    name = f"watches {caller.user_id} {kind}"
    before = number_in(name, cursor)
    rows = await services.watching.watches.page(caller.user_id, kind, before, limit + 1)
    now_ms = services.now_ms()
    following = encode_cursor(name, rows[limit - 1].id) if rows[limit:] else None
    return answered({"items": [watch_json(row, now_ms) for row in rows[:limit]], "next_cursor": following})


@router.post("/users/me/searches", status_code=201, response_model=SearchItem, summary="Keep a search")
async def save_search(services: ServicesDep, caller: Editor, key: IdempotencyKey, body: NewSearch) -> Response:
    """Words that no card has stand for those that look like them, as of now."""

    async def work(begun: Begun) -> tuple[int, bytes]:
        search = SavedSearch(begun.created_id, body.name, body.alerts, begun.received_at, body.query.wanted())
        await services.watching.searches.add(caller.user_id, search)
        return 201, encode(search_json(search))

    return await idempotent(services, Posted(caller, key, f"save search {body.model_dump_json()}"), work)


@router.get("/users/me/searches", response_model=SearchList, summary="One's searches")
async def searches(services: ServicesDep, caller: Reader) -> Response:
    """All of them, the newest first."""
    rows = await services.watching.searches.all(caller.user_id)
    return answered({"items": [search_json(row) for row in rows], "next_cursor": None})


@router.delete("/users/me/searches/{search_id}", status_code=204, summary="Forget a search")
async def forget_search(services: ServicesDep, caller: Editor, search_id: str) -> Response:
    """Its notifications stay. Nothing happens where there is no such search."""
    await services.watching.searches.remove(caller.user_id, _id(search_id, "search"))
    return Response(status_code=204)


@router.get("/notifications", response_model=NotificationPage, summary="A user's notifications", tags=["notifications"])
async def notifications(
    services: ServicesDep,
    caller: Reader,
    unread: Annotated[bool, Query(description="Only those that were not read yet")] = False,
    limit: Limit = PAGE_DEFAULT,
    cursor: Cursor = None,
) -> Response:
    """The newest first. They are stored for 90 days."""
    name = f"notifications {caller.user_id} {unread}"
    before = number_in(name, cursor)
    store = services.watching.notifications
    rows = await store.page(caller.user_id, unread, before, limit + 1)
    inbox = await store.inbox(caller.user_id)
    following = encode_cursor(name, rows[limit - 1].seq) if rows[limit:] else None
    items = [notification_json(row) for row in rows[:limit]]
    return answered({"items": items, "next_cursor": following, "unread": inbox.unread})


@router.post("/notifications/read", response_model=NowRead, summary="These were read", tags=["notifications"])
async def read(services: ServicesDep, caller: Editor, key: IdempotencyKey, body: ReadNotifications) -> Response:
    """``ids`` that are not one's own are passed over."""
    store, user = services.watching.notifications, caller.user_id

    async def work(_begun: Begun) -> tuple[int, bytes]:
        if body.up_to is not None:
            count = await store.read_up_to(user, body.up_to, services.now_ms())
        else:
            count = await store.read(user, [_id(text, "notification") for text in body.ids or ()], services.now_ms())
        return 200, encode({"read": count, "unread": (await store.inbox(user)).unread})

    return await idempotent(services, Posted(caller, key, f"read {body.model_dump_json()}"), work)


def _id(text: str, kind: str) -> int:
    try:
        return parse_id(text)
    except InvalidId:
        raise Problem("not_found", f"there is no such {kind}") from None
