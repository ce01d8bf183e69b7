"""Routes of trade lists, trade links and proposed trades."""

import asyncio
from typing import Annotated

import msgspec
from fastapi import Path, Query
from starlette.responses import Response

from domain.trade.matching import proposals
from domain.trade.terms import Condition
from gateway.http.problems import Problem
from gateway.rest.answers import answered
from gateway.rest.callers import Editor, IdempotencyKey, Reader, Visitor
from gateway.rest.cursors import Cursor, encode_cursor, number_in
from gateway.rest.idempotency import Posted, idempotent
from gateway.rest.routing import api_router
from gateway.rest.sales.copies import CopyId, parsed, user_named
from gateway.rest.services import Services, ServicesDep
from gateway.rest.trade_lists.bodies import (
    HavePage,
    LinkItem,
    LinkList,
    NewLink,
    NewWant,
    ProposalList,
    WantItem,
    WantPage,
    have_json,
    link_json,
    proposal_json,
    want_json,
)
from persistence.postgres.idempotency import Begun
from persistence.trades.lists import PAGE_MAX

PAGE_DEFAULT = 50
PROPOSALS_MAX = 50

router = api_router("trade lists")
encode = msgspec.json.encode

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]
Token = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]


@router.put("/users/me/trade-haves/{copy_id}", status_code=204, summary="Be open to trade a copy")
async def add_have(services: ServicesDep, caller: Editor, copy: CopyId) -> Response:
    """Others can see it, and trades are proposed for it. Nothing is held."""
    code = await services.trade_lists.add_have(caller.user_id, copy, services.now_ms())
    if code is not None:
        raise Problem(code)
    return Response(status_code=204)


@router.delete("/users/me/trade-haves/{copy_id}", status_code=204, summary="Don't trade a copy any more")
async def remove_have(services: ServicesDep, caller: Editor, copy: CopyId) -> Response:
    """Nothing happens where it is not in the list."""
    await services.trade_lists.remove_have(caller.user_id, copy)
    return Response(status_code=204)


@router.get("/users/me/trade-haves", response_model=HavePage, summary="What one is open to trade")
async def my_haves(
    services: ServicesDep, caller: Reader, limit: Limit = PAGE_DEFAULT, cursor: Cursor = None
) -> Response:
    """Only copies that are one's own and free, the newest first."""
    return await _haves(services, caller.user_id, limit, cursor)


@router.get("/users/{username}/trade-haves", response_model=HavePage, summary="What somebody is open to trade")
async def their_haves(
    services: ServicesDep, visitor: Visitor, username: str, limit: Limit = PAGE_DEFAULT, cursor: Cursor = None
) -> Response:
    """Only copies that are theirs and free, the newest first."""
    return await _haves(services, await user_named(services, username), limit, cursor)


@router.post("/users/me/trade-wants", status_code=201, response_model=WantItem, summary="Want something")
async def add_want(services: ServicesDep, caller: Editor, key: IdempotencyKey, body: NewWant) -> Response:
    """Wanted already, it stays as it is."""

    async def work(begun: Begun) -> tuple[int, bytes]:
        condition = await _condition(services, body)
        want = await services.trade_lists.add_want(caller.user_id, begun.created_id, condition, begun.received_at)
        return 201, encode(want_json(want))

    return await idempotent(services, Posted(caller, key, f"want {body.model_dump_json()}"), work)


@router.delete("/users/me/trade-wants/{want_id}", status_code=204, summary="Don't want it any more")
async def remove_want(services: ServicesDep, caller: Editor, want_id: str) -> Response:
    """Nothing happens where there is no such want."""
    await services.trade_lists.remove_want(caller.user_id, parsed(want_id, "want"))
    return Response(status_code=204)


@router.get("/users/me/trade-wants", response_model=WantPage, summary="What one wants")
async def wants(services: ServicesDep, caller: Reader, limit: Limit = PAGE_DEFAULT, cursor: Cursor = None) -> Response:
    """The newest first."""
    name = f"trade wants {caller.user_id}"
    rows = await services.trade_lists.wants(caller.user_id, number_in(name, cursor), limit + 1)
    following = encode_cursor(name, rows[limit - 1].id) if rows[limit:] else None
    return answered({"items": [want_json(row) for row in rows[:limit]], "next_cursor": following})


@router.get("/users/me/trade-proposals", response_model=ProposalList, summary="Trades that would fit")
async def trade_proposals(services: ServicesDep, caller: Reader) -> Response:
    """Trades of two and three users, by what all of them want and are open to trade; 50 at most."""
    matches = await services.trade_lists.matches_around(caller.user_id)
    # Where much is wanted it takes tenths of a second, in which no socket of this gateway would be served.
    found = await asyncio.to_thread(proposals, caller.user_id, matches, PROPOSALS_MAX)
    return answered({"items": [proposal_json(one) for one in found], "next_cursor": None})


@router.post("/users/me/trade-links", status_code=201, response_model=LinkItem, summary="Make a trade link")
async def add_link(services: ServicesDep, caller: Editor, key: IdempotencyKey, body: NewLink) -> Response:
    """Whoever has the link sees these copies, and can make an offer for them."""

    async def work(begun: Begun) -> tuple[int, bytes]:
        copies = sorted({parsed(copy, "copy") for copy in body.copies})
        expires_at = begun.received_at + body.expires_in_ms
        token = await services.trade_lists.add_link(
            caller.user_id, begun.created_id, copies, body.message, begun.received_at, expires_at
        )
        link = await services.trade_lists.link(token, begun.received_at)
        if link is None:
            raise Problem("not_found", "there is no such link")
        return 201, encode(link_json(link))

    return await idempotent(services, Posted(caller, key, f"trade link {body.model_dump_json()}"), work)


@router.get("/users/me/trade-links", response_model=LinkList, summary="One's trade links")
async def links(services: ServicesDep, caller: Reader) -> Response:
    """Those that have not expired, the newest first."""
    rows = await services.trade_lists.links(caller.user_id, services.now_ms())
    return answered({"items": [link_json(row) for row in rows], "next_cursor": None})


@router.delete("/users/me/trade-links/{token}", status_code=204, summary="Remove a trade link")
async def remove_link(services: ServicesDep, caller: Editor, token: Token) -> Response:
    """Nothing happens where there is no such link."""
    await services.trade_lists.remove_link(caller.user_id, token)
    return Response(status_code=204)


@router.get("/trade-links/{token}", response_model=LinkItem, summary="Follow a trade link")
async def follow_link(services: ServicesDep, visitor: Visitor, token: Token) -> Response:
    """Whose it is, and which of its copies they still have."""
    link = await services.trade_lists.link(token, services.now_ms())
    if link is None:
        raise Problem("not_found", "there is no such link, or it has expired")
    return answered(link_json(link))


async def _haves(services: Services, user: int, limit: int, cursor: str | None) -> Response:
    name = f"trade haves {user}"
    rows = await services.trade_lists.haves(user, number_in(name, cursor), limit + 1)
    following = encode_cursor(name, rows[limit - 1].copy) if rows[limit:] else None
    return answered({"items": [have_json(row) for row in rows[:limit]], "next_cursor": following})


async def _condition(services: Services, body: NewWant) -> Condition:
    card = None if body.card is None else parsed(body.card, "card")
    card_set = None if body.set is None else parsed(body.set, "set")
    if not await services.trade_lists.exists(card, card_set):
        raise Problem("not_found", "there is no such card or set")
    return Condition(card, card_set, body.rarity)
